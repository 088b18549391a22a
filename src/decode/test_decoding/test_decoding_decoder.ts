import type { Lsn } from "../../base/lsn.ts";
import { type XLogData, XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, ByteKeyedCache, hasAt } from "../bytes.ts";
import type { Timelines } from "../../base/timelines.ts";
import { DecodeError, type Decoder } from "../decoder.ts";
import type { Relation, TransactionEvent, Truncate } from "../event.ts";
import type { PublishesMessage } from "../message_prefix.ts";
import { parsePostgresTimestamp } from "../postgres_timestamp.ts";
import { identifierText, scanIdentifier, scanQuotedIdentifier } from "../sql_identifier.ts";
import { ColumnCursor, newColumnHeaders } from "./test_decoding_columns.ts";
import { isTransactional, readTestDecodingMessage } from "./test_decoding_message.ts";
import { TestDecodingRow, type TestDecodingTable } from "./test_decoding_row.ts";
import { TransactionSequence } from "../transaction_sequence.ts";
import { decodeUtf8 } from "../utf8.ts";
import { parseXid } from "../xid.ts";

const QUOTE = 0x22, COMMA = 0x2C, COLON = 0x3A, SPACE = 0x20, DOT = 0x2E, CLOSING = 0x29;

/**
 * What a transaction writes before its first change when it only draws from a sequence (104 bytes) or locks
 * a row (56) is shorter, unless others write in between; the least DDL, a change of the replica identity,
 * takes 336 bytes (on 15 and 18).
 */
const MAX_PLAIN_LEAD_BYTES = 320n;

const TABLE = ascii("table ");
const INSERT = ascii(": INSERT:");
const UPDATE = ascii(": UPDATE:");
const DELETE = ascii(": DELETE:");
const TRUNCATE = ascii(": TRUNCATE:");
const OLD_KEY = ascii(" old-key:");
const NO_TUPLE_DATA = ascii(" (no-tuple-data)");
const BEGIN = ascii("BEGIN ");
const COMMIT = ascii("COMMIT ");
const AT = ascii(" (at ");
const MESSAGE = ascii("message: ");

const TRUNCATE_FLAGS: ReadonlyMap<string, { cascade: boolean; restartIdentity: boolean }> = new Map(
  [
    [" (no-flags)", { cascade: false, restartIdentity: false }],
    [" restart_seqs", { cascade: false, restartIdentity: true }],
    [" cascade", { cascade: true, restartIdentity: false }],
    [" restart_seqs cascade", { cascade: true, restartIdentity: true }],
  ],
);

