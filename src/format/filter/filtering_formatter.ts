import type { Commit, Relation, RowChange, Truncate } from "../../decode/event.ts";
import { RunError } from "../../base/errors.ts";
import type { Plugin } from "../../decode/plugin.ts";
import type { FormatOptions, Operation } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import { someOf } from "../../base/quantity.ts";
import {
  type ColumnFilter,
  type ColumnRules,
  noSuchColumn,
  refuseKeyColumns,
} from "./column_filter.ts";
import type {
  Change,
  Emit,
  FormatProblem,
  Formatter,
  PublishedTransaction,
  Unread,
} from "../formatter.ts";
import { refuseBelowRoot } from "./named_tables.ts";
import { RelationCache } from "../relation_cache.ts";
import type { RowKeys } from "../row_key.ts";
import { RowView } from "../row_view.ts";
import type { TableFilter } from "./table_filter.ts";

/**
 * An endless series of new partitions must not fill the memory; for what is forgotten, the columns at the
 * start still decide.
 */
const MAX_SEEN = 20_000;

/**
 * Stands before a formatter and shows it only what was asked for. What becomes of a table is decided
 * once, until the catalog is read again.
 */
export class FilteringFormatter implements Formatter {
  readonly #tables: RelationCache<TableDecision>;
  readonly #operations: ReadonlySet<Operation>;
  /** By rule, the names of all columns that were seen in a row together with the rule's. */
  readonly #seenColumns = new Map<string, Set<string>>();

