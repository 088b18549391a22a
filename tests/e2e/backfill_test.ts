import { assert, assertEquals, assertMatch } from "@std/assert";
import { Follower, startServerWithPlugins } from "../support/all_plugins.ts";
import { ask, consumed, ended, parsed } from "../support/backfilled.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Proxy } from "../support/proxy.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const { server, plugins } = await startServerWithPlugins();

for (const plugin of plugins) {
  Deno.test(`a backfill publishes the rows that were there before (${plugin})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      create table orders (id bigint primary key, note text, paid boolean);
      insert into orders select n, 'note ' || n, n % 2 = 0 from generate_series(1, 1000) n;
      create publication published for table orders`);
    await using follower = await Follower.create(plugin, db, kinesis);
    await follower.start(["-f", "JSON", "--log-level", "debug"]);
    await ask(follower.db, ["public.orders"], "first");
    await ended(follower, "first");
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);
    const records = await follower.records();
    const last = parsed(records.at(-1)!);
    assertEquals([last.op, last.request, last.rows, last.complete], [
      "backfill",
      "first",
      "1000",
      true,
    ]);
    const rows = consumed(records, "last");
    assertEquals(rows.size, 1000);
    assertEquals(rows.get('public.orders:{"id":"7"}'), { id: "7", note: "note 7", paid: false });
  });
}

/** A table of each kind that is read in its own way, and one with a column of each type. */
const SHOP = `
  create type mood as enum ('sad', 'happy'); create type pair as (a int, b text);
  create domain agreed as boolean;
  create table types (id int primary key, i2 int2, i8 int8, o oid, f4 float4, f8 float8, nan float8,
    num numeric(20,5), nn numeric, m money, b boolean, raw bytea, t text, vc varchar(5), c char(5),
    nm name, d date, tm time, tz timetz, ts timestamp, at timestamptz, iv interval, j json, jb jsonb,
    u uuid, ip inet, net cidr, mac macaddr, bits bit(5), vb varbit, pt point, r int4range, tags text[],
    bools boolean[], md mood, mds mood[], pr pair, dom agreed, cls regclass, tsv tsvector, nothing text,
    gen int generated always as (i2 * 2) stored);
  insert into types values (1, -7, 9007199254740993, 4000000000, 1.1, 0.1, 'NaN', 1.50, 'Infinity', 12.3,
    true, '\\x00ff', E'é "q" \\\\ \\n', 'abc', 'ab', 'nm', '2026-11-28', '08:01', '08:01+02',
    '2026-11-28 08:01:02.123456', '2026-11-28 08:01:02+00', '1 day 02:00', '{"a": [1, 2.50]}',
    '{"b": 1e3}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03',
    B'10101', B'101', '(1,2)', '[1,5)', '{a,"b c",NULL}', '{t,f}', 'happy', '{sad}', '(1,"x y")', true,
    'types', 'a cat', null);
  create table parts (id int, region text, primary key (region, id)) partition by list (region);
  create table parts_eu partition of parts for values in ('eu');
  create table parts_us partition of parts for values in ('us');
  insert into parts select n, case n % 2 when 0 then 'eu' else 'us' end from generate_series(1, 20) n;
  create table secrets (id int primary key, card text, pin text, note text);
  insert into secrets values (1, '4711', '0000', 'plain');
  create table coded (code text not null, v text); create unique index coded_code on coded (code);
  alter table coded replica identity using index coded_code;
  insert into coded values ('b', '2'), ('a', '1');
  create table keyless (n int); insert into keyless values (1);
  create publication published for all tables`;

