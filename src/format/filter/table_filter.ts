import { RunError } from "../../base/errors.ts";
import type { FormatOptions } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import { withAncestors, withFormerAncestors } from "./ancestors.ts";
import { drops, Routes } from "./first_route.ts";
import { parseGlob } from "./glob.ts";

type TableOptions = Pick<
  FormatOptions,
  "tablePattern" | "includeTables" | "excludeTables" | "routes"
>;

/** Says of a table, by `schema.table`, whether its changes are published. */
export type TableFilter = (qualifiedName: string) => boolean;

/**
 * A table must satisfy `--table-pat` and one of `--include-table`, and none of `--exclude-table`, itself or
 * by a table that it is a partition of or inherits from, nor may its first route drop it. Those that it had as parents earlier in this run
 * still let it pass, so that no change of that time is lost. Without a catalog its name alone counts.
 */
export function createTableFilter(options: TableOptions, catalog?: Catalog): TableFilter {
  const { tablePattern } = options;
  const included = options.includeTables.map(parseGlob);
  const excluded = options.excludeTables.map(parseGlob);
  const isExcluded = (name: string) => excluded.some((matches) => matches(name));
  const passesPattern = (name: string) => tablePattern === undefined || finds(tablePattern, name);
  const isIncluded = (name: string) =>
    included.length === 0 || included.some((matches) => matches(name));
  const routes = new Routes(options.routes, catalog);
  const hasDrops = options.routes.some(drops);
  const isDropped = (name: string) => {
    const match = hasDrops ? routes.ofTable(name) : undefined;
    return match !== undefined && drops(match.route);
  };
  return (name) => {
    const now = catalog === undefined ? [name] : [...withAncestors(name, catalog)];
    const ever = catalog === undefined ? [name] : [...withFormerAncestors(name, catalog)];
    return ever.some(passesPattern) && ever.some(isIncluded) && !now.some(isExcluded) &&
      !isDropped(name);
  };
}

/**
 * Throws a RunError when a pattern that chooses tables matches none: mostly a slip of the pen, and a run
 * that publishes nothing would hide it.
 */
export function checkTableFilter(options: TableOptions, catalog: Catalog): void {
  const names = [...catalog.tables()].map((table) => `${table.schema}.${table.table}`);
  const check = (flag: string, value: string, matches: (name: string) => boolean) => {
    if (names.some(matches)) return;
    throw new RunError(
      `${flag} ${value} matches none of the database's ${names.length} tables` +
        (names.length === 0 ? "" : ` (such as ${names.slice(0, 3).join(", ")})`) +
        `; it is compared with schema.table`,
    );
  };
  const { tablePattern } = options;
  if (tablePattern !== undefined) {
    check("--table-pat", tablePattern.source, (name) => finds(tablePattern, name));
  }
  for (const glob of options.includeTables) {
    check("--include-table", glob, parseGlob(glob));
  }
  if (names.length > 0 && !names.some(createTableFilter(options, catalog))) {
    throw new RunError(
      `--table-pat, --include-table and --exclude-table together${
        options.routes.some(drops) ? ", with --route PATTERN=-," : ""
      } leave none of the database's ${names.length} tables; a table is published when all three allow it`,
    );
  }
}

/** A pattern with the flags g or y would remember where it stopped. */
function finds(pattern: RegExp, text: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(text);
}
