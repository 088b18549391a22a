import { join } from "node:path";
import { parseArgs } from "node:util";
import { assertRuns, programArgs } from "./bench/drain.ts";
import { BenchServer } from "./bench/bench_server.ts";
import { processUsage } from "./bench/process_usage.ts";
import { Sink } from "./bench/sink.ts";
import { quantile } from "./bench/statistics.ts";
import { OUTPUT_PLUGINS } from "../src/options.ts";
import { findDebianPostgres } from "../tests/support/debian_postgres.ts";
import { Pg2kinesis } from "../tests/support/pg2kinesis.ts";
import { sleep } from "../tests/support/wait.ts";
import { readChoice, readCount, readOrExit } from "./command_line.ts";

const HELP = `Measures a backfill beside live changes, on a server of its own.

deno task backfill:bench [options]
  --rows N       rows in the table (default 10000000)
  --row-bytes N  bytes of each (default 200); what no record can hold is left out
  --tables N     as many tables that share the rows, all asked for at once (default 1)
  --rate N       transactions a second beside it, one row each (default 200)
  --shards N     shards of the stream, which takes whatever it is given (default 4)
  --plugin NAME  default pgoutput
  --before S     seconds of live changes before the backfill begins (default 30)
  --csv FILE     where the run is appended (default docs/bench/DATE-backfill.csv;
                 of several tables or other rows DATE-backfill-shapes.csv)

PG2KINESIS_BIN names an executable to measure instead of main.ts.
Needs Debian's postgresql-15 with pgbench, and openssl.`;

