import type { Commit } from "../decode/event.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type {
  Change,
  Emit,
  FormatProblem,
  Formatter,
  PublishedTransaction,
  Unread,
} from "./formatter.ts";
import { RowView } from "./row_view.ts";

/**
 * Stands before a formatter of whole rows and leaves out virtual generated columns (PostgreSQL 18): they
 * are not in the WAL, and test_decoding and wal2json print each of them as a NULL that it is not.
 */
export class WithoutVirtualColumns implements Formatter {
  constructor(private readonly inner: Formatter, private readonly catalog: Catalog) {}

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.inner.format(this.#show(change), emit);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.inner.formatKeyOnly(this.#show(change), emit);
  }

  commit(commit: Commit, emit: Emit, published: PublishedTransaction | undefined): void {
    this.inner.commit?.(commit, emit, published);
  }

  #show(change: Change): Change {
    if (!this.catalog.hasVirtualColumns) return change;
    if (change.kind === "truncate" || change.kind === "message" || change.kind === "backfill") {
      return change;
    }
    const virtual = this.catalog.table(change.relation.qualifiedName)?.virtualColumns;
    if (virtual === undefined) return change;
    // One with a value was a stored column when the change was made.
    return new RowView(
      change,
      (column) => column.value === null && virtual.includes(column.name) ? undefined : column,
    );
  }
}
