import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { type Lsn, parseLsn } from "../../../src/base/lsn.ts";
import type { XLogData } from "../../../src/base/replication_message.ts";
import { standBy } from "../../../src/postgres/slot/stand_by.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { confirmedLsn, Following, textOf } from "../../support/following_source.ts";
import { Proxy } from "../../support/proxy.ts";
import {
  assertFails,
  postgresOptions,
  prepare,
  slotOptions,
} from "../../support/postgres_options.ts";

/** The same database and slot on another server. */
function on(server: TestPostgres, db: FreshDatabase): FreshDatabase {
  const { database } = db;
  return { ...db, server, sql: (text, values) => server.sql(text, { database, values }) };
}

/** A primary with a failover slot, and its standby; nothing is dropped in the end, the servers are. */
async function startPair(parts: AsyncDisposableStack) {
  const primary = parts.use(
    await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } }),
  );
  const db = await freshDatabase(primary);
  await db.sql("create table t (id int primary key, v text)");
  const standby = parts.use(await primary.startStandby({ sync_replication_slots: "on" }));
  const { created } = await prepare(db, "test_decoding", { create: true, failover: true });
  assert(created);
  return { primary, standby, db, there: on(standby, db) };
}

/** Follows whichever of the two is the primary. */
async function followBoth(
  parts: AsyncDisposableStack,
  { db, primary, standby }: Awaited<ReturnType<typeof startPair>>,
): Promise<Following> {
  const hosts = [primary, standby].map(({ host, port }) => ({ host, port }));
  return parts.use(await Following.start(db, "test_decoding", { postgres: { hosts } }));
}

/** Makes a slot on a standby, which waits for the primary to tell of its running transactions. */
async function makeOnStandby(db: FreshDatabase, own: FreshDatabase) {
  const preparing = prepare(own, "test_decoding", { create: true });
  let isMade = false;
  void preparing.then(() => isMade = true, () => isMade = true);
  await waitFor(async () => {
    await db.sql("select pg_log_standby_snapshot()");
    return isMade;
  }, { what: "the slot to be made", intervalMs: 200 });
  return await preparing;
}

/** Takes what comes. Gives the ids above 0, and each commit's end. */
function take(following: Following) {
  const ids: number[] = [];
  const ends: Lsn[] = [];
  const kinds = new Set<string>();
  const taking = { ids, ends, kinds, confirms: true, more };
  async function more(until: () => boolean) {
    while (!until()) {
      const { value, done } = await following.next();
      if (done) throw new Error("the source ended");
      for (const message of value) {
        kinds.add(message.kind);
        const text = textOf(message);
        const id = Number(/INSERT: id\[integer\]:(-?\d+)/.exec(text)?.[1] ?? 0);
        if (id > 0) ids.push(id);
        if (!text.startsWith("COMMIT")) continue;
        ends.push((message as XLogData).walStart);
        if (!taking.confirms) continue;
        following.flushLsn = ends.at(-1)!;
        following.source.confirm();
      }
    }
  }
  return taking;
}

/**
 * Takes rows until the standby has a copy of the slot that a promotion keeps: that is when the
 * primary's slot has passed the standby's own WAL.
 */
async function waitUntilSynced(
  { db, there }: { db: FreshDatabase; there: FreshDatabase },
  { ends, more }: ReturnType<typeof take>,
) {
  let id = 0;
  await waitFor(async () => {
    const taken = ends.length;
    // Each on its own, so that there is a moment without running transactions.
    await db.sql(`insert into t values (${--id})`);
    await db.sql("select pg_log_standby_snapshot()");
    await more(() => ends.length > taken);
    // Wakes the worker, which else sleeps for up to half a minute.
    await there.sql("select pg_reload_conf()");
    const [row] = await there.sql(
      "select synced and not temporary as done from pg_replication_slots where slot_name = $1",
      [there.slot],
    );
    return row?.done;
  }, { what: "the slot on the standby", timeoutMs: 90_000 });
}

