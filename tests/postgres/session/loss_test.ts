import { assert, assertEquals } from "@std/assert";
import { SLOT_TAKEN, SlotInDoubt } from "../../../src/postgres/session/same_server.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { Following, textOf } from "../../support/following_source.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertFails } from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } });

function through(proxy: Proxy) {
  return { postgres: { hosts: [{ host: "127.0.0.1", port: proxy.port }] } };
}

async function withTable(): Promise<FreshDatabase> {
  const db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, v text)");
  await db.createSlot("test_decoding");
  return db;
}

async function insertAndTake(db: FreshDatabase, following: Following, id: number): Promise<void> {
  await db.sql("insert into t values ($1)", [id]);
  await following.until((message) =>
    textOf(message).startsWith(`table public.t: INSERT: id[integer]:${id} `)
  );
}

async function toTheEnd(following: Following): Promise<void> {
  while (!(await following.next()).done);
}

/** Throws the walsender out and waits until the slot is free. */
async function free(db: FreshDatabase): Promise<void> {
  await waitFor(async () => {
    const [row] = await db.sql(
      "select active, pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1",
      [db.slot],
    );
    return !row!.active;
  }, { what: "the slot to be free" });
}

/** Waits until a source has asked twice whether the slot is still its own, so that it has an answer. */
async function waitUntilAsked(db: FreshDatabase): Promise<void> {
  const times = new Set<number>();
  await waitFor(async () => {
    const rows = await db.sql(
      `select query_start as at from pg_stat_activity where datname = current_database()
          and query like 'SELECT active_pid FROM pg_catalog.pg_replication_slots%'`,
    );
    for (const { at } of rows) times.add(at.getTime());
    return times.size > 1;
  }, { what: "the source to ask for its slot" });
}

Deno.test("a slot that the server invalidated stops the run, and says since when changes are lost", async () => {
  await using small = await startEmbeddedPostgres({
    settings: { max_slot_wal_keep_size: "1MB", min_wal_size: "2MB", max_wal_size: "2MB" },
    initdbArgs: ["--wal-segsize=1"],
  });
  await using db = await freshDatabase(small);
  await db.sql("create table t (id int primary key, v text)");
  await db.createSlot("test_decoding");
  await using following = await Following.start(db, "test_decoding");
  await db.sql("insert into t select g, repeat('x', 1000) from generate_series(1, 20000) g");
  const lost = async () => {
    await db.sql("select pg_switch_wal(); checkpoint");
    const [row] = await db.sql(
      "select wal_status from pg_replication_slots where slot_name = $1",
      [db.slot],
    );
    return row!.wal_status === "lost";
  };
  await waitFor(lost, { what: "the slot to be lost" });
  await assertFails(
    toTheEnd(following),
    [db.slot, "is lost", /changes since [0-9A-F]+\/[0-9A-F]+/, "--recreate-slot", "--backfill"],
    false,
  );
});

Deno.test("a database that is dropped stops the run", async () => {
  const db = await withTable();
  using proxy = new Proxy(server);
  await using following = await Following.start(db, "test_decoding", through(proxy));
  await insertAndTake(db, following, 1);
  proxy.stall();
  // It cannot be dropped while the slot is active.
  await free(db);
  await db[Symbol.asyncDispose]();
  proxy.heal();
  await assertFails(toTheEnd(following), [db.database, "there is no such database"], false);
});

Deno.test("a slot made anew with another plugin stops the run and is named", async () => {
  await using db = await withTable();
  using proxy = new Proxy(server);
  await using following = await Following.start(db, "test_decoding", through(proxy));
  await insertAndTake(db, following, 1);
  proxy.stall();
  await free(db);
  await db.sql("select pg_drop_replication_slot($1)", [db.slot]);
  await db.createSlot("pgoutput");
  proxy.heal();
  await assertFails(
    toTheEnd(following),
    [
      db.slot,
      "recreated with plugin pgoutput",
      /changes after [0-9A-F]+\/[0-9A-F]+ may be missing/,
    ],
    false,
  );
});