const options = readOrExit("deno task backfill:bench", readOptions);
const { rows, rowBytes, tables, rate, shards, plugin, before } = options;
/** That of the figures which runs are compared by. */
const isUsual = tables === 1 && rowBytes === 200;
const rowsEach = Math.ceil(rows / tables);
const SLOT = "backfill_bench";
/** The program's code is compiled in them. */
const WARM_UP_MS = 3_000;
/** Longer than any run: it is ended. */
const LOAD_SECONDS = 86_400;
const ID_OF_TICK = /"table":"ticks","key":\{"id":(\d+)/;

await using server = await BenchServer.start();
console.error(`filling ${tables === 1 ? "a table" : `${tables} tables`} with ${rows} rows`);
await server.query("create table ticks (id bigserial primary key, note text); create schema kept");
for (let table = 0; table < tables; table++) {
  await server.query(`
    create table kept.rows_${table} (id bigint primary key, at timestamptz not null, note text not null);
    alter table kept.rows_${table} alter note set storage external;
    insert into kept.rows_${table} select n, now(), rpad('row ' || n, ${rowBytes - 32}, 'x')
      from generate_series(1, ${rowsEach}) n`);
}
if (tables === 1) await server.query("vacuum analyze kept.rows_0");
await server.query("checkpoint");

await server.createSlot(SLOT, plugin);
await using sink = await Sink.start(shards, { watch: ID_OF_TICK });
await using program = await Pg2kinesis.start(
  programArgs(server, SLOT, plugin, { tls: false, args: ["-f", "JSON", "--on-oversize", "skip"] }),
  { env: sink.env },
);
const stillRuns = () => assertRuns(program);
await server.waitForActive(SLOT, stillRuns);

// Once to have it in memory.
if (tables === 1) await copySeconds();
const copied = tables === 1 ? await copySeconds() : undefined;

const load = await startLoad();
await sleep(WARM_UP_MS);
const beganMs = Date.now();
await sleep(before * 1000);
const idle = processUsage(program.pid);

const askedMs = Date.now();
await server.query(`select pg_logical_emit_message(true, 'pg2kinesis.backfill',
  '{"slot":"${SLOT}","id":"bench","tables":["kept.*"]}')`);
const wal = { most: 0, over: false };
const watching = watchWal();
await program.waitForLog(/backfill bench has ended/, 24 * 3600 * 1000);
const endedMs = Date.now();
wal.over = true;
await watching;
const busy = processUsage(program.pid);
load.kill("SIGTERM");
await load.status;
const endLsn = await server.closeBacklog();
await server.waitForConfirmed(SLOT, endLsn, stillRuns);

const latencies = await latenciesByPhase();
const seconds = (endedMs - askedMs) / 1000;
const ends = program.stderr.matchAll(/backfill of kept\.rows_\d+ has ended: (\d+) rows/g);
const read = [...ends].reduce((sum, [, count]) => sum + Number(count), 0);
if (read < rowsEach * tables) throw new Error(`only ${read} rows were read: ${program.stderr}`);
const result = {
  date: new Date().toISOString(),
  cpus: navigator.hardwareConcurrency,
  program: Deno.env.get("PG2KINESIS_BIN") ? "executable" : `Deno ${Deno.version.deno}`,
  plugin,
  ...isUsual ? {} : { tables, row_bytes: rowBytes },
  rows,
  shards,
  rate,
  seconds: seconds.toFixed(1),
  rows_s: Math.round(rows / seconds),
  copy_rows_s: copied === undefined ? "" : Math.round(rows / copied),
  p50_before_ms: quantile(latencies.before, 0.5).toFixed(1),
  p99_before_ms: quantile(latencies.before, 0.99).toFixed(1),
  p50_during_ms: quantile(latencies.during, 0.5).toFixed(1),
  p99_during_ms: quantile(latencies.during, 0.99).toFixed(1),
  max_during_ms: quantile(latencies.during, 1).toFixed(1),
  changes_during: latencies.during.length,
  peak_before_mib: Math.round(idle.peakMebibytes),
  peak_mib: Math.round(busy.peakMebibytes),
  cpu_s: (busy.userSeconds + busy.systemSeconds - idle.userSeconds - idle.systemSeconds).toFixed(1),
  wal_kept_mib: (wal.most / 1024 / 1024).toFixed(1),
};
for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(18)}${value}`);
const path = options.csv ??
  `docs/bench/${result.date.slice(0, 10)}-backfill${isUsual ? "" : "-shapes"}.csv`;
const isNew = await Deno.stat(path).then(() => false, () => true);
const lines = isNew ? [Object.keys(result).join(",")] : [];
lines.push(Object.values(result).join(","));
await Deno.writeTextFile(path, lines.join("\n") + "\n", { append: true });

function readOptions() {
  const { values } = parseArgs({
    options: {
      rows: { type: "string", default: "10000000" },
      "row-bytes": { type: "string", default: "200" },
      tables: { type: "string", default: "1" },
      rate: { type: "string", default: "200" },
      shards: { type: "string", default: "4" },
      plugin: { type: "string", default: "pgoutput" },
      before: { type: "string", default: "30" },
      csv: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit();
  }
  return {
    rows: readCount("rows", values.rows, 1),
    // Its id, its time and the start of its text take the others.
    rowBytes: readCount("row-bytes", values["row-bytes"], 64),
    tables: readCount("tables", values.tables, 1),
    rate: readCount("rate", values.rate, 1),
    shards: readCount("shards", values.shards, 1),
    plugin: readChoice("plugin", values.plugin, OUTPUT_PLUGINS),
    before: readCount("before", values.before, 1),
    csv: values.csv,
  };
}

/** COPY of the whole table to a client that throws it away. */
async function copySeconds(): Promise<number> {
  const { socketDir, port, superuser } = server.postgres;
  const beganAt = performance.now();
  const { success, stderr } = await new Deno.Command(join(findDebianPostgres()!, "psql"), {
    args: [
      ...["-h", socketDir, "-p", String(port), "-U", superuser, "-d", "postgres"],
      ...["-q", "-o", "/dev/null", "-c", "copy kept.rows_0 to stdout"],
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return (performance.now() - beganAt) / 1000;
}

/** One-row transactions at random moments (a Poisson process). */
async function startLoad(): Promise<Deno.ChildProcess> {
  const { socketDir, port, superuser } = server.postgres;
  const script = join(await Deno.makeTempDir(), "load.sql");
  await Deno.writeTextFile(script, "insert into ticks (note) values ('a change beside it');\n");
  return new Deno.Command("pgbench", {
    args: [
      ...["-h", socketDir, "-p", String(port), "-U", superuser, "-n", "-f", script],
      ...["-R", String(rate), "-T", String(LOAD_SECONDS), "--random-seed=1", "postgres"],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** The most WAL that lies between the end and what the slot has confirmed. */
async function watchWal(): Promise<void> {
  while (!wal.over) {
    const [{ bytes }] = await server.query(
      `select (pg_current_wal_lsn() - confirmed_flush_lsn)::float8 as bytes
         from pg_replication_slots where slot_name = '${SLOT}'`,
    );
    wal.most = Math.max(wal.most, bytes);
    await sleep(200);
  }
}

/** From the commit, as PostgreSQL dates it, to the answer to the put that stored it. */
async function latenciesByPhase(): Promise<{ before: number[]; during: number[] }> {
  const storedAt = new Map<number, number>();
  for (const { at, found } of await sink.watched()) {
    for (const id of found) if (!storedAt.has(Number(id))) storedAt.set(Number(id), at);
  }
  const ticks = await server.query(
    `select id::int, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at
       from ticks order by id`,
  );
  const before: number[] = [], during: number[] = [];
  // The last one marks the end.
  for (const { id, at } of ticks.slice(0, -1)) {
    const stored = storedAt.get(id);
    if (stored === undefined) throw new Error(`row ${id} of ticks was not published`);
    if (at >= beganMs && at < askedMs) before.push(stored - at);
    else if (at >= askedMs && at < endedMs) during.push(stored - at);
  }
  return { before, during };
}
