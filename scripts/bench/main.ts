/** `deno task bench`: see options.ts for what it measures and how it is asked. */
import { join, resolve } from "node:path";
import { findDebianPostgres, hasWal2json } from "../../tests/support/debian_postgres.ts";
import { readOrExit } from "../command_line.ts";
import {
  type Backlog,
  createTables,
  makeOneTransaction,
  makeSmallTransactions,
} from "./backlog.ts";
import { BenchServer } from "./bench_server.ts";
import { benchPeers } from "./peers/bench_peers.ts";
import { drain, type DrainResult } from "./drain.ts";
import { type BenchOptions, readOptions } from "./options.ts";
import { RawCsv } from "./raw_csv.ts";
import { addRatios, mark, printGroup, type Series } from "./report.ts";
import {
  DRAIN_GROUPS,
  type DrainGroup,
  type Entry,
  LIVE_PROGRAMS,
  START_TARGET_MS,
  withVersions,
} from "./scenarios.ts";
import { Ratios } from "./ratios.ts";
import { median } from "./statistics.ts";
import { printTable } from "./table.ts";
import { measureStart } from "./steady_load.ts";
import { measureSteadyLoads } from "./steady_loads.ts";
import { readVersion } from "./versions.ts";

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
  if (options.peers) return await benchPeers(options);
  await using server = await BenchServer.start();
  await createTables(server);
  const csv = await RawCsv.open(options.csvPath, server.postgres.version);

  const others = await Promise.all(options.against.map(readVersion));
  const ratios = new Ratios();
  const groups = DRAIN_GROUPS.map((group) => withVersions(chosen(group, options.only), others))
    .filter(({ entries }) => entries.some(({ contender }) => contender.kind === "pg2kinesis"));
  await measureStarts(server, csv, options);
  await measureSteadyLoads(server, csv, options, others, ratios);
  const small = groups.filter(({ backlog }) => backlog === "small transactions");
  await measureDrains(server, csv, options, ratios, small, () => {
    return makeSmallTransactions(server, options.transactions);
  });
  const one = groups.filter(({ backlog }) => backlog === "one transaction");
  await measureDrains(server, csv, options, ratios, one, () => {
    return makeOneTransaction(server, options.rowsOfOneTransaction);
  });
  if (others.length > 0) ratios.print();
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
  ratios: Ratios,
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
    addRatios(ratios, group.name, series);
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
