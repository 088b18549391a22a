import { median } from "./statistics.ts";
import { printTable } from "./table.ts";
import { THIS_VERSION } from "./versions.ts";

/** What one version needed, by measure; runs in the order of the rounds. */
type Runs = Readonly<Record<string, readonly number[]>>;

interface Measured {
  readonly scenario: string;
  /** A version's name, or that of whatever else took part. */
  readonly version: string;
  readonly runs: Runs;
}

/** Compares this version with the others round by round: runs of one round saw the machine in one state. */
export class Ratios {
  readonly #measured: Measured[] = [];

  add(scenario: string, version: string, runs: Runs): void {
    this.#measured.push({ scenario, version, runs });
  }

  /** A row for each scenario and each of the others: medians of the ratios to this version's runs. */
  rows(): string[][] {
    const rows: string[][] = [["now ÷ the other", "wall", "CPU", "p50", "p99", "peak memory"]];
    for (const { scenario, version, runs } of this.#measured) {
      const now = this.#measured.find((each) =>
        each.scenario === scenario && each.version === THIS_VERSION.name
      );
      if (now === undefined || version === THIS_VERSION.name) continue;
      const ratio = (measure: string) => {
        const other = runs[measure], own = now.runs[measure];
        if (other === undefined || own === undefined) return "";
        return median(own.map((value, round) => value / other[round]!)).toFixed(2);
      };
      rows.push([`${scenario} ÷ ${version}`, ...["wall", "cpu", "p50", "p99", "peak"].map(ratio)]);
    }
    return rows;
  }

  print(): void {
    console.log("\nratios of this version to the others, medians of the rounds");
    printTable(this.rows());
  }
}
