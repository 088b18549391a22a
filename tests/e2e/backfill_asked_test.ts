import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  findDebianPostgres,
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName, storedTexts } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { get, scrape, telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const worlds = [{ plugin: "pgoutput", server: await startEmbeddedPostgres() }];
if (findDebianPostgres() === undefined || !hasWal2json()) console.warn(NO_DEBIAN_POSTGRES);
else worlds.push({ plugin: "wal2json", server: await startDebianPostgres() });

/** A run with the role `run_…`, which is to be given its rights, and how it is asked. */
async function startRun(
  db: FreshDatabase,
  plugin: string,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
) {
  const stream = freshStreamName();
  const role = `run_${db.slot}`;
  await db.sql(`create role ${role} login replication;
    create publication ${db.slot} for all tables`);
  await db.createSlot(plugin);
  const connection = flagsFor(db, stream).slice(0, -2);
  const own = connection.map((word) => word === db.server.superuser ? role : word);
  const program = await Pg2kinesis.start([
    ...[...own, "-k", stream, "--create-stream", "-f", "JSON", "--pg-slot-output-plugin", plugin],
    ...flags,
  ], { env });
  await program.waitForLog(/following slot/);
  const ask = (...args: string[]) => Pg2kinesis.run(["backfill", ...connection, ...args]);
  return { program, stream, role, ask, dropRole: `drop owned by ${role}; drop role ${role}` };
}

for (const { plugin, server } of worlds) {
  const name = `${Math.floor(server.version / 10000)}, ${plugin}`;

  Deno.test(`backfill --wait returns when every row is stored: ${name}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`create table orders (id int primary key, note text);
      insert into orders select g, 'n' || g from generate_series(1, 500) g;
      create table items (id int primary key) partition by range (id);
      create table items_1 partition of items for values from (1) to (1000);
      insert into items select generate_series(1, 20);
      create table secret (id int primary key); insert into secret values (1)`);
    const { program, stream, role, ask, dropRole } = await startRun(db, plugin, kinesis.env, [
      ...["--exclude-table", "public.secret", "--metrics-addr", "0"],
    ]);
    await using _ = program;
    const refused = await ask("--table", "public.orders", "--wait");
    assertEquals(refused.code, 1, refused.stderr);
    await db.sql(/run (GRANT [^;]*;)$/m.exec(refused.stderr)?.[1] ?? refused.stderr);
    await db.sql(`grant select on items_1, secret to ${role}`);

    const done = await ask("--table", "public.orders", "--table", "public.items", "--wait");
    assertEquals(done.code, 0, done.stderr + program.stderr);
    assertMatch(done.stderr, /public\.orders: all 500 rows are stored/);
    const texts = await storedTexts(kinesis, stream);
    const records = texts.map((text) => JSON.parse(text));
    const keys = (table: string, op: string) =>
      records.filter((record) => record.table === table && record.op === op)
        .map(({ key, request }) => [key?.id, request]);
    const request = done.stdout.trim();
    assertEquals(
      keys("orders", "read"),
      Array.from({ length: 500 }, (_, place) => [place + 1, request]),
    );
    assertEquals(keys("items_1", "read").length, 20);
    assertEquals([keys("orders", "backfill"), keys("items_1", "backfill")], [
      [[undefined, request]],
      [[undefined, request]],
    ]);

    // The filters of the run are not known to whoever asks.
    const filtered = await ask("--table", "public.secret", "--wait");
    assertEquals(filtered.code, 1, filtered.stderr);
    assertMatch(filtered.stderr, /public\.secret was given up after 0 rows: .*filter/);

    const url = await telemetryUrl(program);
    const metrics = await scrape(url);
    assertEquals(metrics.get("pg2kinesis_backfill_rows_total"), 520);
    assertEquals(metrics.get("pg2kinesis_backfill_tables_pending"), 0);
    const page = JSON.parse((await get(`${url}page.json?since=0`)).text);
    assertEquals(typeof page.now.backfill.words, "string");
    assertEquals(await program.stop(), 0, program.stderr);
    await db.sql(dropRole);
  });

  Deno.test(`backfill --status tells how far the run is, and --stop ends it: ${name}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`create table slow (id int primary key);
      insert into slow select generate_series(1, 3000); analyze slow`);
    const { program, role, ask, dropRole } = await startRun(db, plugin, kinesis.env, [
      ...["--backfill-rate", "20", "--metrics-addr", "0"],
    ]);
    await using _ = program;
    await db.sql(`grant select on slow to ${role}`);
    await using waiting = await Pg2kinesis.start([
      ...["backfill", ...flagsFor(db, "x").slice(0, -2), "--table", "public.slow", "--wait"],
    ]);
    await waiting.waitForLog(/has taken the request \w+: 1 tables? to read/);
    const status = await waitFor(async () => {
      const { stdout } = await ask("--status");
      return /^\d+ %: .* public\.slow \(slot /.test(stdout) && stdout;
    }, { what: "--status to tell of the reader", timeoutMs: 60_000 });
    assert(status);
    const url = await telemetryUrl(program);
    const page = await waitFor(async () => {
      const { now } = JSON.parse((await get(`${url}page.json?since=0`)).text);
      return now.backfill.tables[0]?.rows > 0 && now.backfill;
    }, { what: "rows on the page", timeoutMs: 60_000 });
    const [{ name: table, expected, state }] = page.tables;
    assertEquals([table, expected, state], ["public.slow", 3000, "reading"]);
    assertMatch(page.words, /^backfill \d+ %, /);

    assertEquals((await ask("--stop")).code, 0);
    assertEquals(await waiting.waitForExit(60_000), 1, waiting.stderr);
    assertMatch(waiting.stderr, /public\.slow was given up after \d+ rows: .*stopped/);
    await waitFor(async () => (await ask("--status")).stdout.includes("reads no table now"), {
      what: "the reader to have gone",
      timeoutMs: 60_000,
    });
    assertEquals(await program.stop(), 0, program.stderr);
    await db.sql(dropRole);
  });

  Deno.test(`a run that may not write marks says so at once, and goes on when it may: ${name}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`create table orders (id int primary key);
      insert into orders select generate_series(1, 20)`);
    const { program, stream, role, dropRole } = await startRun(db, plugin, kinesis.env);
    await using _ = program;
    await db.sql(`grant select on orders to ${role}`);
    const functions = await db.sql(
      "select oid::regprocedure::text as name from pg_proc where proname = 'pg_logical_emit_message'",
    );
    for (const { name } of functions) {
      await db.sql(`revoke execute on function ${name} from public`);
    }
    await db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
      JSON.stringify({ slot: db.slot, id: "r", tables: ["public.orders"] }),
    ]);
    await program.waitForLog(/ERROR a backfill cannot go on, .*permission denied for function/);
    await db.sql("insert into orders values (21)");
    const stored = async () =>
      (await storedTexts(kinesis, stream)).map((text) => JSON.parse(text).op);
    await waitFor(async () => (await stored()).includes("insert"), { what: "a change" });
    for (const { name } of functions) {
      await db.sql(`grant execute on function ${name} to ${role}`);
    }
    await program.waitForLog(/backfill r has ended: 1 tables, 0 of them given up/);
    assertEquals((await stored()).filter((op) => op === "read").length, 21);
    assertEquals(await program.stop(), 0, program.stderr);
    await db.sql(dropRole);
  });

  Deno.test(`a right to write marks that is taken away meanwhile costs no table: ${name}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`create table orders (id int primary key);
      insert into orders select generate_series(1, 300)`);
    const { program, stream, role, dropRole } = await startRun(db, plugin, kinesis.env, [
      ...["--backfill-rate", "100"],
    ]);
    await using _ = program;
    await db.sql(`grant select on orders to ${role}`);
    const functions = await db.sql(
      "select oid::regprocedure::text as name from pg_proc where proname = 'pg_logical_emit_message'",
    );
    await db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
      JSON.stringify({ slot: db.slot, id: "r", tables: ["public.orders"] }),
    ]);
    const reads = async () =>
      (await storedTexts(kinesis, stream)).filter((text) => text.includes('"op":"read"')).length;
    await waitFor(async () => await reads() > 0, { what: "a first row" });
    for (const { name } of functions) {
      await db.sql(`revoke execute on function ${name} from public`);
    }
    await program.waitForLog(/ERROR a backfill cannot go on, .*permission denied for function/);
    for (const { name } of functions) {
      await db.sql(`grant execute on function ${name} to ${role}`);
    }
    await program.waitForLog(/backfill r has ended: 1 tables, 0 of them given up/, 60_000);
    assertEquals(await reads(), 300);
    assertEquals(await program.stop(), 0, program.stderr);
    await db.sql(dropRole);
  });
}
