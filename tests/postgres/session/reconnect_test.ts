import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import type { OutputPlugin } from "../../../src/options.ts";
import { connect } from "../../../src/postgres/connection/connection.ts";
import type { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import type { XLogData } from "../../../src/base/replication_message.ts";
import { ServerWatch } from "../../../src/postgres/session/server_watch.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { Following, textOf } from "../../support/following_source.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertFails, postgresOptions } from "../../support/postgres_options.ts";

/** Small transactions around large ones; ids grow in commit order. */
async function fill(db: FreshDatabase): Promise<number> {
  await db.sql(`create table t (id int primary key, v text);
    create publication ${db.slot} for table t`);
  await db.createSlot("test_decoding");
  await work(db);
  return ROWS;
}

const ROWS = 30_100;

async function work(db: FreshDatabase): Promise<void> {
  await db.sql(`do $$ begin
    for i in 1..50 loop insert into t values (i, 'small'); commit; end loop;
    for j in 0..2 loop
      insert into t select 51 + j * 10000 + g, repeat('x', 100) from generate_series(0, 9999) g; commit;
    end loop;
    for i in 30051..30100 loop insert into t values (i, 'small'); commit; end loop; end $$`);
}

/** Follows to the last row; `onBatch` may do harm. Gives the ids, and the messages beside rows. */
async function idsUntilEnd(following: Following, onBatch: (ids: number[]) => void | Promise<void>) {
  const ids: number[] = [];
  let depth = 0;
  while (ids.length < ROWS || depth > 0) {
    const { value, done } = await following.next();
    if (done) throw new Error("the source ended");
    for (const message of value) {
      const text = textOf(message);
      if (text.startsWith("BEGIN")) assertEquals(++depth, 1, "a transaction inside another");
      if (text.startsWith("COMMIT")) {
        assertEquals(--depth, 0, "an end without a beginning");
        following.flushLsn = (message as XLogData).walStart;
        following.source.confirm();
      }
      const id = /^table public\.t: INSERT: id\[integer\]:(\d+)/.exec(text)?.[1];
      if (id !== undefined) ids.push(Number(id));
    }
    await onBatch(ids);
  }
  return ids;
}

const ALL = Array.from({ length: ROWS }, (_, index) => index + 1);

function through(proxy: Proxy) {
  return { postgres: { hosts: [{ host: "127.0.0.1", port: proxy.port }] } };
}

Deno.test("a source goes on in the middle of a transaction, with every message once", async () => {
  const random = randomFrom(randomSeed());
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await fill(db);
  using proxy = new Proxy(server);
  await using following = await Following.start(db, "test_decoding", through(proxy));
  let next = 20;
  const ids = await idsUntilEnd(following, (ids) => {
    if (ids.length < next) return;
    proxy.cut();
    next = ids.length + 1 + Math.floor(random() * 9000);
  });
  assertEquals(ids, ALL);
  console.log(`${following.source.stats.reconnects} reconnects`);
  assert(following.source.stats.reconnects >= 3);
});

for (const plugin of ["test_decoding", "pgoutput"] as const satisfies OutputPlugin[]) {
  Deno.test(`a source skips no commit that follows a message outside it (${plugin})`, async () => {
    await using server = await startEmbeddedPostgres();
    await using db = await freshDatabase(server);
    await db.sql(`create table t (id int primary key); create publication ${db.slot} for table t`);
    await db.createSlot(plugin);
    using proxy = new Proxy(server);
    await using following = await Following.start(db, plugin, through(proxy));
    const client = await server.connect({ database: db.database });
    try {
      await client.query("begin; insert into t values (1)");
      await client.query("select pg_logical_emit_message(false, 'p', 'outside', flush => true)");
      // Its commit record begins where the message ends.
      await following.until((message) => textOf(message).endsWith("outside"));
      proxy.cut();
      await client.query("commit; insert into t values (2)");
    } finally {
      await client.end();
    }
    let commits = 0;
    const again = await following.until((message) =>
      textOf(message).startsWith("C") && ++commits === 2
    );
    const texts = again.map(textOf);
    assertEquals(texts.filter((text) => text.endsWith("outside")), []);
    assertEquals(texts.filter((text) => /^(table|I)/.test(text)).length, 2);
    await waitFor(() => following.source.stats.reconnects === 1, { what: "the reconnect counted" });
  });
}

