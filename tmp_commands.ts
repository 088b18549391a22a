import { startEmbeddedPostgres } from "./tests/support/embedded_postgres.ts";
import { freshDatabase } from "./tests/support/shared_postgres.ts";
import { Pg2kinesis } from "./tests/support/pg2kinesis.ts";
const server = await startEmbeddedPostgres();
const db = await freshDatabase(server);
const slot = db.slot;
await db.createSlot("test_decoding");
await db.sql(
  `create table orders (id int primary key); create table parts (id int primary key) partition by range (id);
 create table parts_1 partition of parts for values from (1) to (2);
 create table "we.ird" (id int primary key); create schema s2; create table s2.a (id int primary key);
 create role nologin_x; create role poor login; create role nodb login;
 create unlogged table ul (id int primary key); create temp table tt (id int primary key);
 create materialized view mv as select 1 a; create sequence sq; create foreign data wrapper fdw; create server sv foreign data wrapper fdw;
 create foreign table ft (a int) server sv;
 create type comp as (a int);
 revoke connect on database ${db.database} from public; grant connect on database ${db.database} to poor`,
);
const base = [
  "-h",
  server.host,
  "-p",
  String(server.port),
  "-u",
  server.superuser,
  "-d",
  db.database,
  "-s",
  slot,
];
const go = async (label: string, args: string[], env: Record<string, string> = {}) => {
  const t = performance.now();
  const p = await Pg2kinesis.start(args, { env });
  let code: number | string;
  try {
    code = await p.waitForExit(45_000);
  } catch {
    code = "HANG";
    await p.kill9();
  }
  console.log(
    `--- ${label} [${code}] ${Math.round(performance.now() - t)} ms\n${
      p.stdout ? "OUT " + p.stdout.trim() + "\n" : ""
    }${p.stderr.trim().split("\n").slice(0, 6).join("\n")}`,
  );
};
const b = (...a: string[]) => ["backfill", ...base, ...a];
const only = Deno.args[0];
if (!only || only === "usage") {
  await go("nothing", b());
  await go("status+stop", b("--status", "--stop"));
  await go("status+table", b("--status", "--table", "a.b"));
  await go("stop+wait", b("--stop", "--wait"));
  await go("status+wait", b("--status", "--wait"));
  await go("wait alone", b("--wait"));
  await go("json w/o status", b("--table", "public.orders", "--json"));
  await go("empty table", b("--table", ""));
  await go("table without schema", b("--table", "orders"));
  await go("table w/ quotes", b("--table", '"public"."orders"'));
  await go("table with space", b("--table", " public.orders"));
  await go("positional", b("public.orders"));
  await go("positional all", b("all"));
  await go("--all", b("--all"));
  await go("--tables", b("--tables", "x"));
  await go("table no value", b("--table"));
  await go("trailing backslash", b("--table", "public.or\\"));
  await go("bracket glob", b("--table", "public.[o]rders"));
  await go("long", b("--table", "public." + "x".repeat(20000)));
  await go("nul-ish", b("--table", "public.a\nb"));
  await go("run flag in backfill", b("--table", "public.orders", "--backfill-rate", "5"));
  await go("run flag stream", b("--table", "public.orders", "-k", "x"));
  await go("bad slot name", ["backfill", ...base.slice(0, -1), "Bad Slot", "--status"]);
  await go("empty slot name", ["backfill", ...base.slice(0, -1), "", "--status"]);
  await go("long slot name", ["backfill", ...base.slice(0, -1), "s".repeat(80), "--status"]);
  await go("wait=no", b("--table=public.orders", "--wait=no"));
  await go("status twice", b("--status", "--status"));
  await go("stop glob matches nothing", b("--stop", "--table", "nope.*"));
  await go("stop exact matches nothing", b("--stop", "--table", "public.order"));
  await go("env table", b(), { PG2KINESIS_TABLE: "public.orders" });
  await go("rate without backfill run", ["run", ...base, "-k", "x", "--backfill-rate", "0"]);
  await go("rate neg", ["run", ...base, "-k", "x", "--backfill-rate", "-5"]);
  await go("rate text", ["run", ...base, "-k", "x", "--backfill-rate", "fast"]);
  await go("backfill w/o create-slot", ["run", ...base, "-k", "x", "--backfill"]);
}
if (!only || only === "db") {
  for (
    const t of [
      "public.ul",
      "public.tt",
      "public.mv",
      "public.sq",
      "public.ft",
      "public.comp",
      "pg_catalog.pg_class",
      "public.orders_pkey",
      "public.we.ird",
      "s2.a",
      "public.parts_1",
      "public.parts",
      "information_schema.tables",
      "*",
      "public.*",
      "*.a",
    ]
  ) await go("table " + t, b("--table", t));
  await go("poor request", [
    "backfill",
    ...base.map((w) => w === server.superuser ? "poor" : w),
    "--table",
    "public.orders",
  ]);
  await go("poor status", [
    "backfill",
    ...base.map((w) => w === server.superuser ? "poor" : w),
    "--status",
  ]);
  await go("poor stop", [
    "backfill",
    ...base.map((w) => w === server.superuser ? "poor" : w),
    "--stop",
  ]);
  await go("nodb", [
    "backfill",
    ...base.map((w) => w === server.superuser ? "nodb" : w),
    "--status",
  ]);
  await go("nologin", [
    "backfill",
    ...base.map((w) => w === server.superuser ? "nologin_x" : w),
    "--status",
  ]);
  await go("no such db", [
    "backfill",
    ...base.map((w) => w === db.database ? "nosuch" : w),
    "--status",
  ]);
  await go("no such host", [
    "backfill",
    ...base.map((w) => w === server.host ? "nosuch.invalid" : w),
    "--status",
  ]);
  await go("no port", [
    "backfill",
    ...base.map((w) => w === String(server.port) ? "1" : w),
    "--status",
  ]);
  await go("stop missing slot", ["backfill", ...base.slice(0, -1), "missing", "--stop"]);
  await go("status missing slot", ["backfill", ...base.slice(0, -1), "missing", "--status"]);
  await go("status json missing slot", [
    "backfill",
    ...base.slice(0, -1),
    "missing",
    "--status",
    "--json",
  ]);
  await db.sql(`select pg_create_logical_replication_slot('tmpo_${slot}', 'pgoutput')`);
  await go("pgoutput no publication", [
    "backfill",
    ...base.slice(0, -1),
    `tmpo_${slot}`,
    "--table",
    "public.orders",
  ]);
  await go("wait no run", b("--table", "public.orders", "--wait"));
}
await server[Symbol.asyncDispose]();
Deno.exit(0);