for (const plugin of plugins) {
  Deno.test(`--create-slot --backfill reads every table in the way of its kind (${plugin})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(SHOP);
    await using follower = await Follower.create(plugin, db, kinesis);
    const hidden = [
      ...["--mask-column", "public.secrets.card", "--exclude-column", "public.secrets.pin"],
    ];
    await follower.start(
      ["-f", "JSON", "--recreate-slot", "--backfill", "--message-prefix", "*", ...hidden],
      { PG2KINESIS_MASK_SALT: "salt" },
    );
    await ended(follower, "create-slot");
    // The same values once more, by the stream.
    await db.sql(`
      create temporary table again as select * from types; alter table again drop gen;
      update again set id = 2;
      insert into types select * from again`);
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);
    const records = (await follower.records()).map(parsed);
    const of = (table: string, op: string) =>
      records.filter((each) => each.table === table && each.op === op);
    const [[read], [inserted]] = [of("types", "read"), of("types", "insert")];
    assertEquals({ ...read!.after, id: "2" }, inserted!.after);
    assertEquals(
      of("parts_eu", "read").map(({ key }) => key),
      [2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map((id) => ({ region: "eu", id: String(id) })),
    );
    assertEquals(of("parts_us", "read").length, 10);
    const salted = new TextEncoder().encode("salt4711");
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", salted)).toHex();
    assertEquals(of("secrets", "read").map(({ after }) => after), [{
      id: "1",
      card: hash,
      note: "plain",
    }]);
    assertEquals(of("coded", "read").map(({ key, after }) => [key, after.code]), [
      [undefined, "a"],
      [undefined, "b"],
    ]);
    assertEquals(of("keyless", "read"), []);
    const { stderr } = follower.program;
    const warned = stderr.search(/--backfill does not read public\.keyless: it has no primary key/);
    const began = stderr.search(/backfill create-slot: 6 tables with/);
    assert(0 <= warned && warned < began, stderr);
    assertMatch(stderr, /public\.keyless is given up: it has no primary key/);
    const ends = records.filter(({ op }) => op === "backfill");
    assertEquals(
      ends.map(({ table, complete, rows }) => `${table} ${complete} ${rows}`).sort(),
      [
        "coded true 2",
        "keyless false 0",
        "parts_eu true 10",
        "parts_us true 10",
        "secrets true 1",
        "types true 1",
      ],
    );
    assertEquals(records.filter(({ op }) => op === "message"), []);
  });
}

Deno.test("a backfill that was stopped ends without all rows, and the run goes on", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create table a (id int primary key); insert into a select generate_series(1, 500);
    create table b (id int primary key); insert into b select generate_series(1, 20)`);
  await using follower = await Follower.create("test_decoding", db, kinesis);
  await follower.start(["-f", "JSON", "--backfill-rate", "20"]);
  await ask(follower.db, ["public.*"], "r");
  await waitFor(async () => (await follower.records()).length > 0, { what: "a first row" });
  await db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
    JSON.stringify({ kind: "stop", slot: follower.db.slot, tables: ["public.a"] }),
  ]);
  await ended(follower, "r");
  await follower.catchUp();
  assertEquals(await follower.program.stop(), 0, follower.program.stderr);
  const records = (await follower.records()).map(parsed);
  const ends = records.filter(({ op }) => op === "backfill");
  assertEquals(ends.map(({ table, complete }) => [table, complete]), [["a", false], ["b", true]]);
  assertEquals(records.filter(({ op, table }) => op === "read" && table === "b").length, 20);
});

