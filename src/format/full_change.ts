import type { Column, RowChange, TransactionInfo, Truncate } from "../decode/event.ts";
import type { OutputPlugin } from "../options.ts";
import type { Catalog } from "../postgres/known_table.ts";
import { ColumnArrays, COLUMNS, OLD_KEYS } from "./column_arrays.ts";
import type { Change, Emit, FormatProblem, Formatter } from "./formatter.ts";
import { HiddenKeyWarning } from "./hidden_key.ts";
import type { PartitionKeyOf } from "./partition_key.ts";
import { RelationCache } from "./relation_cache.ts";
import { type KeyPreference, keyText, type RowKeys } from "./row_key.ts";
import { RowView } from "./row_view.ts";

/**
 * `--full-change`: all columns in the shape and with the values of wal2json's format version 1, from
 * every plugin:
 *
 *     0,CDC,{"xid":731,"change":{"kind":"update","schema":"public","table":"orders",
 *       "columnnames":["id","note"],"columntypes":["bigint","text"],"columnvalues":[1,"new"],
 *       "oldkeys":{"keynames":["id"],"keytypes":["bigint"],"keyvalues":[1]}}}
 *
 * A delete has `oldkeys` alone. A TRUNCATE, which format 1 does not have, gives
 * `{"kind":"truncate","schema":…,"table":…}` for each table. Logical messages are left out.
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
  #transaction: TransactionInfo | undefined;
  #head = "";

  constructor(
    private readonly plugin: OutputPlugin,
    private readonly keys: RowKeys,
    private readonly partitionKey: PartitionKeyOf,
    private readonly catalog: Catalog,
  ) {
    this.#prefer = plugin === "wal2json" ? "new" : "old";
    this.#tables = new RelationCache(catalog, ({ schema, table }) => ({
      names: `"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`,
      columns: new ColumnArrays(COLUMNS),
      oldKeys: new ColumnArrays(OLD_KEYS),
    }));
  }

  format(change: Change, emit: Emit): FormatProblem | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
        return this.#formatRow(change, emit, "");
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
        return undefined;
      default:
        return change satisfies never;
    }
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | undefined {
    if (change.kind === "truncate" || change.kind === "message") return this.format(change, emit);
    const key = this.keys.find(change, "new");
    if (key.kind === "unknown-table") return key;
    const names = key.kind === "key" ? key.columns.map((column) => column.name) : [];
    const view = new RowView(change, (column) => names.includes(column.name) ? column : undefined);
    return this.#formatRow(view, emit, ',"oversize":true');
  }

  #formatRow(change: RowChange, emit: Emit, mark: string): FormatProblem | undefined {
    const { kind, relation, transaction, newRow } = change;
    const key = this.keys.find(change, this.#prefer);
    if (key.kind === "unknown-table") return key;
    if (key.kind === "key-not-sent") this.#hiddenKey.warn(key);

    const table = this.#tables.get(relation);
    let data = this.#headOf(transaction) + '"kind":"' + kind + '",' + table.names;
    if (newRow !== undefined) data += "," + table.columns.write(newRow);
    if (kind !== "insert") {
      const oldKeys = this.#oldKeys(change, key.kind === "key" ? key.columns : []);
      if (oldKeys !== undefined) data += ',"oldkeys":{' + table.oldKeys.write(oldKeys) + "}";
    }
    const text = key.kind === "key" ? keyText(key) : undefined;
    emit(this.partitionKey(relation.qualifiedName, transaction, text), data + mark + "}}");
    return undefined;
  }

  #oldKeys(change: RowChange, key: readonly Column[]): readonly Column[] | undefined {
    const { oldRow, newRow } = change;
    if (oldRow !== undefined) return this.#withoutNulls(change, oldRow);
    if (newRow === undefined) return undefined;
    const identity = this.#identityColumns(change, key);
    if (identity.length === 0) return undefined;
    return newRow.filter((column) => identity.includes(column.name));
  }

  /** An identity's columns are never NULL: there wal2json's null is a NaN. In a FULL row it may be both. */
  #withoutNulls(change: RowChange, oldRow: readonly Column[]): readonly Column[] {
    if (!oldRow.some(({ value }) => value === null)) return oldRow;
    if (this.plugin !== "wal2json") return oldRow.filter(({ value }) => value !== null);
    const identity = this.catalog.table(change.relation.qualifiedName)?.replicaIdentity;
    if (identity === "d" || identity === "i") return oldRow;
    return oldRow.filter(({ name, value }) => value !== null || change.keyNames?.includes(name));
  }

  /** None with "nothing" and a deferrable key: the new row's need not be what it was. */
  #identityColumns(change: RowChange, key: readonly Column[]): readonly string[] {
    // pgoutput names the key only where it is the replica identity.
    if (change.keyNames !== undefined && this.plugin === "pgoutput") return change.keyNames;
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
      const { names } = this.#tables.get(relation);
      emit(
        this.partitionKey(relation.qualifiedName, transaction, undefined),
        this.#headOf(transaction) + '"kind":"truncate",' + names + "}}",
        "every shard",
      );
    }
  }

  #headOf(transaction: TransactionInfo): string {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#head = `0,CDC,{"xid":${transaction.xid},"change":{`;
    }
    return this.#head;
  }
}

interface TableState {
  readonly names: string;
  readonly columns: ColumnArrays;
  readonly oldKeys: ColumnArrays;
}
