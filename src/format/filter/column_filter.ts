import { didYouMean, nearest } from "../../base/did_you_mean.ts";
import { RunError } from "../../base/errors.ts";
import type { Column } from "../../decode/event.ts";
import type { FormatOptions } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import type { TableColumns } from "../../postgres/catalog/table_columns.ts";
import { someOf } from "../../base/quantity.ts";
import { withAllThatItWas } from "./ancestors.ts";
import { maskColumn } from "./column_mask.ts";

type ColumnOptions = Pick<FormatOptions, "excludeColumns" | "maskColumns" | "maskSalt">;

/** What happens to the columns of one table, by column name. */
export type ColumnRules = ReadonlyMap<string, "exclude" | "mask">;

/** `--exclude-column` and `--mask-column`. Neither may touch a primary key, which names the row. */
export class ColumnFilter {
  /** `columns`: of the tables that {@linkcode ruledTables} gives, as far as they are known. */
  constructor(
    private readonly options: ColumnOptions,
    private readonly columns: ReadonlyMap<string, TableColumns> = new Map(),
  ) {}

  /** Whether there is any rule. Then a table must be known: one with rules may be above it. */
  get isActive(): boolean {
    return this.options.excludeColumns.length > 0 || this.options.maskColumns.length > 0;
  }

  /**
   * The rules of a table, by `schema.table`, with those of the tables that it is a partition of or
   * inherits from, now or earlier in this run, and of the names that they had; undefined when its columns pass as they are.
   */
  rulesOf(qualifiedName: string, catalog: Catalog): ColumnRules | undefined {
    const rules = new Map<string, "exclude" | "mask">();
    const add = (columns: readonly string[], prefix: string, rule: "exclude" | "mask") => {
      for (const column of columns) {
        if (column.startsWith(prefix)) rules.set(column.slice(prefix.length), rule);
      }
    };
    const names = withAllThatItWas(qualifiedName, catalog);
    for (const name of names) add(this.options.maskColumns, name + ".", "mask");
    for (const name of names) add(this.options.excludeColumns, name + ".", "exclude");
    return rules.size === 0 ? undefined : rules;
  }

  /** The names of the columns that a table with rules had at the start; undefined when not known. */
  columnsOf(qualifiedName: string, catalog: Catalog): readonly string[] | undefined {
    for (const name of withAllThatItWas(qualifiedName, catalog)) {
      const columns = this.columns.get(name);
      if (columns !== undefined) return columns.names;
    }
    return undefined;
  }

  /** The column as it may be published, or nothing. */
  show(column: Column, rules: ColumnRules): Column | undefined {
    switch (rules.get(column.name)) {
      case undefined:
        return column;
      case "exclude":
        return undefined;
      case "mask":
        return maskColumn(column, this.options.maskSalt!);
    }
  }

  /** Throws a RunError when a rule touches a primary key, or names what is not there. */
  check(catalog: Catalog): void {
    const tables = [...catalog.tables()];
    for (const { schema, table, keys } of tables) {
      const qualifiedName = `${schema}.${table}`;
      const rules = this.rulesOf(qualifiedName, catalog);
      if (rules !== undefined) refuseKeyColumns(rules, keys[0] ?? [], qualifiedName);
    }
    for (const { option, tables } of namedTables(this.options, catalog)) {
      if (tables.length > 0) continue;
      throw new RunError(
        `${option} names a column of no table of the database; write schema.table.column`,
      );
    }
    const slip = this.#missing(catalog).find(({ mayBeGone }) => !mayBeGone);
    if (slip !== undefined) throw new RunError(slip.problem);
  }

  /** A line for each rule whose column is missing, of which the slot may still have changes. */
  doubts(catalog: Catalog): string[] {
    return this.#missing(catalog).filter(({ mayBeGone }) => mayBeGone).map(({ problem }) =>
      `${problem}; the slot may have changes from before the table was altered, so its first row ` +
      "decides"
    );
  }

  /**
   * Rules whose column no table has. A slip of the pen would publish what was to be hidden; but the
   * column may also be gone since changes that the slot still has.
   */
  #missing(catalog: Catalog): { readonly problem: string; readonly mayBeGone: boolean }[] {
    return namedTables(this.options, catalog).flatMap(({ option, tables }) => {
      const found = tables.flatMap(({ name, column }) => {
        const columns = this.columns.get(name);
        return columns === undefined ? [] : [{ column, ...columns }];
      });
      // A table that was dropped in the meantime is no slip of the pen.
      if (found.length < tables.length || found.some((at) => at.names.includes(at.column))) {
        return [];
      }
      const { column, names } = found[0]!;
      return [{
        problem: noSuchColumn(option, column, names),
        mayBeGone: found.some(({ mayHaveHadOthers }) => mayHaveHadOthers),
      }];
    });
  }
}

/** The tables, by `schema.table`, whose columns the rules may be about. */
export function ruledTables(options: ColumnOptions, catalog: Catalog): string[] {
  const tables = namedTables(options, catalog).flatMap((rule) => rule.tables);
  return [...new Set(tables.map(({ name }) => name))];
}

/** A rule as it was given, with the present tables that it may be about; names may hold dots. */
interface NamedTables {
  /** `--mask-column public.orders.card` */
  readonly option: string;
  readonly tables: readonly { readonly name: string; readonly column: string }[];
}

function namedTables(options: ColumnOptions, catalog: Catalog): NamedTables[] {
  const names = [...catalog.tables()].map(({ schema, table }) => `${schema}.${table}`);
  const find = (flag: string, columns: readonly string[]) =>
    columns.map((column) => ({
      option: `${flag} ${column}`,
      tables: names.filter((name) => column.startsWith(name + "."))
        .map((name) => ({ name, column: column.slice(name.length + 1) })),
    }));
  return [
    ...find("--exclude-column", options.excludeColumns),
    ...find("--mask-column", options.maskColumns),
  ];
}

/** `option` is the rule as it was given. */
export function noSuchColumn(option: string, column: string, names: readonly string[]): string {
  return `${option}: the table has no such column; its columns are ${someOf(names)}` +
    didYouMean(nearest(column, names));
}

/** Throws a RunError when one of `names`, a primary key, is excluded or masked. */
export function refuseKeyColumns(
  rules: ColumnRules,
  names: readonly string[],
  qualifiedName: string,
): void {
  for (const name of names) {
    const rule = rules.get(name);
    if (rule === undefined) continue;
    throw new RunError(
      `--${rule}-column ${qualifiedName}.${name} is part of the table's primary key ` +
        `(${
          names.join(", ")
        }), which names the row; publish the table without this option, or leave ` +
        `the table out with --exclude-table ${qualifiedName}`,
    );
  }
}