/**
 * Decodes the text of test_decoding, with its options at their defaults (`include-timestamp` on or
 * off). The grammar is the C code that prints it; names are quoted as SQL, so it is unambiguous but
 * for the prefix of logical messages.
 * https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
export class TestDecodingDecoder implements Decoder {
  #sequence = new TransactionSequence("test_decoding");
  #tables = new ByteKeyedCache<TestDecodingTable>();
  #cursor = new ColumnCursor();
  #beganAt: Lsn = 0n;
  /** The last transaction that may have written to the catalog. */
  #definedBy = 0;

  constructor(private readonly publishesMessage: PublishesMessage) {}

  needsOnlyHead(head: XLogData): boolean {
    return hasAt(head.payload, XLOGDATA_HEADER_BYTES, MESSAGE) &&
      readTestDecodingMessage(head, this.publishesMessage).kind === "not published";
  }

  set timelines(timelines: Timelines) {
    this.#sequence.timelines = timelines;
  }

  decode(message: XLogData): TransactionEvent | undefined {
    const bytes = message.payload;
    const start = XLOGDATA_HEADER_BYTES;
    if (hasAt(bytes, start, TABLE)) return this.#decodeChange(message);
    if (hasAt(bytes, start, BEGIN)) return this.#decodeBegin(message);
    if (hasAt(bytes, start, COMMIT)) return this.#decodeCommit(message);
    if (hasAt(bytes, start, MESSAGE)) return this.#decodeMessage(message);
    fail(message, start, "no change, BEGIN, COMMIT or message");
  }

  #decodeChange(message: XLogData): TransactionEvent {
    const bytes = message.payload;
    const start = XLOGDATA_HEADER_BYTES + TABLE.length;
    // Most of the time this hash finds the table, and its name need not be parsed again.
    let hash = 0;
    let end = start;
    for (; end < bytes.length; end++) {
      const byte = bytes[end]!;
      if (byte === COLON || byte === COMMA) break;
      if (byte === QUOTE) {
        const quoteEnd = scanQuotedIdentifier(bytes, end);
        if (quoteEnd === -1) fail(message, end, "no end of a quoted name");
        for (; end < quoteEnd - 1; end++) hash = (Math.imul(hash, 31) + bytes[end]!) | 0;
      }
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const table = this.#tables.get(hash, bytes, start, end) ??
      this.#readTable(message, hash, start, end);
    if (bytes[end] === COMMA) return this.#decodeTruncate(message, end, table);

    const tuple = end + INSERT.length;
    if (hasAt(bytes, end, INSERT)) {
      this.#refuseMissingTuple(message, tuple);
      return this.#row(message, "insert", table, -1, tuple);
    }
    if (hasAt(bytes, end, UPDATE)) {
      if (hasAt(bytes, tuple, OLD_KEY)) {
        return this.#row(message, "update", table, tuple + OLD_KEY.length, -1);
      }
      this.#refuseMissingTuple(message, tuple);
      return this.#row(message, "update", table, -1, tuple);
    }
    if (hasAt(bytes, end, DELETE)) {
      const hasTuple = !hasAt(bytes, tuple, NO_TUPLE_DATA);
      if (!hasTuple && tuple + NO_TUPLE_DATA.length !== bytes.length) {
        fail(message, tuple + NO_TUPLE_DATA.length, "something after (no-tuple-data)");
      }
      return this.#row(message, "delete", table, hasTuple ? tuple : -1, -1);
    }
    return this.#decodeTruncate(message, end, table);
  }

  #row(
    message: XLogData,
    kind: "insert" | "update" | "delete",
    table: TestDecodingTable,
    oldTuple: number,
    newTuple: number,
  ): TestDecodingRow {
    const transaction = this.#sequence.current(message);
    const seq = this.#sequence.take(1);
    if (seq === 0) this.#lookBefore(message);
    return new TestDecodingRow(
      kind,
      message,
      transaction,
      seq,
      table,
      this.#cursor,
      oldTuple,
      newTuple,
      this.#definedBy,
    );
  }

  /** Whether the transaction did something else before its first change. */
  #lookBefore(message: XLogData): void {
    if (message.walStart - this.#beganAt > MAX_PLAIN_LEAD_BYTES) {
      this.#definedBy = this.#sequence.xid;
    }
  }

  #refuseMissingTuple(message: XLogData, tuple: number): void {
    if (hasAt(message.payload, tuple, NO_TUPLE_DATA)) {
      fail(message, tuple, "the server sent no row for an insert or update");
    }
  }

  #decodeTruncate(message: XLogData, firstEnd: number, first: TestDecodingTable): Truncate {
    const bytes = message.payload;
    const relations: Relation[] = [first.relation];
    let end = firstEnd;
    while (bytes[end] === COMMA && bytes[end + 1] === SPACE) {
      const start = end + 2;
      end = this.#scanQualifiedName(message, start);
      let hash = 0;
      for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
      const table = this.#tables.get(hash, bytes, start, end) ??
        this.#readTable(message, hash, start, end);
      relations.push(table.relation);
    }
    if (!hasAt(bytes, end, TRUNCATE)) {
      fail(message, end, "no INSERT, UPDATE, DELETE or TRUNCATE after the table");
    }
    const flagsStart = end + TRUNCATE.length;
    const flags = TRUNCATE_FLAGS.get(decodeUtf8(bytes, flagsStart, bytes.length) ?? "");
    if (flags === undefined) fail(message, flagsStart, "unknown flags of TRUNCATE");
    const transaction = this.#sequence.current(message);
    const seq = this.#sequence.take(relations.length);
    if (seq === 0) this.#lookBefore(message);
    return { kind: "truncate", lsn: message.walStart, transaction, seq, relations, ...flags };
  }

  #readTable(message: XLogData, hash: number, start: number, end: number): TestDecodingTable {
    const bytes = message.payload;
    if (this.#scanQualifiedName(message, start) !== end) {
      fail(message, end, "something after the table's name");
    }
    const schemaEnd = scanIdentifier(bytes, start);
    const schema = identifierText(bytes, start, schemaEnd) ??
      fail(message, start, "a schema name that is not UTF-8");
    const table = identifierText(bytes, schemaEnd + 1, end) ??
      fail(message, schemaEnd + 1, "a table name that is not UTF-8");
    const relation = { schema, table, qualifiedName: `${schema}.${table}` };
    const entry = { relation, newHeaders: newColumnHeaders(), oldHeaders: newColumnHeaders() };
    this.#tables.set(hash, bytes, start, end, entry);
    return entry;
  }

  #scanQualifiedName(message: XLogData, start: number): number {
    const bytes = message.payload;
    const schemaEnd = scanIdentifier(bytes, start);
    if (schemaEnd === -1) fail(message, start, "no schema name");
    if (bytes[schemaEnd] !== DOT) fail(message, schemaEnd, "no dot after a schema name");
    const end = scanIdentifier(bytes, schemaEnd + 1);
    if (end === -1) fail(message, schemaEnd + 1, "no table name");
    return end;
  }

  #decodeBegin(message: XLogData): TransactionEvent {
    const start = XLOGDATA_HEADER_BYTES + BEGIN.length;
    const xid = parseXid(decodeUtf8(message.payload, start, message.payload.length));
    if (xid === undefined) fail(message, start, "no transaction id after BEGIN");
    this.#beganAt = message.walStart;
    return this.#sequence.begin(message, { xid, commitLsn: undefined, commitTime: undefined });
  }

  #decodeCommit(message: XLogData): TransactionEvent {
    const bytes = message.payload;
    const start = XLOGDATA_HEADER_BYTES + COMMIT.length;
    let end = start;
    while (end < bytes.length && bytes[end] !== SPACE) end++;
    const xid = parseXid(decodeUtf8(bytes, start, end));
    if (xid === undefined) fail(message, start, "no transaction id after COMMIT");
    const commitTime = end < bytes.length ? this.#readCommitTime(message, end) : undefined;
    const open = this.#sequence.current(message).xid;
    if (open !== xid) fail(message, start, `a commit of ${xid} inside transaction ${open}`);
    if (this.#sequence.take(0) === 0) this.#definedBy = xid;
    return this.#sequence.commit(message, commitTime);
  }

  #readCommitTime(message: XLogData, start: number): bigint {
    const bytes = message.payload;
    const last = bytes.length - 1;
    const text = hasAt(bytes, start, AT) && bytes[last] === CLOSING
      ? decodeUtf8(bytes, start + AT.length, last)
      : undefined;
    return parsePostgresTimestamp(text ?? "") ??
      fail(message, start, "no commit time after the transaction id");
  }

  #decodeMessage(message: XLogData): TransactionEvent | undefined {
    const transaction = isTransactional(message) ? this.#sequence.current(message) : undefined;
    const seq = transaction === undefined ? -1 : this.#sequence.take(1);
    if (seq === 0) this.#lookBefore(message);
    const read = readTestDecodingMessage(message, this.publishesMessage);
    const place = { lsn: message.walStart, transaction };
    switch (read.kind) {
      case "not published":
        return undefined;
      case "published":
        return { kind: "message", ...place, seq, prefix: read.prefix, content: read.content };
      case "ambiguous":
        return { kind: "ambiguous-message", ...place, prefix: read.prefix };
      default:
        return read satisfies never;
    }
  }
}

function fail(message: XLogData, position: number, what: string): never {
  throw new DecodeError(
    "test_decoding",
    message.walStart,
    position - XLOGDATA_HEADER_BYTES,
    what,
  );
}