Deno.test("rows far larger than those before them, and one that is too large to be read, keep nothing from ending", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create table t (id int primary key, big text); alter table t alter big set storage external;
    insert into t values (1, 'small');
    insert into t select n, repeat('x', 15 * 1024 * 1024) from generate_series(2, 5) n;
    insert into t values (6, repeat('x', 60 * 1024 * 1024)), (7, 'small');
    create table u (id int primary key); insert into u values (1)`);
  await using follower = await Follower.create("test_decoding", db, kinesis);
  await follower.start(["-f", "JSON", "--on-oversize", "key-only"]);
  await ask(follower.db, ["public.*"], "r");
  await ended(follower, "r");
  await follower.catchUp();
  assertEquals(await follower.program.stop(), 0, follower.program.stderr);
  assertMatch(follower.program.stderr, /has 62914560 bytes or more, and the stream takes/);
  const records = (await follower.records()).map(parsed);
  const of = (name: string) =>
    records.filter(({ table }) => table === name).map(({ op, key, after, complete }) =>
      op === "backfill" ? complete : `${key.id} ${after?.big ?? "key-only"}`
    );
  assertEquals(of("t"), [
    "1 small",
    ...["2", "3", "4", "5", "6"].map((id) => `${id} key-only`),
    "7 small",
    true,
  ]);
  assertEquals(of("u"), ["1 key-only", true]);
});

Deno.test("a frozen reader does not keep an ALTER TABLE waiting", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key); insert into t select generate_series(1, 300)");
  await using follower = await Follower.create("test_decoding", db, kinesis);
  await follower.start(["-f", "JSON", "--backfill-rate", "100"]);
  await ask(follower.db, ["public.t"], "r");
  await waitFor(async () => (await follower.records()).length > 0, { what: "a first row" });
  const { program } = follower;
  const client = await db.server.connect({ database: db.database });
  const locks = async () => {
    const [row] = await db.sql(`
      select coalesce(bool_or(granted), false) as granted, count(*) as n from pg_locks
       where relation = 't'::regclass and mode = 'AccessShareLock' and pid <> pg_backend_pid()`);
    return row!;
  };
  // Its lock is granted to the reader while that stands still.
  await waitFor(async () => {
    await client.query("begin; lock table t in access exclusive mode");
    await waitFor(async () => (await locks()).n !== "0", { what: "the reader to wait for a lock" });
    program.signal("SIGSTOP");
    await client.query("commit");
    if ((await locks()).granted) return true;
    program.signal("SIGCONT");
    return false;
  }, { what: "the reader to be frozen with its lock" });
  await client.end();
  await db.sql("set lock_timeout = '60s'; alter table t add column more int");
  program.signal("SIGCONT");
  await ended(follower, "r");
  await follower.catchUp();
  assertEquals(await program.stop(), 0, program.stderr);
  assertEquals(consumed(await follower.records(), "last").size, 300);
});

Deno.test("a reader that stands still while a row is on its way keeps no ALTER TABLE waiting", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  // More than the sockets hold.
  await db.sql(`
    create table t (id int primary key, big text); alter table t alter big set storage external;
    insert into t values (1, repeat('x', 20 * 1024 * 1024)), (2, 'small')`);
  using proxy = new Proxy(server);
  const standing = Promise.withResolvers<void>();
  const isStanding = Promise.withResolvers<void>();
  proxy.beforeAnswer = (bytes) => {
    if (bytes.length < 16_000 || bytes.some((byte) => byte !== 120)) return;
    isStanding.resolve();
    return standing.promise;
  };
  await using follower = await Follower.create("test_decoding", db, kinesis);
  await follower.start([
    ...["-f", "JSON", "--on-oversize", "skip"],
    ...["-h", "127.0.0.1", "-p", String(proxy.port)],
  ]);
  await ask(follower.db, ["public.t"], "r");
  await isStanding.promise;
  await waitFor(async () => {
    const [row] = await db.sql(
      "select wait_event from pg_stat_activity where application_name like '%backfill%'",
    );
    return row?.wait_event === "ClientWrite";
  }, { what: "the server to wait for the reader to take the row" });
  // Sooner than the reader itself gives up.
  await db.sql("set lock_timeout = '18s'; alter table t add column more int");
  standing.resolve();
  proxy.beforeAnswer = () => {};
  await ended(follower, "r");
  await follower.catchUp();
  assertEquals(await follower.program.stop(), 0, follower.program.stderr);
  const records = (await follower.records()).map(parsed);
  assertEquals(records.map(({ op, key }) => [op, key?.id]), [["read", "2"], [
    "backfill",
    undefined,
  ]]);
});
