import { assert, assertEquals, assertMatch } from "@std/assert";
// @ts-types="@types/pg"
import type pg from "pg";
import type { OutputPlugin } from "../../src/options.ts";
import { Follower } from "../support/all_plugins.ts";
import { ask, consumed, ended, parsed } from "../support/backfilled.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { Row, TestPostgres } from "../support/test_postgres.ts";
import { waitFor } from "../support/wait.ts";

// A commit with synchronous_commit on waits for a standby that is not there: decoded, but not to be seen.
const settings = { synchronous_standby_names: "nobody", synchronous_commit: "local" };
const embedded = await startEmbeddedPostgres({ settings });
const debian = hasWal2json() ? await startDebianPostgres({ settings }) : undefined;
if (debian === undefined) console.log(`${NO_DEBIAN_POSTGRES}: goes on with 18 alone`);

interface Case {
  readonly name: string;
  readonly server: TestPostgres;
  readonly plugin: OutputPlugin;
}

/** Each plugin, and both servers. */
const CASES: readonly Case[] = [
  ...debian === undefined ? [] : [
    { name: "test_decoding, 15", server: debian, plugin: "test_decoding" } as const,
    { name: "wal2json, 15", server: debian, plugin: "wal2json" } as const,
  ],
  { name: "pgoutput, 18", server: embedded, plugin: "pgoutput" },
];
const ONE_OF_EACH_SERVER = CASES.length === 1 ? CASES : [CASES[0]!, CASES.at(-1)!];
const WITH_FILTERS = CASES.slice(-1);

/** Rows that are read in about three seconds, a hundred at a time. */
const SLOWLY = ["-f", "JSON", "--backfill-rate", "100"];
const TABLE = `
  create table t (id int primary key, v text, big text);
  alter table t alter big set storage external;
  insert into t select n, 'old', repeat('x', 3000) || n from generate_series(1, 300) n;
  create publication published for table t`;

interface Scene extends AsyncDisposable {
  readonly db: FreshDatabase;
  readonly follower: Follower;
  readonly kinesis: TestKinesis;
}

async function scene(
  { server, plugin }: Case,
  sql: string,
  flags: readonly string[] = SLOWLY,
  env: Readonly<Record<string, string>> = {},
): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const kinesis = stack.use(await startKinesalite());
  const db = stack.use(await freshDatabase(server));
  await db.sql(sql);
  const follower = stack.use(await Follower.create(plugin, db, kinesis));
  await follower.start(flags, env);
  return {
    ...{ kinesis, follower, db: follower.db },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Waits until the stream has a record that is as wanted. */
async function stored({ follower }: Scene, what: string, isIt: (change: Row) => boolean) {
  await waitFor(async () => (await follower.records()).some((record) => isIt(parsed(record))), {
    what: `the stream to have ${what}`,
    found: () => follower.program.stderr,
  });
}

/** Waits for one of the two; what keeps to the rules comes to the first, what does not to the second. */
async function waitsOrEnds({ follower }: Scene, waiting: RegExp): Promise<void> {
  await waitFor(() => {
    const { stderr } = follower.program;
    return waiting.test(stderr) || /backfill r has ended/.test(stderr);
  }, { what: `${waiting} or an end`, found: () => follower.program.stderr });
}

/** Both consumers who began empty have what the table has. */
async function assertWhole(scene: Scene, plugin: OutputPlugin, table = "t"): Promise<void> {
  const { follower, db } = scene;
  await ended(follower, "r");
  await follower.catchUp();
  assertEquals(await follower.program.stop(), 0, follower.program.stderr);
  const records = await follower.records();
  const rows = await db.sql(`select to_jsonb(t) as row from ${table} t order by id`);
  const asText = (row: Row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)]));
  const wanted = new Map(rows.map(({ row }) => [String(row.id), asText(row)]));
  for (const by of plugin === "test_decoding" ? ["last"] as const : ["last", "position"] as const) {
    const found = new Map(
      [...consumed(records, by).values()].map((row) => [String(row.id), row]),
    );
    for (const [id, row] of wanted) assertEquals(found.get(id), row, `${by}: ${id}`);
    assertEquals(found.size, wanted.size, by);
  }
}

