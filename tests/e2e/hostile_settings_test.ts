import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import {
  confirmedLsn,
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const servers = [{
  name: "18",
  start: startEmbeddedPostgres,
  plugins: ["test_decoding", "pgoutput"],
}];
if (hasWal2json()) {
  servers.push({
    name: "15",
    start: startDebianPostgres,
    plugins: ["test_decoding", "wal2json", "pgoutput"],
  });
} else console.log(NO_DEBIAN_POSTGRES);

/** What a database or a role may set that is neither a boolean nor one of a few words. */
const OTHERS: Readonly<Record<string, string>> = {
  search_path: "other, public",
  DateStyle: "German, DMY",
  TimeZone: "Asia/Tokyo",
  extra_float_digits: "-15",
  statement_timeout: "1ms",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  idle_session_timeout: "300ms",
  transaction_timeout: "600ms",
  default_text_search_config: "pg_catalog.german",
  timezone_abbreviations: "India",
  lc_numeric: "C",
  lc_time: "C",
  gin_fuzzy_search_limit: "1",
};

/** Every setting of the server that a user may change and that has few values, turned to another one. */
const TURNED = `
  select name, case when setting = boot_val or vartype = 'bool' then other else boot_val end as value
    from (select *, case when vartype = 'bool' then case setting when 'on' then 'off' else 'on' end
                         else (select v from unnest(enumvals) v where v <> setting
                                order by v <> 'error', v limit 1) end as other
            from pg_settings
           where context = 'user' and vartype in ('bool', 'enum')
             and name not like 'transaction_%'
             -- It would end the sessions that set the others.
             and name <> 'session_replication_role') s`;

const TABLES = `
  create schema other;
  create type public.mood as enum ('fine');
  create type other.mood as enum ('fine');
  create type other.pair as (a int, b text);
  create table public.t (at timestamptz, span interval, primary key (at, span),
    stamp timestamp, day date, clock timetz, raw bytea, f8 float8, f4 float4, n numeric, o oid,
    note text, doc jsonb, flags bit(3), ok boolean, list text[], m1 public.mood, m2 other.mood,
    p other.pair, r tstzrange, cls regclass, typ regtype, v tsvector, amount money);
  create table public.keyless (n int);`;
const ROW = `'2026-11-22 08:01:02.5+00', '1 day 02:03', '2026-11-22 08:01:02', '2026-11-22',
  '08:01:02+05:30', '\\x00ff5c', 0.1 + 0.2::float8, 1.1::float4, 1.50, 4294967295, E'a\\\\b''c "d" ü',
  '{"a": [1, 2.50]}', '101', true, '{a,NULL,"b c"}', 'fine', 'fine', '(1,"x y")',
  '[2026-01-01 00:00:00+00,)', 'public.t', 'public.mood', 'the quick fox', 12.34`;

for (const { name, start, plugins } of servers) {
  Deno.test(`no setting of database or role changes what is published: ${name}`, async () => {
    await using server = await start();
    await using db = await freshDatabase(server);
    await server.sql("create role follower login superuser");
    await db.sql(`${TABLES} create publication published for table public.t`);
    const levels = ["none", "database", "role"];
    for (const plugin of plugins) {
      for (const level of levels) {
        for (const format of FORMATS) {
          await db.sql("select pg_create_logical_replication_slot($1, $2)", [
            slotOf(db, plugin, level, format),
            plugin,
          ]);
        }
      }
    }
    await db.sql(`insert into t values (${ROW})`);
    await db.sql("update t set note = 'x'");
    await db.sql("insert into keyless values (1)");
    await db.sql("update keyless set n = 2");
    await db.sql("delete from t");

    const hostile = await hostileSettings(db);
    const outputs: Record<string, Record<string, readonly string[]>> = {};
    for (const level of levels) {
      await using kinesis = await startKinesalite();
      const whom = level === "database" ? `database ${db.database}` : "role follower";
      if (level !== "none") {
        for (const [setting, value] of hostile) {
          const text = setting === "search_path" ? value : `'${value}'`;
          await server.sql(`alter ${whom} set ${setting} = ${text}`);
        }
      }
      for (const plugin of plugins) {
        for (const format of FORMATS) {
          (outputs[`${plugin} ${format}`] ??= {})[level] = await publish(
            db,
            slotOf(db, plugin, level, format),
            plugin,
            format,
            kinesis,
          );
        }
      }
      if (level !== "none") await server.sql(`alter ${whom} reset all`);
    }
    for (const [what, { none, database, role }] of Object.entries(outputs)) {
      assert(none!.length >= 3, what);
      assertMatch(none!.join("\n"), /2026-11-22 08:01:02\.5\+00/);
      assertEquals(database, none, what);
      assertEquals(role, none, what);
    }
  });
}

async function hostileSettings(db: FreshDatabase): Promise<[string, string][]> {
  const turned = await db.sql(TURNED);
  const all = new Map([
    ...turned.filter(({ value }) => value !== null)
      .map(({ name, value }) => [name, value] as const),
    ...Object.entries(OTHERS),
  ]);
  const settable: [string, string][] = [];
  for (const [name, value] of all) {
    try {
      await db.sql("select set_config($1, $2, false)", [name, value]);
      settable.push([name, value]);
    } catch (error) {
      // The server has no such setting, or was not built for the value.
      const { code } = error as { code?: string };
      if (code !== "42704" && code !== "22023" && code !== "0A000") throw error;
    }
  }
  assert(settable.length > 60, settable.join());
  return settable;
}

const FORMATS = [["-f", "JSON"], ["--full-change"]];

function slotOf(db: FreshDatabase, plugin: string, level: string, format: readonly string[]) {
  return `${db.slot}_${plugin}_${level}_${format.length}`;
}

/** Follows the slot and gives what was stored. */
async function publish(
  db: FreshDatabase,
  slot: string,
  plugin: string,
  format: readonly string[],
  kinesis: TestKinesis,
): Promise<string[]> {
  const { server } = db;
  // The hostile settings are the database's: this is not to suffer from them.
  const elsewhere: FreshDatabase = {
    ...db,
    slot,
    sql: (text, values) => server.sql(text, { values }),
  };
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [
    ...["-h", server.host, "-p", String(server.port), "-u", "follower", "-d", db.database],
    ...["-s", slot, "-k", stream, "--pg-slot-output-plugin", plugin, ...format],
    ...["--pg-publication", "published"].slice(plugin === "pgoutput" ? 0 : 2),
    ...["--heartbeat", "100ms", "--on-plugin-skip", "warn", "--on-missing-pkey", "skip"],
  ];
  await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
  await program.waitForLog(/following slot/);
  await waitUntilConfirmed(elsewhere, program);
  // For longer than any of the timeouts a session stands idle, or in the walsender's transaction.
  const lsns = new Set<string>();
  await waitFor(async () => lsns.add(await confirmedLsn(elsewhere)).size > 12, {
    what: "heartbeats to be written and confirmed",
    found: () => program.stderr,
  });
  assertEquals(await program.stop(), 0, program.stderr);
  assert(!/connecting again|no heartbeat|watches for/.test(program.stderr), program.stderr);
  if (plugin === "wal2json") assertMatch(program.stderr, /WARNING .*keyless/);
  await server.sql("select pg_drop_replication_slot($1)", { values: [slot] });
  return await storedTexts(kinesis, stream);
}

Deno.test("a publication that is dropped ends the run, though the database silences warnings (18)", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key); create publication published for table t");
  await db.sql(`alter database ${db.database} set client_min_messages = error`);
  await db.createSlot("pgoutput");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await using program = await Pg2kinesis.start([
    ...flagsFor(db, stream),
    ...["--pg-slot-output-plugin", "pgoutput", "--pg-publication", "published"],
  ], { env: kinesis.env });
  await program.waitForLog(/following slot/);
  await db.sql("drop publication published");
  await db.sql("insert into t values (1)");
  assertEquals(await program.waitForExit(), 1);
  assertMatch(program.stderr, /ERROR .*published/);
});

Deno.test("transaction_timeout does not end the decoding of a long transaction (18)", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  await db.sql("insert into t select generate_series(1, 150000)");
  await db.sql(`alter database ${db.database} set transaction_timeout = '250ms'`);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await using program = await Pg2kinesis.start(flagsFor(db, stream), { env: kinesis.env });
  await program.waitForLog(/following slot/);
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);
  assert(!/connecting again/.test(program.stderr), program.stderr);
});
