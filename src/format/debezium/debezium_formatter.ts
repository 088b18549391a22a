import { systemClock } from "../../base/clock.ts";
import type { Column, Commit, LogicalMessage, RowChange, Truncate } from "../../decode/event.ts";
import type { Plugin } from "../../decode/plugin.ts";
import type { DebeziumOptions, PartitionKeyChoice } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import type { Change, Emit, FormatProblem, Formatter, Unread } from "../formatter.ts";
import { HiddenKeyWarning } from "../hidden_key_warning.ts";
import { oldRowAsSent, rowAfter } from "../json_rows.ts";
import { RelationCache } from "../relation_cache.ts";
import type { RowKey, RowKeys } from "../row_key.ts";
import { nothingSent, sameKey } from "../row_key.ts";
import { EncodedObject, encodedShapes } from "../typed/encoded_object.ts";
import { typeEncodings, UnreadTypeError } from "../typed/type_encodings.ts";
import { Utf8Writer } from "../utf8_writer.ts";
import { debeziumEncoder } from "./debezium_encoders.ts";
import { ClockText, messageText, type Op, writeTransaction } from "./envelope.ts";
import { KeyWriter } from "./debezium_key.ts";
import { placeholderOf } from "./placeholder.ts";
import { sourceNames, SourceWriter } from "./debezium_source.ts";
import { MESSAGES, TransactionCounts } from "./transaction_counts.ts";

/**
 * `-f debezium`: the records that Debezium Server writes to Kinesis, with schemas off.
 *
 *     {"before":null,"after":{"id":17,"total":"MsM="},"source":{…},"transaction":null,"op":"c",
 *      "ts_ms":…,"ts_us":…,"ts_ns":…}
 *
 * The partition key is the JSON of the primary key, `{"id":17}`. An update that changes it is a `d` of the
 * old key and a `c` of the new one. docs/debezium.md has what differs from Debezium, and why.
 *
 * In place of a record that is too large: the key's columns alone in `before` and `after`, and
 * `"oversize":true` at the end.
 */
export class DebeziumFormatter implements Formatter {
  readonly #tables: RelationCache<TableState>;
  readonly #keys: KeyWriter;
  readonly #source: SourceWriter;
  readonly #counts: TransactionCounts | undefined;
  readonly #clock = new ClockText();
  readonly #hiddenKey = new HiddenKeyWarning();
  /** The record that is being written; who is given it copies it. */
  readonly #out = new Utf8Writer();

