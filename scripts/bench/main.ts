/** `deno task bench`: see options.ts for what it measures and how it is asked. */
import { join, resolve } from "node:path";
import { findDebianPostgres, hasWal2json } from "../../tests/support/debian_postgres.ts";
import { readOrExit } from "../read_or_exit.ts";
import {
  type Backlog,
  createTables,
  makeOneTransaction,
  makeSmallTransactions,
} from "./backlog.ts";
import { BenchServer } from "./bench_server.ts";
import { drain, type DrainResult } from "./drain.ts";
import { type BenchOptions, readOptions } from "./options.ts";
import { RawCsv } from "./raw_csv.ts";
import { mark, printGroup, printTable, type Series } from "./report.ts";
import {
  DRAIN_GROUPS,
  type DrainGroup,
  type Entry,
  LIVE_PROGRAMS,
  START_TARGET_MS,
  STEADY_TARGETS,
} from "./scenarios.ts";
import { median } from "./statistics.ts";
import { measureStart, measureSteadyLoad } from "./steady_load.ts";

const TRANSACTIONS_PER_SECOND = 200;

if (import.meta.main) {
  const today = new Date().toISOString().slice(0, 10);
  const options = readOrExit("deno task bench", () => readOptions(Deno.args, today));
  if (options !== undefined) await bench(options);
}

async function bench(options: BenchOptions): Promise<void> {
  if (findDebianPostgres() === undefined || !hasWal2json()) {
    console.error("the bench needs Debian's postgresql-15 and postgresql-15-wal2json");
    Deno.exit(1);
  }
  await using server = await BenchServer.start();
  await createTables(server);
  const csv = await RawCsv.open(options.csvPath, server.postgres.version);

  const groups = DRAIN_GROUPS.map((group) => chosen(group, options.only))
    .filter(({ entries }) => entries.some(({ contender }) => contender.kind === "pg2kinesis"));
  await measureStarts(server, csv, options);
  await measureSteadyLoads(server, csv, options);
  const small = groups.filter(({ backlog }) => backlog === "small transactions");
  await measureDrains(server, csv, options, small, () => {
    return makeSmallTransactions(server, options.transactions);
  });
  const one = groups.filter(({ backlog }) => backlog === "one transaction");
  await measureDrains(server, csv, options, one, () => {
    return makeOneTransaction(server, options.rowsOfOneTransaction);
  });
  console.log(`\nraw runs: ${resolve(options.csvPath)}`);
}

/** The group with what `only` asks for, and with whatever that is compared to. */
function chosen(group: DrainGroup, only: RegExp): DrainGroup {
  const asked = group.entries.filter(({ contender }) =>
    only.test(`${group.name}: ${contender.name}`)
  );
  const needed = new Set(asked.flatMap(({ targets }) => targets.map(({ of }) => of)));
  const withTls = asked.some(({ contender }) => contender.tls);
  const entries = group.entries.filter((entry) =>
    asked.includes(entry) || needed.has(entry.contender.name) ||
    (entry.contender.kind === "pg_recvlogical" && (withTls || !entry.contender.tls))
  );
  return { ...group, entries };
}

/** All slots are made first, so that every run drains the very same backlog. */
async function measureDrains(
  server: BenchServer,
  csv: RawCsv,
  options: BenchOptions,
  groups: readonly DrainGroup[],
  makeBacklog: () => Promise<Backlog>,
): Promise<void> {
  const slotOf = (group: DrainGroup, entry: Entry, run: number) =>
    `bench_${groups.indexOf(group)}_${group.entries.indexOf(entry)}_${run}`;
  const rounds = Array.from({ length: options.runs }, (_, run) => run);
  for (const group of groups) {
    for (const entry of group.entries) {
      for (const run of rounds) await server.createSlot(slotOf(group, entry, run), group.plugin);
    }
  }
  if (groups.length === 0) return;
  const backlog = await makeBacklog();

  for (const group of groups) {
    const results = new Map<Entry, DrainResult[]>(group.entries.map((entry) => [entry, []]));
    for (const run of rounds) {
      // In turns, and every other round the other way round.
      for (const entry of run % 2 === 0 ? group.entries : group.entries.toReversed()) {
        const slot = slotOf(group, entry, run);
        const denoArgs = profileArgs(options, slot);
        const result = await drain(entry.contender, {
          server,
          slot,
          plugin: group.plugin,
          backlog,
          denoArgs,
        });
        await server.dropSlot(slot);
        results.get(entry)!.push(result);
        await csv.append(drainRow(group, entry, run, backlog, result));
      }
    }
    const series: Series[] = group.entries.map((entry) => ({
      ...entry,
      results: results.get(entry)!,
    }));
    printGroup(group, backlog.changes, series);
  }
}