  constructor(
    private readonly inner: Formatter,
    options: Pick<FormatOptions, "operations">,
    private readonly plugin: Plugin,
    private readonly tableFilter: TableFilter,
    private readonly columnFilter: ColumnFilter,
    private readonly keys: RowKeys,
    private readonly catalog: Catalog,
    /** Those that options name, when they are about tables or columns. */
    private readonly named: readonly Relation[] | undefined,
  ) {
    this.#operations = options.operations;
    this.#tables = new RelationCache(catalog, ({ qualifiedName }) => ({
      wanted: tableFilter(qualifiedName),
      rules: columnFilter.rulesOf(qualifiedName, catalog),
      columns: columnFilter.columnsOf(qualifiedName, catalog),
      mayHaveRules: columnFilter.isActive && catalog.table(qualifiedName) === undefined,
      isRoot: catalog.table(qualifiedName)?.isPartitioned ?? false,
      readFor: undefined,
    }));
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#pass(change, (shown) => this.inner.format(shown, emit));
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#pass(change, (shown) => this.inner.formatKeyOnly(shown, emit));
  }

  commit(commit: Commit, emit: Emit, published: PublishedTransaction | undefined): void {
    this.inner.commit?.(commit, emit, published);
  }

  #pass(
    change: Change,
    next: (shown: Change) => FormatProblem | Unread | undefined,
  ): FormatProblem | Unread | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        return this.#passRow(change, next);
      case "truncate":
        return this.#operations.has("truncate") ? this.#passTruncate(change, next) : undefined;
      case "message":
        // None of the operations, and chosen by its prefix before.
        return next(change);
      case "backfill":
        return this.#tables.get(change.relation).wanted ? next(change) : undefined;
      default:
        return change satisfies never;
    }
  }

  #passRow(
    change: RowChange,
    next: (shown: Change) => FormatProblem | Unread | undefined,
  ): FormatProblem | Unread | undefined {
    if (change.kind !== "read" && !this.#operations.has(change.kind)) return undefined;
    const unread = this.#unread(change.relation, change, change.definedBy);
    if (unread !== undefined) return unread;
    const { wanted, rules, columns, mayHaveRules } = this.#tables.get(change.relation);
    if (!wanted) return undefined;
    if (mayHaveRules) return unknownRules(change.relation);
    if (rules === undefined) return next(change);
    const key = this.keys.find(change, "new");
    if (key.kind === "unknown-table" || key.kind === "unread") return key;
    const keyNames = key.kind === "key" ? key.columns.map(({ name }) => name) : [];
    refuseKeyColumns(rules, keyNames, change.relation.qualifiedName);
    this.#lookForColumns(change, rules, columns, keyNames);
    return next(new RowView(change, (column) => this.columnFilter.show(column, rules)));
  }

  /**
   * What must be read before the options can be held against a table: its parents as they are when the
   * change is published. Only some plugins show all DDL that may concern them. Throws a
   * RunError where the change is of a partition that only the options know.
   */
  #unread(
    relation: Relation,
    { transaction: { xid } }: RowChange | Truncate,
    definedBy: number | undefined,
  ): Unread | undefined {
    if (this.named === undefined) return undefined;
    const mustSee = this.plugin.shownDdl === "all" && definedBy !== undefined ? definedBy : xid;
    const table = this.#tables.get(relation);
    if (mustSee === 0 || table.readFor === mustSee) return undefined;
    for (const each of table.isRoot ? [relation, ...this.named] : [relation]) {
      if (this.catalog.isRead(each.qualifiedName, mustSee)) continue;
      return { kind: "unread", relation: each };
    }
    if (table.isRoot && table.readFor === undefined) {
      const { catalog, tableFilter, columnFilter } = this;
      refuseBelowRoot(relation.qualifiedName, catalog, tableFilter, columnFilter);
    }
    table.readFor = mustSee;
    return undefined;
  }

  /**
   * A column that no row ever had is a slip of the pen, which would publish what was to be hidden,
   * unless it was added after this change: the table has it, and all that the change has. One that was
   * there and is gone was dropped, or has another name now, under which it would be published.
   */
  #lookForColumns(
    change: RowChange,
    rules: ColumnRules,
    columns: readonly string[] | undefined,
    keyNames: readonly string[],
  ): void {
    // An update may lack unchanged TOAST columns. An old row may be a key alone, and
    // without its NULLs, so only what is in it counts.
    const isWhole = change.kind === "insert" || change.kind === "read" ||
      change.kind === "update" && !this.plugin.omitsUnchanged;
    const names = ((isWhole ? change.newRow : change.oldRow) ?? []).map(({ name }) => name);
    for (const [name, rule] of rules) {
      const option = `--${rule}-column ${change.relation.qualifiedName}.${name}`;
      const seen = this.#seenColumns.get(option);
      if (isWhole && names.includes(name)) {
        if (seen === undefined) this.#remember(option, names);
        else names.forEach((each) => seen.add(each));
      }
      if (names.includes(name) || change.newColumn(name) !== undefined) continue;
      const beside = columns?.includes(name) ? columns : undefined;
      const fresh = names.filter((each) =>
        !rules.has(each) && !seen?.has(each) && !beside?.includes(each) &&
        (isWhole || !keyNames.includes(each))
      );
      if (fresh.length > 0 && seen !== undefined) throw new RunError(maybeRenamed(option, fresh));
      if (fresh.length > 0 || isWhole && seen === undefined && beside === undefined) {
        throw new RunError(noSuchColumn(option, name, names));
      }
    }
  }

  #remember(option: string, names: readonly string[]): void {
    if (this.#seenColumns.size >= MAX_SEEN) this.#seenColumns.clear();
    this.#seenColumns.set(option, new Set(names));
  }

  /** One table at a time, each with its own position in the transaction. */
  #passTruncate(
    change: Truncate,
    next: (shown: Change) => FormatProblem | Unread | undefined,
  ): Unread | undefined {
    for (const relation of change.relations) {
      const unread = this.#unread(relation, change, undefined);
      if (unread !== undefined) return unread;
    }
    change.relations.forEach((relation, index) => {
      if (!this.#tables.get(relation).wanted) return;
      next({ ...change, seq: change.seq + index, relations: [relation] });
    });
    return undefined;
  }
}

interface TableDecision {
  readonly wanted: boolean;
  readonly rules: ColumnRules | undefined;
  /** Of a table with rules, as it was at the start. */
  readonly columns: readonly string[] | undefined;
  /** There are rules, and the table may be a partition of one that has them. */
  readonly mayHaveRules: boolean;
  /** Changes of its partitions come under its name. */
  readonly isRoot: boolean;
  /** The last transaction that the catalog had to see, and did. */
  readFor: number | undefined;
}

function maybeRenamed(option: string, fresh: readonly string[]): string {
  return `${option}: the table has no such column any more, and has ${someOf(fresh)}, ` +
    "which it had not; if the column was renamed, start again with its new name, if it was " +
    "dropped, without the option";
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
