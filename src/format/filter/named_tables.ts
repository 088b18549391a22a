import { RunError } from "../../base/errors.ts";
import type { Relation } from "../../decode/event.ts";
import type { FormatOptions } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import { withAncestors } from "./ancestors.ts";
import type { ColumnFilter } from "./column_filter.ts";
import { drops } from "./first_route.ts";
import type { TableFilter } from "./table_filter.ts";

type NamingOptions = Pick<
  FormatOptions,
  "includeTables" | "excludeTables" | "excludeColumns" | "maskColumns" | "routes"
>;

/** The tables that options may name; names may hold dots, so some may not be there. */
export function namedTables(options: NamingOptions): Relation[] {
  const { includeTables, excludeTables, excludeColumns, maskColumns, routes } = options;
  const dropped = routes.filter((route) => route.of === "table" && drops(route));
  const names = new Map<string, Relation>();
  const add = (qualifiedName: string) => {
    for (const at of dotsIn(qualifiedName)) {
      const relation = {
        schema: qualifiedName.slice(0, at),
        table: qualifiedName.slice(at + 1),
        qualifiedName,
      };
      names.set(`${relation.schema} ${relation.table}`, relation);
    }
  };
  for (const glob of [...includeTables, ...excludeTables, ...dropped.map(({ glob }) => glob)]) {
    if (!/[*?\\]/.test(glob)) add(glob);
  }
  for (const column of [...excludeColumns, ...maskColumns]) {
    for (const at of dotsIn(column)) add(column.slice(0, at));
  }
  return [...names.values()];
}

function dotsIn(text: string): number[] {
  return [...text].flatMap((character, at) => character === "." ? [at] : []);
}

/**
 * Throws a RunError when an option is about a table below `root`, a partitioned table whose changes come
 * under its own name (`publish_via_partition_root`): nothing in them says which partition they are of.
 */
export function refuseBelowRoot(
  root: string,
  catalog: Catalog,
  isWanted: TableFilter,
  columnFilter: ColumnFilter,
): void {
  const rootRules = columnFilter.rulesOf(root, catalog);
  for (const { schema, table } of catalog.tables()) {
    const name = `${schema}.${table}`;
    if (name === root || !withAncestors(name, catalog).has(root)) continue;
    if (isWanted(name) !== isWanted(root)) {
      throw new RunError(
        cannotApply("--table-pat, --include-table and --exclude-table", name, root),
      );
    }
    for (const [column, rule] of columnFilter.rulesOf(name, catalog) ?? []) {
      if (rootRules?.get(column) === rule) continue;
      throw new RunError(cannotApply(`--${rule}-column`, `${name}.${column}`, root));
    }
  }
}

function cannotApply(option: string, what: string, root: string): string {
  return `${option} cannot tell ${what} from the rest of ${root}, whose partitions are published under ` +
    `its name (publish_via_partition_root): give the option for ${root}, or publish the partitions ` +
    "under their own names";
}
