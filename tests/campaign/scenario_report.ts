import type { Scenario } from "./plan.ts";
import type { ScenarioResult } from "./run_scenario.ts";

const WIDTHS = [8, 13, 10, 4, 6, 5, 8, 9, 8, 6, 7, 7, 10, 5, 6, 4, 6];

export const HEAD = toColumns([
  "seed",
  "plugin",
  "format",
  "agg",
  "shards",
  "kills",
  "restarts",
  "failovers",
  "reshards",
  "puts",
  "faults",
  "changes",
  "duplicates",
  "lost",
  "order",
  "MiB",
  "s",
]);

/** One line of the table. */
export function toLine(scenario: Scenario, result: ScenarioResult): string {
  return toColumns([
    scenario.seed,
    scenario.plugin,
    scenario.format,
    scenario.aggregation,
    scenario.shards,
    result.kills,
    result.restarts,
    result.failovers,
    result.reshards,
    result.puts,
    result.faults,
    result.changes,
    result.duplicates,
    result.lost,
    result.outOfOrder,
    result.peakMebibytes.toFixed(0),
    result.seconds.toFixed(1),
  ]);
}

/** The figures of all scenarios. */
export function summarize(seed: number, results: readonly ScenarioResult[]): string {
  const sum = (of: (result: ScenarioResult) => number) =>
    results.reduce((total, result) => total + of(result), 0).toLocaleString("en");
  const found = results.filter(({ findings }) => findings.length > 0).length;
  return [
    "",
    `seed ${seed}, ${results.length} scenarios, ${sum((r) => Math.round(r.seconds))} s:`,
    `  ${sum((r) => r.kills)} kills -9, ${sum((r) => r.restarts)} restarts of PostgreSQL, ` +
    `${sum((r) => r.failovers)} failovers, which left ${
      sum((r) => r.leftBehind)
    } changes in the stream ` +
    "that the database lost,",
    `  ${sum((r) => r.faults)} injected faults, ${
      sum((r) => r.reshards)
    } shards closed by reshards`,
    `  ${sum((r) => r.changes)} changes in ${sum((r) => r.puts)} puts: ${
      sum((r) => r.lost)
    } lost, ` +
    `${sum((r) => r.outOfOrder)} out of order, ${sum((r) => r.duplicates)} duplicates; ` +
    `${sum((r) => r.confirmedLsns)} confirmed LSNs looked at`,
    `  memory: ${Math.max(0, ...results.map((r) => r.peakMebibytes)).toFixed(0)} MiB at most`,
    found === 0 ? "  no promise was broken" : `  ${found} scenarios with findings`,
  ].join("\n");
}

function toColumns(cells: readonly (string | number)[]): string {
  return cells.map((cell, i) => String(cell).padStart(WIDTHS[i]!)).join(" ");
}
