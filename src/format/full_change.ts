import type { Column, RowChange, TransactionInfo, Truncate } from "../decode/event.ts";
import type { Plugin } from "../decode/plugin.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { ColumnArrays, COLUMNS, OLD_KEYS } from "./column_arrays.ts";
import type { Change, Emit, FormatProblem, Formatter, Unread } from "./formatter.ts";
import { HiddenKeyWarning } from "./hidden_key_warning.ts";
import type { PartitionKeyOf } from "./partition_key.ts";
import { RelationCache } from "./relation_cache.ts";
import { type KeyPreference, keyText, type RowKeys } from "./row_key.ts";
import { RowView } from "./row_view.ts";
import { Utf8Writer } from "./utf8_writer.ts";

const encoder = new TextEncoder();

/**
 * `--full-change`: all columns in the shape and with the values of wal2json's format version 1, from
 * every plugin:
 *
 *     0,CDC,{"xid":731,"change":{"kind":"update","schema":"public","table":"orders",
 *       "columnnames":["id","note"],"columntypes":["bigint","text"],"columnvalues":[1,"new"],
 *       "oldkeys":{"keynames":["id"],"keytypes":["bigint"],"keyvalues":[1]}}}
 *
 * A delete has `oldkeys` alone. A TRUNCATE, which format 1 does not have, gives
 * `{"kind":"truncate","schema":…,"table":…}` for each table. Logical messages are left out. A row that a
 * backfill read is an insert.
 *
 * `oldkeys` are the columns of the old row that are not NULL; where PostgreSQL sent no old row, since
 * the update left the replica identity alone, the identity's columns of the new row: the primary key,
 * or the index that REPLICA IDENTITY USING INDEX names. A table without identity has no `oldkeys`.
 *
 * In place of a change that is too large: `columnnames` and the rest with the key's columns alone, and
 * `"oversize":true` beside them.
 */
export class FullChangeFormatter implements Formatter {
  readonly #tables: RelationCache<TableState>;
  /** Whose key an update that changes it is stored under: as in the formats of the key alone. */
  readonly #prefer: KeyPreference;
  readonly #hiddenKey = new HiddenKeyWarning();
  /** The record that is being written; who is given it copies it. */
  readonly #out = new Utf8Writer();

  constructor(
    private readonly plugin: Plugin,
    private readonly keys: RowKeys,
    private readonly partitionKey: PartitionKeyOf,
    private readonly catalog: Catalog,
  ) {
    this.#prefer = plugin.wasParsedAsJson ? "new" : "old";
    this.#tables = new RelationCache(catalog, ({ schema, table }) => ({
      names: encoder.encode(
        `"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`,
      ),
      columns: new ColumnArrays(COLUMNS),
      oldKeys: new ColumnArrays(OLD_KEYS),
    }));
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        return this.#formatRow(change, emit, "");
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
      case "backfill":
        return undefined;
      default:
        return change satisfies never;
    }
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    if (change.kind === "truncate" || change.kind === "message" || change.kind === "backfill") {
      return this.format(change, emit);
    }
    const key = this.keys.find(change, "new");
    if (key.kind === "unknown-table" || key.kind === "unread") return key;
    const names = key.kind === "key" ? key.columns.map((column) => column.name) : [];
    const view = new RowView(change, (column) => names.includes(column.name) ? column : undefined);
    return this.#formatRow(view, emit, ',"oversize":true');
  }

  #formatRow(change: RowChange, emit: Emit, mark: string): FormatProblem | Unread | undefined {
    const { relation, transaction } = change;
    const kind = change.kind === "read" ? "insert" : change.kind;
    const key = this.keys.find(change, this.#prefer);
    if (key.kind === "unknown-table" || key.kind === "unread") return key;
    if (key.kind === "key-not-sent") this.#hiddenKey.warn(key);

    const out = this.#out;
    const table = this.#tables.get(relation);
    this.#begin(transaction, kind, table);
    this.#writeNewRow(change, table);
    if (kind !== "insert") {
      const oldKeys = this.#oldKeys(change, key.kind === "key" ? key.columns : []);
      if (oldKeys !== undefined) {
        out.text(',"oldkeys":{');
        table.oldKeys.write(oldKeys, out);
        out.text("}");
      }
    }
    out.text(mark + "}}");
    const text = key.kind === "key" ? keyText(key) : undefined;
    emit(this.partitionKey(relation.qualifiedName, transaction, text), out.written);
    return undefined;
  }

  #writeNewRow(change: RowChange, table: TableState): void {
    const out = this.#out;
    const bytes = change.newBytes?.();
    const newRow = bytes === undefined ? change.newRow : undefined;
    if (bytes === undefined && newRow === undefined) return;
    out.text(",");
    if (bytes !== undefined) table.columns.writeBytes(bytes, out);
    else table.columns.write(newRow!, out);
  }

  #oldKeys(change: RowChange, key: readonly Column[]): readonly Column[] | undefined {
    const { oldRow } = change;
    if (oldRow !== undefined) return this.#withoutNulls(change, oldRow);
    if (change.kind === "delete") return undefined;
    const identity = this.#identityColumns(change, key);
    if (identity.length === 0) return undefined;
    if (identity.length === 1) {
      // Without reading the other columns.
      const column = change.newColumn(identity[0]!);
      return column === undefined ? [] : [column];
    }
    return change.newRow!.filter((column) => identity.includes(column.name));
  }

  /** An identity's columns are never NULL: there wal2json's null is a NaN. In a FULL row it may be both. */
  #withoutNulls(change: RowChange, oldRow: readonly Column[]): readonly Column[] {
    if (!oldRow.some(({ value }) => value === null)) return oldRow;
    if (!this.plugin.printsNaNAsNull) return oldRow.filter(({ value }) => value !== null);
    const identity = this.catalog.table(change.relation.qualifiedName)?.replicaIdentity;
    if (identity === "d" || identity === "i") return oldRow;
    return oldRow.filter(({ name, value }) => value !== null || change.keyNames?.includes(name));
  }

  /** None with "nothing" and a deferrable key: the new row's need not be what it was. */
  #identityColumns(change: RowChange, key: readonly Column[]): readonly string[] {
    if (change.keyNames !== undefined && this.plugin.keyNamesAreIdentity) return change.keyNames;
    const known = this.catalog.table(change.relation.qualifiedName);
    const names = known?.identityColumns ?? [];
    if (known?.replicaIdentity === "d" && names.some((name) => !change.newColumn(name))) {
      return key.map((column) => column.name);
    }
    return names;
  }

  #formatTruncate(change: Truncate, emit: Emit): undefined {
    const { transaction } = change;
    for (const relation of change.relations) {
      this.#begin(transaction, "truncate", this.#tables.get(relation));
      this.#out.text("}}");
      emit(
        this.partitionKey(relation.qualifiedName, transaction, undefined),
        this.#out.written,
        "every shard",
      );
    }
  }

  /** Begins a record. */
  #begin({ xid }: TransactionInfo, kind: Change["kind"], { names }: TableState): void {
    const out = this.#out;
    out.clear();
    out.text('0,CDC,{"xid":');
    out.text(String(xid));
    out.text(',"change":{"kind":"');
    out.text(kind);
    out.text('",');
    out.copy(names);
  }
}

interface TableState {
  readonly names: Uint8Array;
  readonly columns: ColumnArrays;
  readonly oldKeys: ColumnArrays;
}