/** Runs a statement whose commit waits for the standby that is not there, until `release`. */
async function hang({ db }: Scene, sql: string) {
  const client: pg.Client = await db.server.connect({ database: db.database });
  await client.query("set synchronous_commit = on");
  const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
  const done = client.query(sql);
  await waitFor(async () => {
    const [row] = await db.sql("select wait_event from pg_stat_activity where pid = $1", [pid]);
    return row?.wait_event === "SyncRep";
  }, { what: "a commit to wait for a standby" });
  return {
    async release() {
      // Ends the wait with a warning; the transaction is committed.
      await db.sql("select pg_cancel_backend($1)", [pid]);
      await done;
      await client.end();
    },
  };
}

for (const each of CASES) {
  Deno.test(`a row whose change cannot be seen yet is read again (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    const commit = await hang(stage, "update t set v = 'new' where id = 290");
    await stored(stage, "the change", ({ op }) => op === "update");
    await stored(stage, "the last row", ({ op, key }) => op === "read" && key.id === "300");
    await commit.release();
    await assertWhole(stage, each.plugin);
  });

  Deno.test(`a key that moved and left values in TOAST arrives whole (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    // From where nothing was read yet to where all was.
    await stage.db.sql("update t set id = -5 where id = 290");
    await assertWhole(stage, each.plugin);
  });

  Deno.test(`a key to be read again waits until its change can be seen (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    const commit = await hang(stage, "update t set id = -5 where id = 290");
    await stored(stage, "the change", ({ key }) => key?.id === "-5");
    await stored(stage, "the last row", ({ op, key }) => op === "read" && key.id === "300");
    await commit.release();
    await assertWhole(stage, each.plugin);
  });
}

for (const each of CASES) {
  Deno.test(`a table that is emptied and filled again while it is read arrives as it is then (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    await stage.db.sql(`begin; truncate t;
      insert into t select n, 'new', repeat('y', 3000) || n from generate_series(50, 350, 3) n; commit`);
    await stored(stage, "the TRUNCATE", ({ op }) => op === "truncate");
    await stage.db.sql("update t set v = 'newer' where id between 200 and 220");
    await assertWhole(stage, each.plugin);
  });
}

