import { assertEquals, assertMatch } from "@std/assert";
import { startKinesalite } from "../support/kinesalite.ts";
import type { StoredRecord } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Follower, followWithAll, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

/** The change of a full-change record. */
// deno-lint-ignore no-explicit-any
function change({ text }: StoredRecord): any {
  return JSON.parse(text.slice("0,CDC,".length)).change;
}

Deno.test("a LATIN1 database: pgoutput's changes are UTF-8, the other plugins are refused", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server, "encoding 'LATIN1' template template0");
  await db.sql(`create table "größe" ("schlüssel" text primary key, v text);
    create publication published for table "größe"`);
  const write = `insert into "größe" values ('é', 'ÿ ½ naïve')`;
  const key = `public.größe:é`;
  for (const plugin of plugins) {
    await using follower = await Follower.create(plugin, db, kinesis);
    await db.sql(`truncate "größe"; ${write}`);
    if (plugin === "pgoutput") {
      await follower.start(["--full-change"]);
      await follower.catchUp();
      const row = (await follower.records()).at(-1);
      assertEquals(row!.partitionKey, key);
      const { table, columnnames, columnvalues } = change(row!);
      assertEquals([table, columnnames, columnvalues], [
        "größe",
        ["schlüssel", "v"],
        ["é", "ÿ ½ naïve"],
      ]);
      assertEquals(await follower.program.stop(), 0, follower.program.stderr);
    } else {
      const { code, stderr } = await follower.run(["--full-change"]);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, / ERROR .*LATIN1.*--pg-slot-output-plugin pgoutput/);
      assertEquals(await follower.records(), []);
    }
  }
});

Deno.test("a database with settings of its own: values leave as they always do", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  for (
    const setting of [
      "datestyle = 'SQL, DMY'",
      "intervalstyle = 'sql_standard'",
      "extra_float_digits = -15",
      "bytea_output = 'escape'",
      "standard_conforming_strings = off",
      "timezone = 'UTC'",
    ]
  ) await db.sql(`alter database ${db.database} set ${setting}`);
  await db.sql(`create table t (id bytea primary key, at timestamp, day date, tz timestamptz,
      took interval, f float8, r float4);
    create publication published for table t`);
  const stored = await followWithAll(
    { plugins, db, kinesis, flags: ["--full-change"] },
    async () => {
      await db.sql(
        `insert into t values (decode('00ff5c', 'hex'), make_timestamp(2026, 2, 1, 3, 4, 5.6),
      make_date(2026, 2, 1), make_timestamptz(2026, 2, 1, 3, 4, 5.6, 'UTC'),
      make_interval(1, 2, 0, 3, 4, 5, 6), 1::float8 / 3, 1::float4 / 3)`,
      );
    },
  );
  for (const [plugin, records] of stored) {
    assertEquals(records.map(({ partitionKey }) => partitionKey), ["public.t:\\x00ff5c"], plugin);
    assertEquals(change(records[0]!).columnvalues, [
      "00ff5c",
      "2026-02-01 03:04:05.6",
      "2026-02-01",
      "2026-02-01 03:04:05.6+00",
      "1 year 2 mons 3 days 04:05:06",
      0.3333333333333333,
      0.33333334,
    ], plugin);
  }
});

Deno.test("transactions that overlap, roll back or are prepared come in the order of their commits", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`create table tx (id int primary key);
    create publication published for table tx`);
  const stored = await followWithAll(
    { plugins, db, kinesis, flags: ["-f", "JSON"] },
    async (catchUp) => {
      const [a, b] = [
        await server.connect({ database: db.database }),
        await server.connect({ database: db.database }),
      ];
      try {
        await a.query("begin; insert into tx values (1)");
        await b.query("begin; insert into tx values (2)");
        await a.query("insert into tx values (3)");
        await b.query("savepoint s; insert into tx values (4)");
        await b.query("rollback to s; insert into tx values (5); commit");
        await a.query("savepoint s; insert into tx values (6); release s; commit");
        await a.query("begin; insert into tx values (7); rollback");
        await a.query("begin; insert into tx values (8); insert into tx values (9)");
        await a.query("prepare transaction 'later'");
        await b.query("begin; insert into tx values (10); prepare transaction 'never'");
        await b.query("insert into tx values (11)");
        // What is prepared holds nothing else back.
        await catchUp();
        await b.query("rollback prepared 'never'");
        await b.query("commit prepared 'later'");
        await b.query("insert into tx values (12)");
      } finally {
        await a.end();
        await b.end();
      }
    },
  );
  for (const [plugin, records] of stored) {
    const changes = records.map(({ text }) => JSON.parse(text));
    assertEquals(changes.map(({ key }) => key.id), [2, 5, 1, 3, 6, 11, 8, 9, 12], plugin);
    assertEquals(changes.slice(2, 5).map(({ seq }) => seq), [0, 1, 2], plugin);
    const xids = changes.map(({ xid }) => xid);
    const sameAsBefore = xids.map((xid, i) => i > 0 && xid === xids[i - 1]);
    const no = false, yes = true;
    assertEquals(sameAsBefore, [no, yes, no, yes, yes, no, no, yes, no], plugin);
  }
});

Deno.test("a slot that decodes prepared transactions early is refused", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create publication published");
  for (const plugin of plugins) {
    await using follower = await Follower.create(plugin, db, kinesis);
    await db.sql("select pg_drop_replication_slot($1)", [follower.db.slot]);
    await db.sql("select pg_create_logical_replication_slot($1, $2, false, true)", [
      follower.db.slot,
      plugin,
    ]);
    const { code, stderr } = await follower.run(["-f", "JSON"]);
    assertEquals(code, 1, stderr);
    assertMatch(stderr, / ERROR .*two_phase.*--recreate-slot/);
  }
});