for (const mode of ["fast", "immediate"] as const) {
  Deno.test(`a source survives a restart of the server (${mode})`, async () => {
    await using server = await startEmbeddedPostgres();
    await using db = await freshDatabase(server);
    await fill(db);
    await using following = await Following.start(db, "test_decoding");
    let restarting: Promise<void> | undefined;
    const ids = await idsUntilEnd(following, async (ids) => {
      if (ids.length <= 12_000 || restarting !== undefined) return;
      restarting = server.restart(mode);
      // Otherwise all may have come before the server goes.
      await waitFor(() => !following.source.stats.isConnected, { what: "the loss" });
    });
    await restarting;
    assertEquals(ids, ALL);
    assertEquals(following.source.stats.reconnects, 1);
  });
}

Deno.test("a fast shutdown does not wait for a source that nobody reads", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await fill(db);
  await using following = await Following.start(db, "test_decoding");
  await waitFor(() => !following.source.stats.isReading, { what: "the reading to stop" });
  // It would wait for ever, since the connection is kept alive.
  await server.stop("fast");
  await server.start();
  assertEquals(await idsUntilEnd(following, () => {}), ALL);
});

Deno.test("a watch that comes when the shutdown has begun tells of it, too", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await fill(db);
  const options = postgresOptions(server, { database: db.database });
  const walsender = await connect(options, "replication");
  const command = `START_REPLICATION SLOT ${db.slot} LOGICAL 0/0`;
  walsender.client.query(command).catch(() => {});
  await waitFor(
    async () => (await db.sql("select from pg_replication_slots where active")).length,
    {
      what: "the slot to be followed",
    },
  );
  const stopping = server.stop("fast");
  // The walsender's client confirms nothing: so long nobody else is let in, and nobody told.
  await waitFor(
    () => connect(options, "ordinary").then((other) => other.destroy(), (error) => error.code),
    { what: "the shutdown to begin" },
  );
  const told = Promise.withResolvers<PostgresError>();
  const watch = new ServerWatch(
    ...[options, options.hosts[0]!, told.resolve, systemClock, Math.random] as const,
  );
  assertEquals((await told.promise).code, "57P03");
  watch.close();
  walsender.destroy();
  await stopping;
  await server.start();
});

Deno.test("a source survives the end of its walsender", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await fill(db);
  await using following = await Following.start(db, "test_decoding");
  let ended = 0;
  const ids = await idsUntilEnd(following, async (ids) => {
    if (ids.length < (ended + 1) * 7000) return;
    ended++;
    await terminate(server);
  });
  assertEquals(ids, ALL);
});

async function terminate(server: TestPostgres): Promise<void> {
  await server.sql(
    "select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null",
  );
}

Deno.test("a connection that fell silent counts as lost", async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } });
  await using db = await freshDatabase(server);
  await fill(db);
  using proxy = new Proxy(server);
  await using following = await Following.start(db, "test_decoding", {
    ...through(proxy),
    slot: { silenceMs: 2000 },
  });
  let stalled = false;
  const ids = await idsUntilEnd(following, async (ids) => {
    if (stalled || ids.length < 12_000) return;
    stalled = true;
    proxy.stall();
    // What was on its way arrives; then nothing does.
    const gone = waitFor(() => !following.source.stats.isConnected, { what: "the loss seen" });
    void gone.then(() => proxy.heal());
    await Promise.resolve();
  });
  assertEquals(ids, ALL);
  assertEquals(following.source.stats.reconnects, 1);
});

for (const plugin of ["test_decoding", "pgoutput"] as const satisfies OutputPlugin[]) {
  Deno.test(`a slot that was dropped or made anew behind our back stops the run (${plugin})`, async () => {
    await using server = await startEmbeddedPostgres();
    for (const anew of [false, true]) {
      await using db = await freshDatabase(server);
      await db.sql(
        `create table t (id int primary key); create publication ${db.slot} for table t`,
      );
      await db.createSlot(plugin);
      using proxy = new Proxy(server);
      await using following = await Following.start(db, plugin, through(proxy));
      await db.sql("insert into t values (1)");
      await following.until((message) => textOf(message).startsWith("C"));
      proxy.stall();
      await terminate(server);
      await waitFor(async () => {
        const [slot] = await db.sql(
          "select active from pg_replication_slots where slot_name = $1",
          [db.slot],
        );
        return slot!.active === false;
      }, { what: "the slot let go" });
      await db.sql("select pg_drop_replication_slot($1)", [db.slot]);
      await db.sql("insert into t values (2)");
      if (anew) await db.createSlot(plugin);
      proxy.heal();
      await assertFails(
        (async () => {
          while (true) await following.next();
        })(),
        anew
          ? [db.slot, "recreated", "fill the gap"]
          : [db.slot, "dropped", "--create-slot", "fill the gap"],
        false,
      );
    }
  });
}
