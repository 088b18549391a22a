import { createHash } from "node:crypto";
import { RunError } from "../errors.ts";
import { type Column, UNCHANGED } from "../decode/event.ts";
import type { FormatOptions } from "../options.ts";
import type { Catalog } from "../postgres/known_table.ts";

type ColumnOptions = Pick<FormatOptions, "excludeColumns" | "maskColumns" | "maskSalt">;

/** What happens to the columns of one table, by column name. */
export type ColumnRules = ReadonlyMap<string, "exclude" | "mask">;

/** `--exclude-column` and `--mask-column`. Neither may touch a primary key, which names the row. */
export class ColumnFilter {
  constructor(private readonly options: ColumnOptions) {}

  /** Whether there is any rule. Then a table must be known: it may be a partition of one with rules. */
  get isActive(): boolean {
    return this.options.excludeColumns.length > 0 || this.options.maskColumns.length > 0;
  }

  /**
   * The rules of a table, by `schema.table`, with those of the tables that it is a partition of;
   * undefined when its columns pass as they are.
   */
  rulesOf(qualifiedName: string, catalog: Catalog): ColumnRules | undefined {
    const rules = new Map<string, "exclude" | "mask">();
    const add = (columns: readonly string[], prefix: string, rule: "exclude" | "mask") => {
      for (const column of columns) {
        if (column.startsWith(prefix)) rules.set(column.slice(prefix.length), rule);
      }
    };
    for (
      let name: string | undefined = qualifiedName;
      name !== undefined;
      name = catalog.table(name)?.partitionOf
    ) {
      add(this.options.maskColumns, name + ".", "mask");
      add(this.options.excludeColumns, name + ".", "exclude");
    }
    return rules.size === 0 ? undefined : rules;
  }

  /**
   * The column as it may be published, or nothing. A masked value is the SHA-256, in hexadecimal, of
   * the salt and PostgreSQL's text, both as UTF-8; its type is then `text`. NULL stays NULL.
   */
  show(column: Column, rules: ColumnRules): Column | undefined {
    switch (rules.get(column.name)) {
      case undefined:
        return column;
      case "exclude":
        return undefined;
      case "mask": {
        const { name, value } = column;
        if (value === null || value === UNCHANGED) return { name, type: "text", value };
        const hash = createHash("sha256").update(this.options.maskSalt!).update(value).digest(
          "hex",
        );
        return { name, type: "text", value: hash };
      }
    }
  }

  /** Throws a RunError when a rule touches a primary key, or names a table that is not there. */
  check(catalog: Catalog): void {
    const tables = [...catalog.tables()];
    for (const { schema, table, keys } of tables) {
      const qualifiedName = `${schema}.${table}`;
      const rules = this.rulesOf(qualifiedName, catalog);
      if (rules !== undefined) refuseKeyColumns(rules, keys[0] ?? [], qualifiedName);
    }
    const check = (flag: string, columns: readonly string[]) => {
      for (const column of columns) {
        if (tables.some(({ schema, table }) => column.startsWith(`${schema}.${table}.`))) continue;
        throw new RunError(
          `${flag} ${column} names a column of no table of the database; write schema.table.column`,
        );
      }
    };
    check("--exclude-column", this.options.excludeColumns);
    check("--mask-column", this.options.maskColumns);
  }
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