// What a plugin has no part in.
for (const each of ONE_OF_EACH_SERVER) {
  Deno.test(`after a restart, too, such a row is read late enough (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    const commit = await hang(stage, "update t set v = 'new' where id = 290");
    await stored(stage, "the change", ({ op }) => op === "update");
    // Beyond which the change does not come again.
    await stage.follower.catchUp();
    await stage.follower.program.kill9();
    await stage.follower.start(SLOWLY);
    await waitsOrEnds(stage, /waits for a transaction that wrote to it before \(process \d+\)/);
    await commit.release();
    await assertWhole(stage, each.plugin);
  });

  Deno.test(`a transaction that stays open delays its own table alone, and is named (${each.name})`, async () => {
    await using stage = await scene(
      each,
      `${TABLE}; create table other as select * from t; alter table other add primary key (id);
       alter publication published add table other`,
      ["-f", "JSON"],
    );
    const { db, follower: { program } } = stage;
    const client = await db.server.connect({ database: db.database });
    await client.query("begin; update t set v = 'held' where id = 5");
    const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
    await ask(db, ["public.*"], "r");
    await waitsOrEnds(stage, /the backfill of public\.t waits for a transaction that wrote/);
    assertMatch(program.stderr, new RegExp(`wrote to it before \\(process ${pid}\\)`));
    await stored(
      stage,
      "the other table's end",
      ({ op, table }) => op === "backfill" && table === "other",
    );
    await db.sql("update t set v = 'live' where id = 6");
    await stored(stage, "a change meanwhile", ({ op, key }) => op === "update" && key.id === "6");
    const read = (await stage.follower.records()).map(parsed);
    assertEquals(read.filter(({ op, table }) => op === "read" && table === "t"), []);
    await client.query("commit");
    await client.end();
    await assertWhole(stage, each.plugin);
  });

  Deno.test(`a table that is rewritten before it is locked is read whole (${each.name})`, async () => {
    await using stage = await scene(each, TABLE);
    await ask(stage.db, ["public.t"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    const client = await stage.db.server.connect({ database: stage.db.database });
    await client.query("begin; alter table t alter v type varchar(20)");
    await waitFor(async () => {
      const [row] = await stage.db.sql(
        "select count(*) as n from pg_locks where relation = 't'::regclass and not granted",
      );
      return row!.n !== "0";
    }, { what: "the reader to wait for its lock" });
    await client.query("commit");
    await client.end();
    await assertWhole(stage, each.plugin);
  });

  Deno.test(`rows that row level security hides are an error (${each.name})`, async () => {
    await using stage = await scene(
      each,
      `${TABLE}; alter table t enable row level security;
       create policy few on t using (id < 10);
       do $$ begin create role reader_of_some login replication password 'p'; exception when duplicate_object then null; end $$;
       grant select on t to reader_of_some`,
      ["-f", "JSON", "-u", "reader_of_some"],
      { PGPASSWORD: "p" },
    );
    await ask(stage.db, ["public.t"], "r");
    await ended(stage.follower, "r");
    await stage.follower.program.stop();
    assertMatch(stage.follower.program.stderr, /given up: it has row level security.*BYPASSRLS/);
    const records = (await stage.follower.records()).map(parsed);
    assertEquals(records.map(({ op, complete }) => [op, complete]), [["backfill", false]]);
  });

  Deno.test(`a table that others inherit from is read by itself (${each.name})`, async () => {
    await using stage = await scene(
      each,
      `${TABLE}; create table child (primary key (id)) inherits (t);
       insert into child values (1000, 'of the child', '')`,
      ["-f", "JSON"],
    );
    await ask(stage.db, ["public.t"], "r");
    await ended(stage.follower, "r");
    await stage.follower.program.stop();
    const records = (await stage.follower.records()).map(parsed);
    assertEquals(records.length, 301);
    assert(records.every(({ table }) => table === "t"));
  });
}

for (const each of WITH_FILTERS) {
  Deno.test("a table that was added to the publication waits for who wrote to it before", async () => {
    await using stage = await scene(each, TABLE.replace("for table t", ""), ["-f", "JSON"]);
    const client = await stage.db.server.connect({ database: stage.db.database });
    await client.query("begin; update t set v = 'new' where id = 5");
    await stage.db.sql("alter publication published add table t");
    await ask(stage.db, ["public.t"], "r");
    await waitsOrEnds(stage, /waits for a transaction that wrote to it before/);
    await client.query("commit");
    await client.end();
    await assertWhole(stage, each.plugin);
  });

  Deno.test("a row that enters a row filter arrives whole", async () => {
    await using stage = await scene(
      each,
      `${TABLE}; alter table t replica identity full; alter table t replica identity default;
       create table f (id int primary key, n int not null, big text);
       alter table f alter big set storage external;
       create unique index f_identity on f (id, n);
       alter table f replica identity using index f_identity;
       insert into f select n, n - 2, repeat('x', 3000) || n from generate_series(1, 300) n;
       alter publication published add table f where (n > 0)`,
    );
    await ask(stage.db, ["public.f"], "r");
    await stored(stage, "a first row", ({ op }) => op === "read");
    await stage.db.sql("update f set n = 7 where id = 1");
    await ended(stage.follower, "r");
    await stage.db.sql("delete from f where n <= 0");
    await assertWhole(stage, each.plugin, "f");
  });

  Deno.test("of several publications the filters of those count that publish inserts", async () => {
    await using stage = await scene(
      each,
      `create table f (id int primary key, n int);
       create unique index on f (id);
       insert into f select n, n from generate_series(1, 20) n;
       alter table f replica identity full;
       create publication published for table f where (n > 10);
       create publication deletes for table f with (publish = 'delete')`,
      ["-f", "JSON", "--pg-publication", "deletes"],
    );
    await ask(stage.db, ["public.f"], "r");
    await ended(stage.follower, "r");
    await stage.follower.program.stop();
    const records = (await stage.follower.records()).map(parsed);
    const read = records.filter(({ op }) => op === "read").map(({ key }) => Number(key.id));
    assertEquals(read, [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });
}
