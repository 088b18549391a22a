import type { BenchServer } from "./bench_server.ts";
import type { BenchOptions } from "./options.ts";
import type { RawCsv } from "./raw_csv.ts";
import type { Ratios } from "./ratios.ts";
import { mark } from "./report.ts";
import { LIVE_PROGRAMS, STEADY_TARGETS } from "./scenarios.ts";
import { median } from "./statistics.ts";
import { measureSteadyLoad, type SteadyLoadResult } from "./steady_load.ts";
import { printTable } from "./table.ts";
import { THIS_VERSION, type Version } from "./versions.ts";

const TRANSACTIONS_PER_SECOND = 200;

/** Each program under the steady load; where there are other versions, in turns and as often as drains. */
export async function measureSteadyLoads(
  server: BenchServer,
  csv: RawCsv,
  options: BenchOptions,
  others: readonly Version[],
  ratios: Ratios,
): Promise<void> {
  const programs = LIVE_PROGRAMS.filter(({ name }) => options.only.test(`steady load: ${name}`));
  if (programs.length === 0) return;
  const rows = [["", "p50 ms", "p99 ms", "max ms", "puts", "CPU share", "peak MiB"]];
  const verdicts: string[] = [];
  const versions = [THIS_VERSION, ...others];
  const rounds = others.length === 0 ? 1 : options.runs;
  for (const { name, plugin, args } of programs) {
    const results = new Map(versions.map((version) => [version, [] as SteadyLoadResult[]]));
    for (let round = 0; round < rounds; round++) {
      for (const version of round % 2 === 0 ? versions : versions.toReversed()) {
        const result = await measureSteadyLoad(server, {
          ...{ plugin, args, version },
          transactionsPerSecond: TRANSACTIONS_PER_SECOND,
          seconds: options.steadySeconds,
        });
        results.get(version)!.push(result);
        await csv.append({
          scenario: "steady load",
          contender: fullName(name, version),
          run: round,
          changes: result.transactions,
          p50_ms: result.p50Ms,
          p99_ms: result.p99Ms,
          max_ms: result.maxMs,
          cpu_share: result.cpuShare,
          puts: result.puts,
          peak_mib: result.peakMebibytes,
        });
      }
    }
    for (const [version, runs] of results) {
      rows.push(rowOf(fullName(name, version), runs));
      ratios.add(`steady load: ${name}`, version.name, {
        cpu: runs.map(({ cpuShare }) => cpuShare),
        p50: runs.map(({ p50Ms }) => p50Ms),
        p99: runs.map(({ p99Ms }) => p99Ms),
        peak: runs.map(({ peakMebibytes }) => peakMebibytes),
      });
    }
    verdicts.push(verdictOf(name, results.get(THIS_VERSION)!));
  }
  console.log(
    `\nsteady load: ${TRANSACTIONS_PER_SECOND} transactions a second for ` +
      `${options.steadySeconds} s, commit to acknowledged put`,
  );
  printTable(rows);
  for (const verdict of verdicts) console.log("  " + verdict);
}

function fullName(name: string, version: Version): string {
  return version === THIS_VERSION ? name : `${name}, ${version.name}`;
}

function rowOf(name: string, runs: readonly SteadyLoadResult[]): string[] {
  const of = (read: (result: SteadyLoadResult) => number) => median(runs.map(read));
  return [
    name,
    of(({ p50Ms }) => p50Ms).toFixed(2),
    of(({ p99Ms }) => p99Ms).toFixed(2),
    of(({ maxMs }) => maxMs).toFixed(2),
    of(({ puts }) => puts).toFixed(0),
    `${(of(({ cpuShare }) => cpuShare) * 100).toFixed(1)} %`,
    of(({ peakMebibytes }) => peakMebibytes).toFixed(0),
  ];
}

function verdictOf(name: string, runs: readonly SteadyLoadResult[]): string {
  const p50Ms = median(runs.map((run) => run.p50Ms)), p99Ms = median(runs.map((run) => run.p99Ms));
  const isReached = p50Ms <= STEADY_TARGETS.p50Ms && p99Ms <= STEADY_TARGETS.p99Ms;
  return `${mark(isReached)} ${name}: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ` +
    `target ${STEADY_TARGETS.p50Ms} and ${STEADY_TARGETS.p99Ms}`;
}
