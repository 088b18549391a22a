import type { Contender, DrainResult } from "./drain.ts";
import { type DrainGroup, PEAK_MEBIBYTES_TARGET, type Target } from "./scenarios.ts";
import type { Ratios } from "./ratios.ts";
import { median } from "./statistics.ts";
import { printTable } from "./table.ts";
import { THIS_VERSION } from "./versions.ts";

/** The results of one contender, in the order of the rounds. */
export interface Series {
  readonly contender: Contender;
  readonly targets: readonly Target[];
  readonly results: readonly DrainResult[];
}

const HEAD = [
  "",
  "wall s",
  "(range)",
  "× recv",
  "CPU s",
  "user+sys",
  "× recv",
  "µs/change",
  "peak MiB",
  "puts",
  "MiB put",
  "sink CPU s",
  "walsender CPU s",
];

/** Medians, and medians of the ratios within a round, with the targets below. */
export function printGroup(group: DrainGroup, changes: number, all: readonly Series[]): void {
  const baseline = all.find(({ contender }) => contender.kind === "pg_recvlogical")!;
  const rows = [HEAD];
  const verdicts: string[] = [];
  for (const series of all) {
    const { contender, results } = series;
    const of = (read: (result: DrainResult) => number) => median(results.map(read));
    const walls = results.map(({ wallSeconds }) => wallSeconds);
    const programs = results.flatMap(({ program }) => program ?? []);
    const ofProgram = (read: (program: typeof programs[number]) => number, digits: number) =>
      programs.length === 0 ? "" : median(programs.map(read)).toFixed(digits);
    rows.push([
      contender.name,
      median(walls).toFixed(2),
      `${Math.min(...walls).toFixed(2)}–${Math.max(...walls).toFixed(2)}`,
      ratio(series, baseline, "wall").toFixed(2),
      of(cpuSeconds).toFixed(2),
      `${of((r) => r.userSeconds).toFixed(2)}+${of((r) => r.systemSeconds).toFixed(2)}`,
      ratio(series, baseline, "cpu").toFixed(2),
      (of(cpuSeconds) / changes * 1e6).toFixed(2),
      ofProgram(({ peakMebibytes }) => peakMebibytes, 0),
      ofProgram(({ puts }) => puts, 0),
      ofProgram(({ dataBytes }) => dataBytes / 1024 / 1024, 1),
      ofProgram(({ sinkCpuSeconds }) => sinkCpuSeconds, 2),
      ofProgram(({ walsenderCpuSeconds }) => walsenderCpuSeconds, 2),
    ]);
    verdicts.push(...verdictsOf(series, all));
  }
  console.log(`\n${group.name}: ${changes.toLocaleString("en")} changes`);
  printTable(rows);
  for (const verdict of verdicts) console.log("  " + verdict);
}

/** Each program's runs beside those of its other versions and of pg_recvlogical. */
export function addRatios(ratios: Ratios, group: string, all: readonly Series[]): void {
  const runsOf = ({ results }: Series) => ({
    wall: results.map(({ wallSeconds }) => wallSeconds),
    cpu: results.map(cpuSeconds),
    peak: results.flatMap(({ program }) => program?.peakMebibytes ?? []),
  });
  const baseline = all.find(({ contender }) => contender.kind === "pg_recvlogical")!;
  for (const series of all) {
    const { contender } = series;
    if (contender.kind !== "pg2kinesis") continue;
    const { version } = contender;
    const isNow = version.name === THIS_VERSION.name;
    const name = isNow ? contender.name : contender.name.slice(0, -`, ${version.name}`.length);
    ratios.add(`${group}: ${name}`, version.name, runsOf(series));
    if (isNow) {
      const { wall, cpu } = runsOf(baseline);
      ratios.add(`${group}: ${name}`, baseline.contender.name, { wall, cpu });
    }
  }
}

function verdictsOf(series: Series, all: readonly Series[]): string[] {
  const { contender: { name }, targets, results } = series;
  const verdicts = targets.flatMap(({ measure, atMost, of }) => {
    const other = all.find(({ contender }) => contender.name === of);
    if (other === undefined) return [];
    const found = ratio(series, other, measure);
    return [
      `${mark(found <= atMost)} ${name}: ${found.toFixed(2)} × the ${measure} of ${of}, ` +
      `target ${atMost}`,
    ];
  });
  const peaks = results.flatMap(({ program }) => program?.peakMebibytes ?? []);
  if (peaks.length > 0) {
    const peak = median(peaks);
    verdicts.push(
      `${mark(peak <= PEAK_MEBIBYTES_TARGET)} ${name}: ${peak.toFixed(0)} MiB at the peak, ` +
        `target ${PEAK_MEBIBYTES_TARGET}`,
    );
  }
  return verdicts;
}

export function mark(isReached: boolean): string {
  return isReached ? "reached   " : "NOT REACHED";
}

/** Runs of one round saw the machine in the same state: their ratio is steadier than either. */
function ratio(series: Series, baseline: Series, measure: Target["measure"]): number {
  const read = measure === "wall" ? (r: DrainResult) => r.wallSeconds : cpuSeconds;
  return median(series.results.map((result, i) => read(result) / read(baseline.results[i]!)));
}

function cpuSeconds({ userSeconds, systemSeconds }: DrainResult): number {
  return userSeconds + systemSeconds;
}
