import type { Relation, RowChange, Truncate } from "../decode/event.ts";
import { RunError } from "../errors.ts";
import type { FormatOptions, Operation, OutputPlugin } from "../options.ts";
import type { Catalog } from "../postgres/known_table.ts";
import {
  type ColumnFilter,
  type ColumnRules,
  noSuchColumn,
  refuseKeyColumns,
} from "./column_filter.ts";
import type { Change, Emit, FormatProblem, Formatter } from "./formatter.ts";
import { RelationCache } from "./relation_cache.ts";
import type { RowKeys } from "./row_key.ts";
import { RowView } from "./row_view.ts";
import type { TableFilter } from "./table_filter.ts";

/** All operations; logical messages are none of them, and pass when all are asked for. */
const OPERATION_COUNT = 4;

/**
 * Stands before a formatter and shows it only what was asked for. What becomes of a table is decided
 * once, until the catalog is read again.
 */
export class FilteringFormatter implements Formatter {
  readonly #tables: RelationCache<TableDecision>;
  readonly #operations: ReadonlySet<Operation>;
  readonly #seenColumns = new Set<string>();

  constructor(
    private readonly inner: Formatter,
    options: Pick<FormatOptions, "operations">,
    private readonly plugin: OutputPlugin,
    tableFilter: TableFilter,
    private readonly columnFilter: ColumnFilter,
    private readonly keys: RowKeys,
    catalog: Catalog,
  ) {
    this.#operations = options.operations;
    this.#tables = new RelationCache(catalog, ({ qualifiedName }) => ({
      wanted: tableFilter(qualifiedName),
      rules: columnFilter.rulesOf(qualifiedName, catalog),
      mayHaveRules: columnFilter.isActive && catalog.table(qualifiedName) === undefined,
    }));
  }

  format(change: Change, emit: Emit): FormatProblem | undefined {
    return this.#pass(change, (shown) => this.inner.format(shown, emit));
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | undefined {
    return this.#pass(change, (shown) => this.inner.formatKeyOnly(shown, emit));
  }

  #pass(
    change: Change,
    next: (shown: Change) => FormatProblem | undefined,
  ): FormatProblem | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
        return this.#passRow(change, next);
      case "truncate":
        if (this.#operations.has("truncate")) this.#passTruncate(change, next);
        return undefined;
      case "message":
        return this.#operations.size === OPERATION_COUNT ? next(change) : undefined;
      default:
        return change satisfies never;
    }
  }

  #passRow(
    change: RowChange,
    next: (shown: Change) => FormatProblem | undefined,
  ): FormatProblem | undefined {
    if (!this.#operations.has(change.kind)) return undefined;
    const { wanted, rules, mayHaveRules } = this.#tables.get(change.relation);
    if (!wanted) return undefined;
    if (mayHaveRules) return unknownRules(change.relation);
    if (rules === undefined) return next(change);
    const key = this.keys.find(change, "new");
    if (key.kind === "unknown-table") return key;
    const { qualifiedName } = change.relation;
    if (key.kind === "key") {
      refuseKeyColumns(rules, key.columns.map(({ name }) => name), qualifiedName);
    }
    // wal2json leaves unchanged TOAST columns out of an update.
    if (change.kind === "insert" || change.kind === "update" && this.plugin !== "wal2json") {
      this.#lookForColumns(change, rules, qualifiedName);
    }
    return next(new RowView(change, (column) => this.columnFilter.show(column, rules)));
  }

  /**
   * A column that no row ever had is a slip of the pen, which would publish what was to be hidden. One
   * that was there and is gone was dropped.
   */
  #lookForColumns(change: RowChange, rules: ColumnRules, qualifiedName: string): void {
    for (const [name, rule] of rules) {
      const option = `--${rule}-column ${qualifiedName}.${name}`;
      if (this.#seenColumns.has(option)) continue;
      if (change.newColumn(name) === undefined) {
        throw new RunError(noSuchColumn(option, name, change.newRow!.map(({ name }) => name)));
      }
      this.#seenColumns.add(option);
    }
  }

  /** One table at a time, each with its own position in the transaction. */
  #passTruncate(change: Truncate, next: (shown: Change) => FormatProblem | undefined): void {
    change.relations.forEach((relation, index) => {
      if (!this.#tables.get(relation).wanted) return;
      next({ ...change, seq: change.seq + index, relations: [relation] });
    });
  }
}

interface TableDecision {
  readonly wanted: boolean;
  readonly rules: ColumnRules | undefined;
  /** There are rules, and the table may be a partition of one that has them. */
  readonly mayHaveRules: boolean;
}

function unknownRules({ qualifiedName }: Relation): FormatProblem {
  return {
    kind: "unknown-table",
    table: qualifiedName,
    reason:
      "pg_catalog does not know this table, so neither whether it is a partition of one that " +
      "--exclude-column or --mask-column is about",
  };
}
