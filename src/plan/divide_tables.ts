import { chooseTables, type PublishableTable } from "../postgres/catalog/publication_tables.ts";
import { partFilter } from "../postgres/catalog/part_filter.ts";
import { splitColumns, type SplitFacts } from "../postgres/catalog/split_columns.ts";
import { RunError } from "../base/errors.ts";
import { countOf, someOf } from "../base/quantity.ts";
import type { PlanOptions } from "./plan_options.ts";

/** Which tables, or rows of them, each part has. */
export interface Division {
  /** For each part what its publication lists, as SQL, with the filters. */
  readonly listed: readonly (readonly string[])[];
  /** What a person must know of it, one line each. */
  readonly remarks: readonly string[];
}

/** The server's side of it. */
export interface DivisionFacts {
  readonly tables: readonly PublishableTable[];
  /** By the tables' OIDs. */
  readonly splitFacts: ReadonlyMap<string, SplitFacts>;
  readonly wanted: (qualifiedName: string) => boolean;
  readonly version: number;
}

/** A table that goes to one part. */
interface WholeTable {
  readonly table: PublishableTable;
  readonly why: string | undefined;
  readonly writes: number;
}

/**
 * Divides the tables that a run would publish: each row in exactly one part, and each key always in the
 * same one.
 * @throws {RunError} when there is not enough for every part.
 */
export function divideTables(
  { tables, splitFacts, wanted, version }: DivisionFacts,
  { parts, split, run }: PlanOptions,
): Division {
  const { listed: chosen, leftOut } = chooseTables(tables, wanted, version);
  if (chosen.length === 0) {
    throw new RunError(
      leftOut.length === 0
        ? "no table matches --table-pat, --include-table and --exclude-table"
        : `of the tables that match none has a replica identity (${
          someOf(leftOut)
        }); give them a ` +
          "primary key or REPLICA IDENTITY FULL",
    );
  }
  const isChosen = new Set(chosen);
  const listed: string[][] = Array.from({ length: parts }, () => []);
  const whole: WholeTable[] = [];
  let isSpread = false;
  for (const table of tables.filter(({ quoted }) => isChosen.has(quoted))) {
    const holders = holdersOf(table, tables).map(({ oid }) => splitFacts.get(oid)!);
    const writes = holders.reduce((sum, each) => sum + each.writes, 0);
    const columns = split === "tables"
      ? { why: undefined }
      : table.isPartitioned && !run.slot.partitionRoot
      ? { why: "it is partitioned; --partition-root spreads its rows, under its own name" }
      : splitColumns(splitFacts.get(table.oid)!, holders);
    if ("why" in columns) whole.push({ table, why: columns.why, writes });
    else {
      isSpread = true;
      listed.forEach((part, index) =>
        part.push(`${table.quoted} WHERE (${partFilter(columns.columns, index, parts)})`)
      );
    }
  }
  if (!isSpread && whole.length < parts) {
    throw new RunError(
      `there is no table whose rows can be spread, and ${countOf(whole.length, "table")} for ` +
        `${parts} parts` + (whole.length > 1 ? `; ask for --parts ${whole.length} or fewer` : ""),
    );
  }
  const remarks = placeWhole(whole, listed);
  if (leftOut.length > 0) {
    remarks.push(
      `left out, because their updates and deletes would fail in the application without a replica ` +
        `identity: ${someOf(leftOut)}`,
    );
  }
  return { listed, remarks };
}

/** The tables that have the rows: the table itself, or the partitions at the bottom. */
function holdersOf(
  table: PublishableTable,
  all: readonly PublishableTable[],
): readonly PublishableTable[] {
  if (!table.isPartitioned) return [table];
  return all.filter(({ parent }) => parent === table.oid).flatMap((each) => holdersOf(each, all));
}

/** Gives each to the part that has the least to do, by what was written so far; the busiest first. */
function placeWhole(whole: readonly WholeTable[], listed: readonly string[][]): string[] {
  const remarks: string[] = [];
  const load = listed.map(() => 0);
  for (const { table, why, writes } of whole.toSorted((a, b) => b.writes - a.writes)) {
    const least = load.indexOf(Math.min(...load));
    // One more, so that tables which nobody has written to are spread too.
    load[least]! += writes + 1;
    listed[least]!.push(table.quoted);
    if (why !== undefined) remarks.push(`${table.name} is in part ${least} as a whole: ${why}`);
  }
  return remarks;
}
