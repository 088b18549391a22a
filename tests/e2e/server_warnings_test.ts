import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Follower } from "../support/all_plugins.ts";

const ignore = !hasWal2json();
if (ignore) console.log(NO_DEBIAN_POSTGRES);

const keys = (records: readonly { readonly text: string }[]) =>
  records.map(({ text }) => text.split(",").slice(3).join(","));

Deno.test("a standby of synchronized_standby_slots that is down is waited for (18)", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key); create publication published for table t");
  const standby = `${db.slot}_standby`;
  const slot = `${db.slot}_pgoutput`;
  await db.sql("select pg_create_physical_replication_slot($1)", [standby]);
  await using follower = await Follower.create("pgoutput", db, kinesis);
  // Only failover slots wait for the standbys.
  await db.sql("select pg_drop_replication_slot($1)", [slot]);
  await db.sql("select pg_create_logical_replication_slot($1, 'pgoutput', failover => true)", [
    slot,
  ]);
  const set = async (value: string) => {
    await server.sql(`alter system set synchronized_standby_slots = '${value}'`);
    await server.sql("select pg_reload_conf()");
  };
  await set(standby);
  try {
    const program = await follower.start(["-f", "CSV"]);
    await program.waitForLog(/following slot/, 60_000);
    await db.sql("insert into t values (1)");
    await program.waitForLog(/WARNING \S+ sends no changes until a standby has them: .*_standby/);
    assertEquals(program.exitCode, undefined);
    assertEquals((await follower.records()).length, 0);
    await set("");
    await follower.catchUp();
    assertEquals(await program.stop(), 0, program.stderr);
    assertEquals(keys(await follower.records()), ["public.t,INSERT,1"]);
    assert(!/left .* out|publication/.test(program.stderr), program.stderr);
  } finally {
    await set("");
  }
});

Deno.test("a collation that has another version is told, and the run goes on", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const [collation] = await db.sql(
    "select collname from pg_collation where collprovider = 'i' and collname = 'en-x-icu'",
  );
  if (collation === undefined) return console.log("skipped: this server has no ICU collations");
  // Of a user's own collation no row filter may make use.
  await db.sql(`create table t (id int primary key, v text collate "en-x-icu");
    create publication published for table t where (v > 'a')`);
  await using follower = await Follower.create("pgoutput", db, kinesis);
  await db.sql(`alter table t replica identity full;
    update pg_collation set collversion = '0.1' where collname = 'en-x-icu'`);
  const program = await follower.start(["-f", "CSV"]);
  await program.waitForLog(/following slot/, 60_000);
  await db.sql("insert into t values (1, 'x'), (2, 'A')");
  await program.waitForLog(/WARNING \S+ says: WARNING: .*collation.*version/);
  await follower.catchUp();
  assertEquals(await program.stop(), 0, program.stderr);
  assertEquals(keys(await follower.records()), ["public.t,INSERT,1", "public.t,INSERT,2"]);
});

Deno.test("a publication of 18 that is gone still stops the run, with advice", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key); create publication published for table t");
  await using follower = await Follower.create("pgoutput", db, kinesis);
  const program = await follower.start(["-f", "CSV"]);
  await program.waitForLog(/following slot/, 60_000);
  await db.sql("drop publication published");
  await db.sql("insert into t values (1)");
  assertEquals(await program.waitForExit(), 1, program.stderr);
  assertMatch(
    program.stderr,
    /ERROR PostgreSQL left changes out after .*published.* create the publ/,
  );
});

Deno.test("filters apply to what wal2json leaves out", { ignore }, async (t) => {
  const server = await startDebianPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(
    `create schema logs; create table t (id int primary key); create table logs.bare (id int);
    create materialized view sums as select count(*)::int as n from t; create unique index on sums (n);
    insert into logs.bare values (1)`,
  );
  const cases: readonly {
    readonly flags: readonly string[];
    readonly stops: RegExp | undefined;
  }[] = [
    { flags: ["--exclude-table", "logs.*", "--exclude-table", "public.sums"], stops: undefined },
    { flags: ["--include-table", "public.t"], stops: undefined },
    { flags: ["--table-pat", "^public\\.t$"], stops: undefined },
    { flags: ["--operations", "insert"], stops: undefined },
    {
      flags: ["--exclude-table", "logs.*"],
      stops: /left a change out .*DELETE in table "public"."sums"/,
    },
    {
      flags: ["--exclude-table", "public.sums"],
      stops: /left a change out .*table "logs"."bare".*--excl/,
    },
  ];
  for (const { flags, stops } of cases) {
    await t.step(flags.join(" "), async () => {
      await using follower = await Follower.create("wal2json", db, kinesis);
      await db.sql("truncate t; insert into t values (1)");
      await db.sql("update logs.bare set id = id + 1");
      await db.sql("refresh materialized view concurrently sums");
      await db.sql("delete from logs.bare where id < 0; insert into t values (2)");
      await db.sql("refresh materialized view concurrently sums");
      await db.sql("delete from t");
      await db.sql("refresh materialized view concurrently sums");
      const program = await follower.start(["-f", "JSON", ...flags]);
      try {
        if (stops !== undefined) {
          assertEquals(await program.waitForExit(), 1, program.stderr);
          assertMatch(program.stderr, stops);
          return;
        }
        await follower.catchUp();
        assertEquals(await program.stop(), 0, program.stderr);
        assert(!/WARN/.test(program.stderr), program.stderr);
        const seen = (await follower.records()).map(({ text }) => JSON.parse(text));
        assertEquals(
          seen.filter(({ table, op }) => table === "t" && op === "insert").map(({ key }) => key.id),
          [1, 2],
        );
      } finally {
        await db.sql("select pg_drop_replication_slot($1)", [follower.db.slot]).catch(() => {});
      }
    });
  }
});