  constructor(
    private readonly plugin: Plugin,
    private readonly rowKeys: RowKeys,
    partitionKey: PartitionKeyChoice,
    private readonly catalog: Catalog,
    private readonly settings: DebeziumOptions,
    private readonly now: () => number = systemClock.wall,
  ) {
    const encodingOf = typeEncodings(catalog, (type) => ({
      encoder: debeziumEncoder(type, settings.decimals),
      unchanged: placeholderOf(type),
    }));
    let version = catalog.version;
    let shapes = encodedShapes(encodingOf);
    this.#tables = new RelationCache(catalog, (relation) => {
      // A domain may be another one by now.
      if (version !== catalog.version) {
        version = catalog.version;
        shapes = encodedShapes(encodingOf);
        this.#keys.forget();
      }
      return {
        names: sourceNames(relation),
        before: new EncodedObject(shapes),
        after: new EncodedObject(shapes),
      };
    });
    this.#keys = new KeyWriter(partitionKey, encodingOf, settings.nullKey);
    this.#source = new SourceWriter(settings.name, settings.database);
    this.#counts = settings.transactions ? new TransactionCounts() : undefined;
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, false);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, true);
  }

  /** The transaction's END, and what the changes behind it tell of it. */
  commit({ endLsn, commitTime }: Commit, emit: Emit): void {
    this.#source.committed(endLsn);
    const id = this.#counts?.id;
    const counts = this.#counts?.end();
    if (counts === undefined) return;
    const tables = counts.byTable.map(([table, count]) =>
      `{"data_collection":${JSON.stringify(table)},"event_count":${count}}`
    );
    emit(
      `{"id":"${id}"}`,
      `{"status":"END","id":"${id}","event_count":${counts.total},` +
        `"data_collections":[${tables.join(",")}],"ts_ms":${milliseconds(commitTime)}}`,
      "transactions",
    );
  }

  #format(change: Change, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    // What a backfill reads is of no transaction.
    if (change.kind !== "read" && change.kind !== "backfill") this.#counts?.enter(change);
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        try {
          return this.#formatRow(change, emit, keyOnly);
        } catch (error) {
          if (!(error instanceof UnreadTypeError)) throw error;
          return { kind: "unread", relation: change.relation };
        }
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
        return this.#formatMessage(change, emit, keyOnly);
      case "backfill":
        return undefined;
      default:
        return change satisfies never;
    }
  }

  #formatRow(change: RowChange, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    const found = this.rowKeys.find(change, "new");
    if (found.kind === "unknown-table" || found.kind === "unread") return found;
    // A delete that names no row at all is of no use to anyone.
    if (change.kind === "delete" && change.oldRow === undefined) return nothingSent(change);
    const key = found.kind === "key" ? found : undefined;
    if (found.kind === "key-not-sent") this.#hiddenKey.warn(found);
    const oldKey = key && change.kind === "update" ? this.rowKeys.inOldRow(change, key) : undefined;
    const movedFrom = key && oldKey && !sameKey(key, oldKey) ? oldKey : undefined;
    switch (change.kind) {
      case "insert":
        return this.#emitRow("c", change, key, emit, keyOnly);
      case "read":
        return this.#emitRow("r", change, key, emit, keyOnly);
      case "delete":
        return this.#emitDelete(change, key, emit, keyOnly);
      case "update":
        if (movedFrom === undefined) return this.#emitRow("u", change, key, emit, keyOnly);
        // What must be read first is to be found out before anything is emitted.
        this.#tables.get(change.relation).after.prepare(change.newRow!);
        this.#emitDelete(change, movedFrom, emit, keyOnly);
        // Only now: where the new row is too large, the delete of the old key is given all the same.
        return this.#emitRow("c", change, key, emit, keyOnly);
    }
  }

  #emitDelete(change: RowChange, key: RowKey | undefined, emit: Emit, keyOnly: boolean): undefined {
    this.#emitRow("d", change, key, emit, keyOnly);
    if (!this.settings.tombstones) return;
    emit(this.#keys.of(change, key), NO_DATA);
  }

  #emitRow(
    op: Op,
    change: RowChange,
    key: RowKey | undefined,
    emit: Emit,
    keyOnly: boolean,
  ): undefined {
    const out = this.#out;
    const table = this.#tables.get(change.relation);
    out.clear();
    out.text('{"before":');
    if (op === "c" || op === "r") out.text("null");
    else if (keyOnly) this.#writeKeyColumns(op === "d" ? key : undefined, table.before);
    else this.#writeBefore(change, table.before);
    out.text(',"after":');
    if (op === "d") out.text("null");
    else if (keyOnly) this.#writeKeyColumns(key, table.after);
    else this.#writeAfter(change, table.after);
    this.#end(op, change, table.names, change.relation.qualifiedName);
    if (keyOnly) out.text(',"oversize":true');
    out.text("}");
    const partitionKey = this.#keys.of(change, key);
    if (op !== "r") this.#begin(change, emit);
    emit(partitionKey, out.written);
  }

  #writeKeyColumns(key: RowKey | undefined, columns: EncodedObject): void {
    if (key === undefined) this.#out.text("null");
    else columns.write(key.columns, this.#out);
  }

  #writeBefore(change: RowChange, columns: EncodedObject): void {
    const bytes = change.oldBytes?.();
    if (bytes !== undefined) return columns.writeBytes(bytes, this.#out);
    const oldRow = oldRowAsSent(change, this.plugin, this.catalog);
    if (oldRow === undefined) this.#out.text("null");
    else columns.write(this.#withAllColumns(change, oldRow), this.#out);
  }

  /** Of an old key: the table's other columns as NULL, where the plugin names them. */
  #withAllColumns(change: RowChange, oldRow: readonly Column[]): readonly Column[] {
    const { tableColumns } = change;
    if (tableColumns === undefined || tableColumns.length === oldRow.length) return oldRow;
    return tableColumns.map(({ name, type }) =>
      oldRow.find((column) => column.name === name) ?? { name, type, value: null }
    );
  }

  #writeAfter(change: RowChange, columns: EncodedObject): void {
    // Where unchanged columns are missing, the old row may have them.
    const mayLack = this.plugin.omitsUnchanged && change.kind === "update";
    const bytes = mayLack ? undefined : change.newBytes?.();
    if (bytes !== undefined) return columns.writeBytes(bytes, this.#out);
    columns.write(rowAfter(change, this.plugin)!.columns, this.#out);
  }

  #formatTruncate(change: Truncate, emit: Emit): undefined {
    for (const relation of change.relations) {
      const out = this.#out;
      out.clear();
      out.text('{"before":null,"after":null');
      this.#end("t", change, this.#tables.get(relation).names, relation.qualifiedName);
      out.text("}");
      this.#begin(change, emit);
      emit(this.#keys.ofTable(relation, change.transaction), out.written, "every shard");
    }
  }

  #formatMessage(change: LogicalMessage, emit: Emit, keyOnly: boolean): undefined {
    const nowMs = this.now();
    // One outside of a transaction is like a commit to Debezium.
    if (change.transaction === undefined) this.#source.committed(change.lsn);
    const out = this.#out;
    out.clear();
    out.text(`{"op":"m","ts_ms":${nowMs}`);
    this.#writeSource(change, NO_NAMES, nowMs);
    writeTransaction(change, MESSAGES, this.#counts, out);
    out.text(messageText(change, keyOnly));
    this.#begin(change, emit);
    emit(this.#keys.ofMessage(change), out.written);
  }

  /** What follows `after`. */
  #end(op: Op, change: RowChange | Truncate, names: Uint8Array, table: string): void {
    const nowMs = this.now();
    this.#writeSource(change, names, nowMs);
    writeTransaction(change, table, op === "r" ? undefined : this.#counts, this.#out);
    this.#clock.write(op, nowMs, this.#out);
  }

  #writeSource({ kind, lsn, transaction }: Change, names: Uint8Array, nowMs: number): void {
    this.#out.text(',"source":');
    const snapshot = kind === "read" ? "incremental" : "false";
    this.#source.write({ lsn, transaction, snapshot }, names, nowMs, this.#out);
  }

  /** The transaction's BEGIN, before the first of its records. */
  #begin({ transaction }: Change, emit: Emit): void {
    if (transaction === undefined || !this.#counts?.begin()) return;
    const { id } = this.#counts;
    emit(
      `{"id":"${id}"}`,
      `{"status":"BEGIN","id":"${id}","event_count":null,"data_collections":null,` +
        `"ts_ms":${milliseconds(transaction.commitTime)}}`,
      "transactions",
    );
  }
}

interface TableState {
  readonly names: Uint8Array;
  readonly before: EncodedObject;
  readonly after: EncodedObject;
}

const NO_DATA = new Uint8Array();
const NO_NAMES = sourceNames({ schema: "", table: "" });

function milliseconds(micros: bigint | undefined): string {
  return micros === undefined ? "null" : String(micros / 1000n);
}
