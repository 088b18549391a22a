import { Buffer } from "node:buffer";
import type {
  BackfillEnd,
  Commit,
  LogicalMessage,
  Relation,
  RowChange,
  Truncate,
} from "../decode/event.ts";
import type { Plugin } from "../decode/plugin.ts";
import type { PartitionKeyChoice } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { ColumnObject } from "./column_object.ts";
import type {
  Change,
  Emit,
  FormatProblem,
  Formatter,
  PublishedTransaction,
  Unread,
} from "./formatter.ts";
import { HiddenKeyWarning } from "./hidden_key_warning.ts";
import { oldRowAsSent, rowAfter } from "./json_rows.ts";
import { choosePartitionKey, messageName, type PartitionKeyOf } from "./partition_key.ts";
import { type HeadOf, RecordHead } from "./record_head.ts";
import { refuseTooLarge } from "./record_limit.ts";
import { RelationCache } from "./relation_cache.ts";
import { keyText, nothingSent, type RowKey, type RowKeys, sameKey } from "./row_key.ts";
import { Utf8Writer } from "./utf8_writer.ts";

/**
 * Our own format, version 1: one JSON object a change.
 *
 *     {"v":1,"op":"update","xid":731,"lsn":"0/16B3748","commit_lsn":"0/16B3800","seq":0,
 *      "ts":"2026-11-22T08:01:02.123456Z","schema":"public","table":"orders","key":{"id":1},
 *      "before":{…},"after":{…},"unchanged":["note"]}
 *
 * - `op`: insert, update, delete, truncate or message; `read` for a row as a backfill read it, with the
 *   backfill's `request`; `backfill` where that of a table has ended, in every shard, with `request`, the
 *   number of `rows` and whether it is `complete`.
 * - With `--transaction-records`, `commit` behind a transaction's changes.
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
  readonly #head = new RecordHead();
  /** The record that is being written; who is given it copies it. */
  readonly #out = new Utf8Writer();

  constructor(
    private readonly plugin: Plugin,
    private readonly keys: RowKeys,
    partitionKey: PartitionKeyChoice,
    private readonly catalog: Catalog,
  ) {
    this.#partitionKey = choosePartitionKey(partitionKey);
    this.#splitsMoves = partitionKey.kind === "pkey";
    this.#tables = new RelationCache(catalog, (relation) => newTableState(relation));
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, false);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, true);
  }

  /** Behind a transaction's changes, in each shard that has some of them. */
  commit(
    { transaction, endLsn, commitTime }: Commit,
    emit: Emit,
    published: PublishedTransaction | undefined,
  ): void {
    if (published === undefined) return;
    const { seq, changes, messages, tables, shards, streams } = published;
    const out = this.#out;
    const committed = { ...transaction, commitTime };
    this.#begin({ op: "commit", transaction: committed, lsn: endLsn, seq });
    const counted = [...tables].map(([table, count]) => `${JSON.stringify(table)}:${count}`);
    out.text(
      `,"changes":${changes},"tables":{${counted.join(",")}}` +
        (messages === 0 ? "" : `,"messages":${messages}`) +
        `,"shards":${shards},"streams":${streams}}`,
    );
    emit(COMMIT_PARTITION_KEY, out.written, "shards of the transaction");
  }

  #format(change: Change, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        return this.#formatRow(change, emit, keyOnly);
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
        return this.#formatMessage(change, emit, keyOnly);
      case "backfill":
        return this.#formatBackfillEnd(change, emit);
      default:
        return change satisfies never;
    }
  }

  #formatRow(change: RowChange, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    const found = this.keys.find(change, "new");
    if (found.kind === "unknown-table" || found.kind === "unread") return found;
    // A delete that names no row at all is of no use to anyone.
    if (change.kind === "delete" && change.oldRow === undefined) return nothingSent(change);
    if (found.kind === "key-not-sent") this.#hiddenKey.warn(found);
    const key = found.kind === "key" ? found : undefined;
    const out = this.#out;
    const { key: columns } = this.#tables.get(change.relation);

    const oldKey = key && change.kind === "update" ? this.keys.inOldRow(change, key) : undefined;
    const movedFrom = key && oldKey && !sameKey(key, oldKey) ? oldKey : undefined;
    const isSplit = movedFrom !== undefined && this.#splitsMoves;
    if (isSplit) {
      this.#rowHead("delete", change);
      writeKey(',"key":', movedFrom, columns, out);
      writeKey(',"moved_to":', key!, columns, out);
      if (keyOnly) this.#after(change, keyOnly);
      else this.#before(change);
      this.#emitRow(emit, change, movedFrom);
      // Only now: where the new row is too large, the delete of the old key is given all the same.
      this.#rowHead("insert", change);
    } else {
      this.#rowHead(change.kind, change);
    }
    if (change.request !== undefined) out.text(',"request":' + JSON.stringify(change.request));
    if (key !== undefined) writeKey(',"key":', key, columns, out);
    if (movedFrom !== undefined) writeKey(',"moved_from":', movedFrom, columns, out);
    if (!keyOnly && !isSplit) this.#before(change);
    this.#after(change, keyOnly);
    this.#emitRow(emit, change, key);
    return undefined;
  }

  #before(change: RowChange): void {
    const out = this.#out;
    const { before } = this.#tables.get(change.relation);
    const bytes = change.oldBytes?.();
    if (bytes !== undefined) {
      out.text(',"before":');
      before.writeBytes(bytes, out);
      return;
    }
    const oldRow = oldRowAsSent(change, this.plugin, this.catalog);
    if (oldRow === undefined) return;
    out.text(',"before":');
    before.write(oldRow, out);
  }

  #after(change: RowChange, keyOnly: boolean): void {
    const out = this.#out;
    if (keyOnly) return out.text(',"oversize":true');
    const { after } = this.#tables.get(change.relation);
    // Where unchanged columns are missing, the old row may have them.
    const mayLack = this.plugin.omitsUnchanged && change.kind === "update";
    const bytes = mayLack ? undefined : change.newBytes?.();
    if (bytes !== undefined) {
      out.text(',"after":');
      after.writeBytes(bytes, out);
      return;
    }
    const row = rowAfter(change, this.plugin);
    if (row === undefined) return;
    out.text(',"after":');
    after.write(row.columns, out);
    if (row.unchanged.length > 0) out.text(',"unchanged":' + JSON.stringify(row.unchanged));
  }

  #emitRow(emit: Emit, change: RowChange, key: RowKey | undefined): void {
    this.#out.text("}");
    emit(this.#partitionKeyOf(change, key), this.#out.written);
  }

  #formatTruncate(change: Truncate, emit: Emit): undefined {
    change.relations.forEach((relation, index) => {
      const { transaction, lsn, seq } = change;
      this.#begin({ op: "truncate", transaction, lsn, seq: seq + index });
      this.#out.copy(this.#tables.get(relation).names);
      this.#out.text("}");
      emit(
        this.#partitionKey(relation.qualifiedName, change.transaction, undefined),
        this.#out.written,
        "every shard",
      );
    });
  }

  #formatBackfillEnd(change: BackfillEnd, emit: Emit): undefined {
    const { transaction, lsn, seq, relation, request, rows, complete } = change;
    this.#begin({ op: "backfill", transaction, lsn, seq });
    this.#out.copy(this.#tables.get(relation).names);
    this.#out.text(`,"request":${JSON.stringify(request)},"rows":${rows},"complete":${complete}}`);
    emit(
      this.#partitionKey(relation.qualifiedName, change.transaction, undefined),
      this.#out.written,
      "every shard",
    );
  }

  #formatMessage(change: LogicalMessage, emit: Emit, keyOnly: boolean): undefined {
    const { transaction, lsn, seq, prefix } = change;
    const out = this.#out;
    this.#begin({ op: "message", transaction, lsn, seq });
    out.text(',"prefix":' + JSON.stringify(prefix));
    out.text((keyOnly ? ',"oversize":true' : contentParts(change.content)) + "}");
    emit(this.#partitionKey(messageName(prefix), transaction, undefined), out.written);
  }

  #rowHead(op: RowChange["kind"], { transaction, lsn, seq, relation }: RowChange): void {
    this.#begin({ op, transaction, lsn, seq });
    this.#out.copy(this.#tables.get(relation).names);
  }

  #begin(head: HeadOf): void {
    this.#out.clear();
    this.#head.write(head, this.#out);
  }

  #partitionKeyOf(change: RowChange, key: RowKey | undefined): string {
    const text = key === undefined ? undefined : keyText(key);
    return this.#partitionKey(change.relation.qualifiedName, change.transaction, text);
  }
}

/** Such a record goes by an explicit hash key of its shard, as a TRUNCATE does. */
const COMMIT_PARTITION_KEY = "transaction";

const encoder = new TextEncoder();

interface TableState {
  readonly names: Uint8Array;
  readonly key: ColumnObject;
  readonly before: ColumnObject;
  readonly after: ColumnObject;
}

function newTableState({ schema, table }: Relation): TableState {
  return {
    names: encoder.encode(
      `,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`,
    ),
    key: new ColumnObject(),
    before: new ColumnObject(),
    after: new ColumnObject(),
  };
}

function writeKey(name: string, key: RowKey, columns: ColumnObject, out: Utf8Writer): void {
  out.text(name);
  columns.write(key.columns, out);
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