Deno.test("a connection that only the server knows to be closed counts as lost", async () => {
  await using db = await withTable();
  using proxy = new Proxy(server);
  await using following = await Following.start(db, "test_decoding", {
    ...through(proxy),
    slot: { silenceMs: 2000 },
  });
  await insertAndTake(db, following, 1);
  proxy.halfOpen();
  await db.sql("insert into t values (2)");
  await waitFor(() => !following.source.stats.isConnected, { what: "the loss seen" });
  proxy.heal();
  await insertAndTake(db, following, 3);
  await waitFor(() => following.source.stats.reconnects === 1, { what: "the new session" });
});

Deno.test("a stop ends a connection that is being made over a way that went silent", async () => {
  await using db = await withTable();
  using proxy = new Proxy(server);
  // Without limits it would be for ever.
  await using following = await Following.start(db, "test_decoding", {
    postgres: { ...through(proxy).postgres, connectTimeoutMs: 0 },
    slot: { silenceMs: 0 },
  });
  await insertAndTake(db, following, 1);
  proxy.stall();
  await free(db);
  proxy.cut();
  await waitFor(() => !following.source.stats.isConnected, { what: "the loss seen" });
  following.stop();
  assertEquals((await following.next()).done, true);
  await following.source.close();
});

for (const standby of [false, true]) {
  const how = standby ? "with --standby" : "without --standby";
  Deno.test(`nothing may be stored while another client holds the slot (${how})`, async () => {
    await using db = await withTable();
    using proxy = new Proxy(server);
    await using following = await Following.start(db, "test_decoding", {
      ...through(proxy),
      slot: { standby },
    });
    const { source } = following;
    await insertAndTake(db, following, 1);
    assert(source.isOurs);
    if (standby) await waitUntilAsked(db);
    proxy.stall();
    // With --standby nothing else is needed: the server may let go of us at any time.
    if (standby) await waitFor(() => !source.isOurs, { what: "the slot to be in doubt" });
    await free(db);
    const other = await Following.start(db, "test_decoding");
    proxy.heal();
    if (standby) {
      const error = await source.taken;
      assertEquals(error.code, SLOT_TAKEN);
      await assertFails(toTheEnd(following), [db.slot, "is taken"], false);
      await other[Symbol.asyncDispose]();
      return;
    }
    await waitFor(() => !source.isOurs, { what: "the other client to be seen" });
    await insertAndTake(db, other, 2);
    await other.until((message) => {
      if (message.kind !== "keepalive") return false;
      other.flushLsn = message.walEnd;
      return true;
    });
    await other[Symbol.asyncDispose]();
    const error = await toTheEnd(following).catch((error) => error);
    assert(error instanceof PostgresError, String(error));
    assertEquals(error.code, SLOT_TAKEN);
    assert(error.message.includes("moved by another client"), error.message);
    assert(!source.isOurs);
  });
}

for (const standby of [false, true]) {
  const how = standby ? "unseen, with --standby" : "seen, without";
  Deno.test(`a slot that another client has followed is read again, though it was not moved (${how})`, async () => {
    await using db = await withTable();
    using proxy = new Proxy(server);
    await using following = await Following.start(db, "test_decoding", {
      ...through(proxy),
      slot: { standby },
    });
    await insertAndTake(db, following, 1);
    proxy.stall();
    await free(db);
    // It may have stored again what we stored, and be killed in the middle of that.
    const other = await Following.start(db, "test_decoding");
    if (!standby) {
      proxy.heal();
      await waitFor(() => !following.source.isOurs, { what: "the other client to be seen" });
    }
    await other[Symbol.asyncDispose]();
    proxy.heal();
    let error: PostgresError | undefined;
    following.source.taken.then((taken) => error = taken);
    await waitFor(() => error, { what: "the slot to be in doubt" });
    assert(error instanceof SlotInDoubt, String(error));
    await assertFails(toTheEnd(following), [db.slot, "followed the slot"], false);
  });
}
