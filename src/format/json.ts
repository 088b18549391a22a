import { Buffer } from "node:buffer";
import type { LogicalMessage, Relation, RowChange, Truncate } from "../decode/event.ts";
import type { OutputPlugin, PartitionKeyChoice } from "../options.ts";
import type { Catalog } from "../postgres/known_table.ts";
import { ColumnObject } from "./column_object.ts";
import type { Change, Emit, FormatProblem, Formatter } from "./formatter.ts";
import { HiddenKeyWarning } from "./hidden_key.ts";
import { oldRowAsSent, rowAfter } from "./json_rows.ts";
import { LsnText } from "./lsn_text.ts";
import { choosePartitionKey, messageName, type PartitionKeyOf } from "./partition_key.ts";
import { refuseTooLarge } from "./record_limit.ts";
import { RelationCache } from "./relation_cache.ts";
import { keyText, type RowKey, type RowKeys } from "./row_key.ts";
import { TransactionText } from "./transaction_text.ts";

/**
 * Our own format, version 1: one JSON object a change.
 *
 *     {"v":1,"op":"update","xid":731,"lsn":"0/16B3748","commit_lsn":"0/16B3800","seq":0,
 *      "ts":"2026-11-22T08:01:02.123456Z","schema":"public","table":"orders","key":{"id":1},
 *      "before":{…},"after":{…},"unchanged":["note"]}
 *
 * - `op`: insert, update, delete, truncate or message.
 * - `commit_lsn` and `ts` (the commit's time) are not known with test_decoding and left out there.
 * - `key`: whenever the table has a primary key; only a delete of a table with REPLICA IDENTITY USING
 *   INDEX has `before` alone where the index lacks the key. `before`: the old row or the old key when
 *   PostgreSQL sent one. `after`: the new row.
 * - `unchanged`: the columns whose TOASTed value PostgreSQL did not send. Where it stands in the old
 *   row (REPLICA IDENTITY FULL, or a long key) `after` takes it from there; else `after` lacks it.
 *   wal2json does not say which columns it left out: with it only those found in the old row are named.
 * - An update that changes the key, when partitioned by key, is a `delete` of the old key with
 *   `moved_to` (the new key), then an `insert` of the new one with `moved_from` (the old key), each
 *   under its own partition key, both with the update's `seq`. Under any other partition key, where
 *   the two would share both key and `seq`, it stays one `update` with `moved_from`.
 * - In place of a record that is too large: the same without before, after, unchanged and content, and
 *   with `"oversize":true`.
 */
export class JsonFormatter implements Formatter {
  readonly #tables: RelationCache<TableState>;
  readonly #partitionKey: PartitionKeyOf;
  readonly #splitsMoves: boolean;
  readonly #hiddenKey = new HiddenKeyWarning();
  readonly #transaction = new TransactionText();
  readonly #lsn = new LsnText();

  constructor(
    private readonly plugin: OutputPlugin,
    private readonly keys: RowKeys,
    partitionKey: PartitionKeyChoice,
    private readonly catalog: Catalog,
  ) {
    this.#partitionKey = choosePartitionKey(partitionKey);
    this.#splitsMoves = partitionKey.kind === "pkey";
    this.#tables = new RelationCache(catalog, (relation) => newTableState(relation));
  }

  format(change: Change, emit: Emit): FormatProblem | undefined {
    return this.#format(change, emit, false);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | undefined {
    return this.#format(change, emit, true);
  }