Deno.test("a source goes on on a promoted standby, with every change of it once and in order", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { primary, standby, db, there } = pair;
  // Nothing is decoded that the standby does not have.
  await db.sql("alter system set synchronized_standby_slots = 'standby'");
  await db.sql("select pg_reload_conf()");
  const following = await followBoth(parts, pair);
  const taking = take(following);
  const { ids, kinds, more } = taking;
  await waitUntilSynced(pair, taking);
  // Another host, that waits for the slot on whichever server is the primary.
  const hosts = [primary, standby].map(({ host, port }) => ({ host, port }));
  const waiting = standBy(
    postgresOptions(primary, { hosts, database: db.database }),
    slotOptions(db, "test_decoding", { standby: true }),
    new AbortController().signal,
    false,
    systemClock,
    Math.random,
  );
  let isFree = false;
  void waiting.then(() => isFree = true, () => isFree = true);
  const client = await primary.connect({ database: db.database });
  const writing = (async () => {
    for (let id = 1;; id += 10) {
      await client.query(
        "insert into t select g, repeat('x', 200) from generate_series($1::int, $1 + 9) g",
        [id],
      );
    }
  })().catch(() => {});
  await more(() => ids.length > 2000);
  await primary.kill9();
  await writing;
  await waitFor(() => !following.source.stats.isConnected, { what: "the loss" });
  await standby.sql("select pg_promote()");
  await there.sql("insert into t values (1000000)");
  await more(() => ids.at(-1) === 1_000_000);
  const rows = await there.sql("select id from t where id > 0 order by id");
  assertEquals(ids, rows.map(({ id }) => id));
  assert(kinds.has("timeline"));
  assert(!isFree, "the slot was held, or nowhere to be followed, all the time");
  following.stop();
  await following.source.close();
  await waiting;
});

Deno.test("nothing behind the end of a timeline is confirmed on the next one", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { primary, standby, db, there } = pair;
  const following = await followBoth(parts, pair);
  const taking = take(following);
  const { ids, ends, kinds, more } = taking;
  await db.sql("insert into t values (1)");
  await waitUntilSynced(pair, taking);
  taking.confirms = false;
  // What the standby does not have by the time of its promotion is lost to the database.
  await standby.stop();
  const before = ends.length;
  await db.sql("insert into t values (2); insert into t values (3)");
  await more(() => ids.includes(3) && ends.length > before);
  await primary.kill9();
  await standby.start();
  await standby.sql("select pg_promote()");
  const [{ branch } = {}] = await standby.sql(
    "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as branch",
  );
  // Stored in the meantime, and of a transaction that is not in this history.
  following.flushLsn = ends.at(-1)! + 1_000_000n;
  await waitFor(() => following.source.stats.reconnects === 1, { what: "the new connection" });
  following.source.confirm();
  for (const id of [4, 5]) await there.sql("insert into t values ($1)", [id]);
  const replied = async () =>
    (await there.sql("select reply_time as at from pg_stat_replication"))[0]?.at?.getTime();
  const first = await waitFor(replied, { what: "a status update" });
  await waitFor(async () => await replied() > first, { what: "another status update" });
  assert(await confirmedLsn(there) <= BigInt(branch));
  await more(() => ids.includes(5));
  assertEquals(ids, [1, 2, 3, 4, 5]);
  assert(kinds.has("timeline"));
});

Deno.test("a standby that is promoted while it is asked who it is does not pass for the old primary", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { primary, standby, db, there } = pair;
  using way = new Proxy(standby);
  const following = await followBoth(parts, {
    ...pair,
    standby: { ...standby, host: "127.0.0.1", port: way.port },
  });
  const taking = take(following);
  const { ids, ends, more } = taking;
  await waitUntilSynced(pair, taking);
  taking.confirms = false;
  await standby.stop();
  const before = await walEnd(db);
  await db.sql(`insert into t select 1, ${MEGABYTE}`);
  await more(() => ends.at(-1)! > before + 1_000_000n);
  await primary.kill9();
  await standby.start();
  let promoting: Promise<unknown> | undefined;
  way.beforeAnswer = async (bytes) => {
    // It has told its timeline, and nothing else of what it is asked behind that.
    if (new TextDecoder().decode(bytes).includes("systemid")) {
      await (promoting ??= standby.sql("select pg_promote()"));
    }
  };
  await waitFor(() => promoting, { what: "the standby to be asked who it is" });
  await promoting;
  await there.sql("insert into t values (2)");
  await more(() => ids.includes(2));
  assertEquals(ids, [1, 2]);
});

Deno.test("nothing behind the end of the first of two timelines is confirmed while both wait to be worked off", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { primary, standby, db, there } = pair;
  const following = await followBoth(parts, pair);
  const taking = take(following);
  const { ids, ends, more } = taking;
  await waitUntilSynced(pair, taking);
  taking.confirms = false;
  await standby.stop();
  const before = await walEnd(db);
  await db.sql(`insert into t select 1, ${MEGABYTE}`);
  await more(() => ends.at(-1)! > before + 1_000_000n);
  await primary.kill9();
  await standby.start();
  await standby.sql("select pg_promote()");
  const branch = await walEnd(there);
  await waitFor(() => following.source.stats.reconnects === 1, { what: "the first connection" });
  assert(following.source.stats.receivedLsn < ends.at(-1)!, "what is lost is not ahead of us");
  // The second timeline ends behind what was lost with the first.
  await there.sql(`insert into t select 2, ${MEGABYTE}`);
  await there.sql(`insert into t select 3, ${MEGABYTE}`);
  await standby.stop();
  await Deno.writeTextFile(`${standby.dataDir}/standby.signal`, "");
  await standby.start();
  await standby.sql("select pg_promote()");
  assert(await walEnd(there) > ends.at(-1)!);
  await waitFor(() => following.source.stats.reconnects === 2, { what: "the second connection" });
  // Stored only now, while nothing of the second timeline is.
  following.flushLsn = ends.at(-1)!;
  following.source.confirm();
  const replied = async () =>
    (await there.sql("select reply_time as at from pg_stat_replication"))[0]?.at?.getTime();
  const first = await waitFor(replied, { what: "a status update" });
  await waitFor(async () => await replied() > first, { what: "another status update" });
  assert(await confirmedLsn(there) <= branch);
  await more(() => ids.includes(3));
  assertEquals(ids, [1, 2, 3]);
});