function profileArgs({ profileDir }: BenchOptions, slot: string): string[] {
  if (profileDir === undefined) return [];
  return [
    "--cpu-prof",
    `--cpu-prof-dir=${resolve(profileDir)}`,
    `--cpu-prof-name=${join(slot + ".cpuprofile")}`,
  ];
}

function drainRow(group: DrainGroup, entry: Entry, run: number, backlog: Backlog, r: DrainResult) {
  return {
    scenario: group.name,
    contender: entry.contender.name,
    run,
    changes: backlog.changes,
    wall_s: r.wallSeconds,
    user_s: r.userSeconds,
    system_s: r.systemSeconds,
    peak_mib: r.program?.peakMebibytes,
    puts: r.program?.puts,
    put_bytes: r.program?.dataBytes,
    last_put_s: r.program?.lastPutSeconds,
    sink_cpu_s: r.program?.sinkCpuSeconds,
    walsender_cpu_s: r.program?.walsenderCpuSeconds,
  };
}

async function measureSteadyLoads(server: BenchServer, csv: RawCsv, options: BenchOptions) {
  const programs = LIVE_PROGRAMS.filter(({ name }) => options.only.test(`steady load: ${name}`));
  if (programs.length === 0) return;
  const rows = [["", "p50 ms", "p99 ms", "max ms", "puts", "CPU share", "peak MiB"]];
  const verdicts: string[] = [];
  for (const { name, plugin, args } of programs) {
    const result = await measureSteadyLoad(server, {
      plugin,
      args,
      transactionsPerSecond: TRANSACTIONS_PER_SECOND,
      seconds: options.steadySeconds,
    });
    const { p50Ms, p99Ms, maxMs, puts, cpuShare, peakMebibytes } = result;
    rows.push([
      name,
      ...[p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(2)),
      String(puts),
      `${(cpuShare * 100).toFixed(1)} %`,
      peakMebibytes.toFixed(0),
    ]);
    const isReached = p50Ms <= STEADY_TARGETS.p50Ms && p99Ms <= STEADY_TARGETS.p99Ms;
    verdicts.push(
      `${mark(isReached)} ${name}: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ` +
        `target ${STEADY_TARGETS.p50Ms} and ${STEADY_TARGETS.p99Ms}`,
    );
    await csv.append({
      scenario: "steady load",
      contender: name,
      run: 0,
      changes: result.transactions,
      p50_ms: p50Ms,
      p99_ms: p99Ms,
      max_ms: maxMs,
      puts,
      peak_mib: peakMebibytes,
    });
  }
  console.log(
    `\nsteady load: ${TRANSACTIONS_PER_SECOND} transactions a second for ` +
      `${options.steadySeconds} s, commit to acknowledged put`,
  );
  printTable(rows);
  for (const verdict of verdicts) console.log("  " + verdict);
}

async function measureStarts(server: BenchServer, csv: RawCsv, options: BenchOptions) {
  const programs = LIVE_PROGRAMS.filter(({ name }) => options.only.test(`start: ${name}`));
  if (programs.length === 0) return;
  const rows = [["", "streaming ms", "CPU s", "stop ms"]];
  const verdicts: string[] = [];
  for (const { name, plugin, args } of programs) {
    const results = [];
    for (let run = 0; run < options.runs; run++) {
      const result = await measureStart(server, { plugin, args });
      results.push(result);
      await csv.append({
        scenario: "start",
        contender: name,
        run,
        streaming_ms: result.streamingMs,
        stop_ms: result.stopMs,
      });
    }
    const streamingMs = median(results.map((r) => r.streamingMs));
    rows.push([
      name,
      streamingMs.toFixed(0),
      median(results.map((r) => r.cpuSeconds)).toFixed(2),
      median(results.map((r) => r.stopMs)).toFixed(0),
    ]);
    verdicts.push(
      `${mark(streamingMs <= START_TARGET_MS)} ${name}: streaming after ${
        streamingMs.toFixed(0)
      } ms, ` +
        `target ${START_TARGET_MS} for the executable`,
    );
  }
  console.log("\nstart: from the start of the process until the slot is followed");
  printTable(rows);
  for (const verdict of verdicts) console.log("  " + verdict);
}
