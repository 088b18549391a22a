import { assertEquals, assertMatch } from "@std/assert";
import { Follower, startNewAndOld } from "../support/all_plugins.ts";
import { ask, consumed, ended, parsed } from "../support/backfilled.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const CASES = await startNewAndOld();

/** In the order of their OIDs: the first one is none of the request's, the second is read when the run dies. */
const TABLES = `
  create table late (id int primary key, v text);
  create table t_revoked (id int primary key, v text);
  create table parts (id int primary key, v text) partition by range (id);
  create table parts_1 partition of parts for values from (0) to (100);
  create table parts_2 partition of parts for values from (100) to (200);
  create table nested (id int primary key, v text) partition by range (id);
  create table nested_1 partition of nested for values from (300) to (400);
  create table t_renamed (id int primary key, v text);
  create table t_dropped (id int primary key, v text);
  create table t_kept (id int primary key, v text);
  insert into t_revoked select n, 'v' || n from generate_series(1, 6000) n; analyze t_revoked;
  insert into late select n, 'v' || n from generate_series(200, 219) n;
  insert into parts select n, 'v' || n from generate_series(90, 109) n;
  insert into nested select n, 'v' || n from generate_series(300, 319) n;
  insert into t_renamed select n, 'v' || n from generate_series(1, 20) n;
  insert into t_dropped select n, 'v' || n from generate_series(1, 20) n;
  insert into t_kept select n, 'v' || n from generate_series(1, 20) n;
  create publication published for all tables`;

for (const { name, server, plugin } of CASES) {
  Deno.test(`whatever happens to tables while no run reads them, the next one leaves none out without a word (${name})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const role = `run_${db.slot}`;
    await db.sql(`create role ${role} login replication; grant usage on schema public to ${role};
      alter default privileges grant select on tables to ${role}; ${TABLES}`);
    await using follower = await Follower.create(plugin, db, kinesis);
    const flags = ["-f", "JSON", "-u", role];
    await follower.start([...flags, "--backfill-rate", "20"]);
    await ask(follower.db, ["public.parts", "public.t_*"], "r");
    await waitFor(async () => (await follower.records()).length > 0, { what: "a first row" });
    // From then on a mark says which tables have ended, and which are left.
    await follower.catchUp();
    await follower.program.kill9();
    await db.sql(`
      revoke select on t_revoked from ${role};
      alter table parts attach partition late for values from (200) to (300);
      alter table parts detach partition parts_2;
      alter table parts attach partition nested for values from (300) to (400);
      create schema elsewhere; grant usage on schema elsewhere to ${role};
      alter table t_renamed set schema elsewhere;
      drop table t_dropped;
      create table t_new (id int primary key, v text); insert into t_new values (1, 'v1')`);
    await follower.start(flags);
    await ended(follower, "r");
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);

    const { stderr } = follower.program;
    assertMatch(
      stderr,
      /public\.t_revoked is given up: .*GRANT SELECT ON "public"\."t_revoked" TO/,
    );
    assertMatch(stderr, /the backfill of 1 table is given up: dropped before anything was read/);
    const records = await follower.records();
    const rows = consumed(records, "position");
    const whole = ["public.late", "public.parts_1", "public.parts_2", "public.nested_1"];
    for (const table of [...whole, "elsewhere.t_renamed", "public.t_kept", "public.t_new"]) {
      const found = await db.sql(`select t.id::text as id, v from ${table} t order by t.id`);
      assertEquals(
        [...rows].filter(([key]) => key.startsWith(`${table}:`)).map(([, row]) => row),
        found,
      );
    }
    const ends = records.map(parsed).filter(({ op }) => op === "backfill");
    assertEquals(ends.map(({ table, complete }) => `${table} ${complete}`).sort(), [
      "late true",
      "nested_1 true",
      "parts_1 true",
      "parts_2 true",
      "t_kept true",
      "t_renamed true",
      "t_revoked false",
    ]);
    await server.sql(`drop owned by ${role}`, { database: db.database });
    await db.sql(`drop role ${role}`);
  });
}

Deno.test("a table that was refused is read when it has become a partition of one that is published", async () => {
  const [{ server }] = CASES as [typeof CASES[0]];
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create table late (id int primary key); insert into late select generate_series(200, 219);
    create table never (id int primary key);
    create table parts (id int primary key) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (100);
    insert into parts select generate_series(1, 60);
    create publication published for table parts`);
  await using follower = await Follower.create("pgoutput", db, kinesis);
  await follower.start(["-f", "JSON", "--backfill-rate", "30"]);
  await ask(follower.db, ["public.*"], "r");
  await waitFor(
    async () => (await follower.records()).map(parsed).some(({ op }) => op === "read"),
    {
      what: "a first row",
    },
  );
  assertMatch(follower.program.stderr, /public\.late is given up: it is not in "published"/);
  await db.sql("alter table parts attach partition late for values from (200) to (300)");
  await ended(follower, "r");
  await follower.program.stop();
  const records = (await follower.records()).map(parsed);
  const of = (wanted: string) =>
    records.filter(({ op, table }) => op === wanted && table === "late");
  assertEquals(of("read").length, 20);
  assertEquals(of("backfill").map(({ complete }) => complete), [false, true]);
});
