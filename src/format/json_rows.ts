import { type Column, type RowChange, UNCHANGED } from "../decode/event.ts";
import type { Plugin } from "../decode/plugin.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";

/**
 * The old row or old key, if PostgreSQL sent one. wal2json fills the identity of an update from the
 * new row where PostgreSQL did not, which shows in that it repeats the new values; only if it has all
 * the columns the catalog must show whether it is a FULL old row in which nothing changed.
 */
export function oldRowAsSent(
  change: RowChange,
  plugin: Plugin,
  catalog: Catalog,
): readonly Column[] | undefined {
  const { oldRow } = change;
  if (oldRow === undefined || change.kind !== "update" || !plugin.fillsOldRow) return oldRow;
  const repeats = oldRow.every(({ name, value }) => change.newColumn(name)?.value === value);
  if (!repeats) return oldRow;
  if (oldRow.length < change.newRow!.length) return undefined;
  const identity = catalog.table(change.relation.qualifiedName)?.replicaIdentity ?? "f";
  return identity === "f" ? oldRow : undefined;
}

/** The row after a change, and which of its columns were not sent. */
export interface RowAfter {
  /** In table order, with the values that were found in the old row instead. */
  readonly columns: readonly Column[];
  readonly unchanged: readonly string[];
}

const NONE: readonly string[] = [];

/** Undefined for a delete. */
export function rowAfter(change: RowChange, plugin: Plugin): RowAfter | undefined {
  const { newRow } = change;
  if (newRow === undefined) return undefined;
  // An insert may lack values too: an update by which a row came into a publication's row filter.
  if (!plugin.omitsUnchanged) return withUnchanged(change, newRow);
  return change.kind === "insert"
    ? { columns: newRow, unchanged: NONE }
    : withAbsent(change, newRow);
}

/** wal2json leaves unchanged columns out of the new row: the old row may have them. */
function withAbsent(change: RowChange, newRow: readonly Column[]): RowAfter {
  const { oldRow } = change;
  const absent = oldRow?.filter(({ name }) => change.newColumn(name) === undefined);
  if (oldRow === undefined || absent === undefined || absent.length === 0) {
    return { columns: newRow, unchanged: NONE };
  }
  const isWholeRow = oldRow.length - absent.length === newRow.length;
  const columns = isWholeRow
    ? oldRow.map((column) => change.newColumn(column.name) ?? column)
    : [...newRow, ...absent];
  return { columns, unchanged: absent.map(({ name }) => name) };
}

function withUnchanged(change: RowChange, newRow: readonly Column[]): RowAfter {
  if (!newRow.some(({ value }) => value === UNCHANGED)) {
    return { columns: newRow, unchanged: NONE };
  }
  const unchanged: string[] = [];
  const columns = newRow.map((column) => {
    if (column.value !== UNCHANGED) return column;
    unchanged.push(column.name);
    return change.oldColumn(column.name) ?? column;
  });
  return { columns, unchanged };
}