  #format(change: Change, emit: Emit, keyOnly: boolean): FormatProblem | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
        return this.#formatRow(change, emit, keyOnly);
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
        return this.#formatMessage(change, emit, keyOnly);
      default:
        return change satisfies never;
    }
  }

  #formatRow(change: RowChange, emit: Emit, keyOnly: boolean): FormatProblem | undefined {
    const found = this.keys.find(change, "new");
    if (found.kind === "unknown-table") return found;
    // A delete that names no row at all is of no use to anyone.
    if (change.kind === "delete" && change.oldRow === undefined) return nothingSent(change);
    if (found.kind === "key-not-sent") this.#hiddenKey.warn(found);
    const key = found.kind === "key" ? found : undefined;
    const table = this.#tables.get(change.relation);

    const before = keyOnly ? "" : this.#before(change, table);
    // Written last: where it is too large, the delete of an old key is given all the same.
    const after = () => keyOnly ? ',"oversize":true' : this.#after(change, table);
    const oldKey = key && change.kind === "update" ? this.keys.inOldRow(change, key) : undefined;
    if (key === undefined || oldKey === undefined || sameKey(key, oldKey)) {
      const keyPart = key === undefined ? "" : ',"key":' + table.key.write(key.columns);
      const data = this.#head(change.kind, change, change.relation, change.seq) + keyPart;
      emit(this.#partitionKeyOf(change, key), data + before + after() + "}");
      return undefined;
    }

    const newText = table.key.write(key.columns);
    const oldText = table.key.write(oldKey.columns);
    const head = (op: string) => this.#head(op, change, change.relation, change.seq);
    if (this.#splitsMoves) {
      const gone = `,"key":${oldText},"moved_to":${newText}${keyOnly ? after() : before}}`;
      emit(this.#partitionKeyOf(change, oldKey), head("delete") + gone);
      const come = `,"key":${newText},"moved_from":${oldText}${after()}}`;
      emit(this.#partitionKeyOf(change, key), head("insert") + come);
    } else {
      const moved = `,"key":${newText},"moved_from":${oldText}${before}${after()}}`;
      emit(this.#partitionKeyOf(change, key), head("update") + moved);
    }
    return undefined;
  }

  #before(change: RowChange, table: TableState): string {
    const oldRow = oldRowAsSent(change, this.plugin, this.catalog);
    return oldRow === undefined ? "" : ',"before":' + table.before.write(oldRow);
  }

  #after(change: RowChange, table: TableState): string {
    const row = rowAfter(change, this.plugin);
    if (row === undefined) return "";
    const after = ',"after":' + table.after.write(row.columns);
    if (row.unchanged.length === 0) return after;
    return after + ',"unchanged":' + JSON.stringify(row.unchanged);
  }

  #formatTruncate(change: Truncate, emit: Emit): undefined {
    change.relations.forEach((relation, index) => {
      emit(
        this.#partitionKey(relation.qualifiedName, change.transaction, undefined),
        this.#head("truncate", change, relation, change.seq + index) + "}",
        "every shard",
      );
    });
  }

  #formatMessage(change: LogicalMessage, emit: Emit, keyOnly: boolean): undefined {
    const { transaction, prefix, seq } = change;
    const lsn = `,"lsn":"${this.#lsn.of(change.lsn)}"`;
    let data = '{"v":1,"op":"message"';
    if (transaction === undefined) {
      data += lsn;
    } else {
      const text = this.#transaction.of(transaction);
      data += text.xid + lsn + text.commitLsn + ',"seq":' + seq + text.time;
    }
    data += ',"prefix":' + JSON.stringify(prefix);
    data += keyOnly ? ',"oversize":true' : contentParts(change.content);
    emit(this.#partitionKey(messageName(prefix), transaction, undefined), data + "}");
  }

  #head(op: string, change: RowChange | Truncate, relation: Relation, seq: number): string {
    const text = this.#transaction.of(change.transaction);
    return '{"v":1,"op":"' + op + '"' + text.xid + ',"lsn":"' + this.#lsn.of(change.lsn) + '"' +
      text.commitLsn + ',"seq":' + seq + text.time + this.#tables.get(relation).names;
  }

  #partitionKeyOf(change: RowChange, key: RowKey | undefined): string {
    const text = key === undefined ? undefined : keyText(key);
    return this.#partitionKey(change.relation.qualifiedName, change.transaction, text);
  }
}

interface TableState {
  readonly names: string;
  readonly key: ColumnObject;
  readonly before: ColumnObject;
  readonly after: ColumnObject;
}

function newTableState({ schema, table }: Relation): TableState {
  return {
    names: `,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`,
    key: new ColumnObject(),
    before: new ColumnObject(),
    after: new ColumnObject(),
  };
}

function nothingSent({ relation: { qualifiedName } }: RowChange): FormatProblem {
  return {
    kind: "key-not-sent",
    table: qualifiedName,
    reason: "the table has no replica identity, so PostgreSQL does not say which row was deleted",
  };
}

function sameKey(a: RowKey, b: RowKey): boolean {
  return a.columns.every((column, i) => column.value === b.columns[i]!.value);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function contentParts(content: Uint8Array): string {
  refuseTooLarge(content.length);
  let text: string;
  try {
    text = utf8.decode(content);
  } catch {
    const base64 = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
      .toString("base64");
    return `,"content":"${base64}","encoding":"base64"`;
  }
  return ',"content":' + JSON.stringify(text);
}