/** A text of 1.6 million letters that cannot be made much shorter. */
const MEGABYTE = "(select string_agg(md5(g::text), '') from generate_series(1, 50000) g)";

async function walEnd(db: FreshDatabase): Promise<Lsn> {
  const [row] = await db.sql("select pg_current_wal_insert_lsn()::text as lsn");
  return parseLsn(row!.lsn);
}

Deno.test("a source stops when a confirmed change is not in the history of the promoted standby", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { primary, standby, db } = pair;
  const following = await followBoth(parts, pair);
  const taking = take(following);
  const { ids, ends, more } = taking;
  await waitUntilSynced(pair, taking);
  await standby.stop();
  const before = ends.length;
  await db.sql("insert into t values (2)");
  await more(() => ids.includes(2) && ends.length > before);
  await waitFor(async () => await confirmedLsn(db) === ends.at(-1), {
    what: "the second confirmed",
  });
  await primary.kill9();
  await standby.start();
  await standby.sql("select pg_promote()");
  await assertFails(more(() => false), ["timeline", "which was confirmed", "failover"], false);
});

Deno.test("a slot's copy on a standby is refused until the promotion, and a slot of its own is followed", async () => {
  await using parts = new AsyncDisposableStack();
  const pair = await startPair(parts);
  const { db, there } = pair;
  await waitUntilSynced(pair, take(await followBoth(parts, pair)));
  await assertFails(
    prepare(there, "test_decoding"),
    [there.slot, "copy of the primary's", "target_session_attrs=primary"],
    false,
  );
  const own = { ...there, slot: `${there.slot}_own` };
  assertEquals((await makeOnStandby(db, own)).server.isStandby, true);
  const following = parts.use(await Following.start(own, "test_decoding"));
  const { ids, more } = take(following);
  await db.sql("insert into t values (2)");
  await more(() => ids.length === 1);
  assertEquals(ids, [2]);
});

Deno.test("a standby that is promoted under an open session is found before what it writes is passed on", async () => {
  await using parts = new AsyncDisposableStack();
  const { primary, standby, db, there } = await startPair(parts);
  const own = { ...there, slot: `${there.slot}_own` };
  await makeOnStandby(db, own);
  const following = parts.use(await Following.start(own, "test_decoding"));
  /** Ids, and the timeline that was told before them. */
  const taken: [timeline: number, id: number][] = [];
  let timeline = 0;
  const more = async (until: () => boolean) => {
    while (!until()) {
      const { value, done } = await following.next();
      if (done) throw new Error("the source ended");
      for (const message of value) {
        if (message.kind === "timeline") timeline = message.timelines.spans.at(-1)!.timeline;
        const id = Number(/INSERT: id\[integer\]:(-?\d+)/.exec(textOf(message))?.[1] ?? 0);
        if (id > 0) taken.push([timeline, id]);
      }
    }
  };
  await db.sql("insert into t select generate_series(1, 500)");
  await more(() => taken.length === 500);
  await primary.kill9();
  await standby.sql("select pg_promote()");
  // As fast as it can: the old session streams all of it.
  for (let id = 501; id <= 520; id++) await there.sql("insert into t values ($1)", [id]);
  await more(() => taken.length >= 520);
  assertEquals(taken, Array.from({ length: 520 }, (_, n) => [n < 500 ? 1 : 2, n + 1]));
  assertEquals(following.source.stats.reconnects, 1);
});

const hasDebian = findDebianPostgres() !== undefined;
if (!hasDebian) console.warn(NO_DEBIAN_POSTGRES);

Deno.test(
  "a failover slot is refused by servers older than 17",
  { ignore: !hasDebian },
  async () => {
    await using server = await startDebianPostgres();
    await using db = await freshDatabase(server);
    await assertFails(
      prepare(db, "test_decoding", { create: true, failover: true }),
      ["PostgreSQL 15", "came with 17", "--slot-failover"],
      false,
    );
  },
);
