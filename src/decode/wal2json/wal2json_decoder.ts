import type { Lsn } from "../../base/lsn.ts";
import { type XLogData, XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, ByteKeyedCache, hasAt } from "../bytes.ts";
import type { Timelines } from "../../base/timelines.ts";
import { DecodeError, type Decoder } from "../decoder.ts";
import type { LogicalMessage, TransactionEvent, TransactionInfo } from "../event.ts";
import { MAX_PREFIX_BYTES, type PublishesMessage } from "../message_prefix.ts";
import { jsonStringBytes, jsonStringText, scanJsonNumber, scanJsonString } from "./json_bytes.ts";
import { parsePostgresTimestamp } from "../postgres_timestamp.ts";
import { TransactionSequence } from "../transaction_sequence.ts";
import { decodeUtf8 } from "../utf8.ts";
import { ColumnCursor, newColumnHeaders } from "./wal2json_columns.ts";
import { Wal2jsonRow, type Wal2jsonTable } from "./wal2json_row.ts";
import { parseXid } from "../xid.ts";

/**
 * A commit record without invalidations of the catalog has 48 bytes, subtransactions take 4 each, and a page's
 * header may lie within. With those of the least DDL, a change of the replica identity, it has 104 (on 15).
 * https://github.com/postgres/postgres/blob/master/src/include/access/xact.h
 */
const MAX_PLAIN_COMMIT_BYTES = 96n;

const QUOTE = 0x22, BACKSLASH = 0x5C, CLOSE_BRACE = 0x7D, SLASH = 0x2F;
const ZERO = 0x30, NINE = 0x39, CAPITAL_A = 0x41;

const ACTION = ascii('{"action":"');
const encoder = new TextEncoder();

/** A logical message's prefix begins before; 150 bytes were seen. */
const MAX_BEFORE_PREFIX = XLOGDATA_HEADER_BYTES + 500;
/** A character of one byte may be escaped as `\u0001`. */
const BYTES_OF_ESCAPE = 6;
/** Where the letter of the action stands in what the plugin writes. */
export const ACTION_AT = ACTION.length;
const LETTER = XLOGDATA_HEADER_BYTES + ACTION_AT;
const AFTER_LETTER = LETTER + 1;
const XID = ascii('","xid":');
const TIMESTAMP = ascii(',"timestamp":');
const LSN = ascii(',"lsn":');
const NEXT_LSN = ascii(',"nextlsn":');
const SCHEMA = ascii(',"schema":');
const TABLE = ascii(',"table":');
const IS_TRANSACTIONAL = ascii(',"transactional":true');
const IS_NOT_TRANSACTIONAL = ascii(',"transactional":false');
const PREFIX = ascii(',"prefix":');
const CONTENT = ascii(',"content":');
const NULL = ascii("null");

const B = 0x42, C = 0x43, D = 0x44, I = 0x49, M = 0x4D, T = 0x54, U = 0x55;

/**
 * Decodes wal2json's format version 2 with `include-xids`, `include-timestamp`, `include-lsn` and
 * `include-pk` on and everything else at its default. The plugin prints its members in one order and
 * without spaces; anything else is refused. What it cannot know: which columns have unchanged TOAST
 * values (it leaves them out), the flags of TRUNCATE (one message per table), NaN and infinite
 * numbers (null), and what follows a zero byte in a logical message.
 * https://github.com/eulerto/wal2json/blob/master/wal2json.c
 */
export class Wal2jsonDecoder implements Decoder {
  #sequence = new TransactionSequence("wal2json");
  #tables = new ByteKeyedCache<Wal2jsonTable>();
  #cursor = new ColumnCursor();
  /** The BEGIN message of the open transaction: all its messages repeat xid and timestamp. */
  #begin: Uint8Array = new Uint8Array();
  /** Where its timestamp ends. */
  #headEnd = 0;
  /** The last transaction that may have written to the catalog. */
  #definedBy = 0;

  constructor(private readonly publishesMessage: PublishesMessage) {}

  set timelines(timelines: Timelines) {
    this.#sequence.timelines = timelines;
  }

  needsOnlyHead(head: XLogData): boolean {
    const bytes = head.payload;
    if (!hasAt(bytes, XLOGDATA_HEADER_BYTES, ACTION) || bytes[LETTER] !== M) return false;
    // Nothing stands before it that anybody could choose.
    let at = AFTER_LETTER;
    while (at < MAX_BEFORE_PREFIX && !hasAt(bytes, at, PREFIX)) at++;
    return at < MAX_BEFORE_PREFIX && this.#publishedPrefix(head, at + PREFIX.length) === undefined;
  }

  decode(message: XLogData): TransactionEvent | undefined {
    const bytes = message.payload;
    if (!hasAt(bytes, XLOGDATA_HEADER_BYTES, ACTION)) {
      fail(message, XLOGDATA_HEADER_BYTES, 'no {"action":"');
    }
    switch (bytes[LETTER]) {
      case I:
        return this.#decodeRow(message, "insert");
      case U:
        return this.#decodeRow(message, "update");
      case D:
        return this.#decodeRow(message, "delete");
      case B:
        return this.#decodeBegin(message);
      case C:
        return this.#decodeCommit(message);
      case T:
        return this.#decodeTruncate(message);
      case M:
        return this.#decodeMessage(message);
      default:
        fail(message, LETTER, "an unknown action");
    }
  }

  #decodeRow(message: XLogData, kind: "insert" | "update" | "delete"): TransactionEvent {
    const transaction = this.#sequence.current(message);
    const { table, end } = this.#readTable(message, this.#skipHead(message, transaction));
    const seq = this.#sequence.take(1);
    const cursor = this.#cursor;
    return new Wal2jsonRow(kind, message, transaction, seq, table, cursor, end, this.#definedBy);
  }

  #decodeTruncate(message: XLogData): TransactionEvent {
    const transaction = this.#sequence.current(message);
    const { table, end } = this.#readTable(message, this.#skipHead(message, transaction));
    endOfMessage(message, end);
    return {
      kind: "truncate",
      lsn: message.walStart,
      transaction,
      seq: this.#sequence.take(1),
      relations: [table.relation],
      cascade: undefined,
      restartIdentity: undefined,
    };
  }

  #decodeBegin(message: XLogData): TransactionEvent {
    const xid = readXid(message, AFTER_LETTER);
    const time = readTimestamp(message, xid.end);
    const lsnStart = skip(message, time.end, LSN);
    const lsnEnd = skipLsn(message, lsnStart);
    const nextStart = skip(message, lsnEnd, NEXT_LSN);
    const nextEnd = skipLsn(message, nextStart);
    endOfMessage(message, nextEnd);
    const commitLsn = readLsn(message.payload, lsnStart);
    const endLsn = readLsn(message.payload, nextStart);
    if (endLsn - commitLsn > MAX_PLAIN_COMMIT_BYTES) this.#definedBy = xid.value;
    const transaction = { xid: xid.value, commitLsn, commitTime: time.value };
    const begin = this.#sequence.begin(message, transaction);
    this.#begin = message.payload;
    this.#headEnd = time.end;
    return begin;
  }

  #decodeCommit(message: XLogData): TransactionEvent {
    const transaction = this.#sequence.current(message);
    const { length } = this.#begin;
    // It says the same as BEGIN, so that comparing them spares the parsing.
    if (message.payload.length !== length || !this.#repeatsBegin(message, length)) {
      const lsnStart = skip(message, this.#skipHead(message, transaction), LSN);
      const lsnEnd = skipLsn(message, lsnStart);
      if (readLsn(message.payload, lsnStart) !== transaction.commitLsn) {
        fail(message, lsnStart, "a commit of another transaction");
      }
      endOfMessage(message, skipLsn(message, skip(message, lsnEnd, NEXT_LSN)));
    }
    return this.#sequence.commit(message);
  }

  #decodeMessage(message: XLogData): LogicalMessage | undefined {
    const bytes = message.payload;
    const isNull = hasAt(bytes, AFTER_LETTER + XID.length, NULL);
    const transaction = isNull ? undefined : this.#sequence.current(message);
    let at = transaction === undefined
      ? skipNullHead(message)
      : this.#skipHead(message, transaction);
    at = skipLsn(message, skip(message, at, LSN));
    const flag = transaction === undefined ? IS_NOT_TRANSACTIONAL : IS_TRANSACTIONAL;
    at = skip(message, at, flag);
    const prefixStart = skip(message, at, PREFIX);
    const seq = transaction === undefined ? -1 : this.#sequence.take(1);
    const prefix = this.#publishedPrefix(message, prefixStart);
    if (prefix === undefined) return undefined;
    const contentStart = skip(message, scanString(message, prefixStart), CONTENT);
    const contentEnd = scanString(message, contentStart);
    endOfMessage(message, contentEnd);
    const content = jsonStringBytes(bytes, contentStart + 1, contentEnd - 1) ??
      fail(message, contentStart, "a wrong escape");
    return { kind: "message", lsn: message.walStart, transaction, seq, prefix, content };
  }

  /** The prefix that begins at `start`; undefined when it is none that is published. */
  #publishedPrefix({ payload, length }: XLogData, start: number): string | undefined {
    const longest = payload.subarray(start, start + 2 + MAX_PREFIX_BYTES * BYTES_OF_ESCAPE);
    const end = scanJsonString(longest, 0);
    const prefix = end === -1 ? undefined : jsonStringText(longest, 1, end - 1);
    if (prefix === undefined || encoder.encode(prefix).length > MAX_PREFIX_BYTES) return undefined;
    return this.publishesMessage(prefix, length) ? prefix : undefined;
  }

  /** Checks that the message belongs to the open transaction; gives where its LSN begins. */
  #skipHead(message: XLogData, transaction: TransactionInfo): number {
    if (this.#repeatsBegin(message, this.#headEnd)) return this.#headEnd;
    const xid = readXid(message, AFTER_LETTER);
    if (xid.value !== transaction.xid) {
      fail(message, AFTER_LETTER, `a change of ${xid.value} inside transaction ${transaction.xid}`);
    }
    return readTimestamp(message, xid.end).end;
  }

  #repeatsBegin(message: XLogData, end: number): boolean {
    const bytes = message.payload, begin = this.#begin;
    for (let at = AFTER_LETTER; at < end; at++) {
      if (bytes[at] !== begin[at]) return false;
    }
    return true;
  }

  /** Reads LSN, schema and table. */
  #readTable(message: XLogData, start: number): { table: Wal2jsonTable; end: number } {
    const bytes = message.payload;
    const schemaStart = skip(message, skipLsn(message, skip(message, start, LSN)), SCHEMA);
    // Most of the time this hash finds the table, and its name need not be parsed again.
    let hash = 0;
    let quotes = 0;
    let end = schemaStart;
    for (; end < bytes.length && quotes < 6; end++) {
      const byte = bytes[end]!;
      hash = (Math.imul(hash, 31) + byte) | 0;
      if (byte === QUOTE) quotes++;
      else if (byte === BACKSLASH) hash = (Math.imul(hash, 31) + (bytes[++end] ?? 0)) | 0;
    }
    let table = this.#tables.get(hash, bytes, schemaStart, end);
    if (table === undefined) {
      table = parseTable(message, schemaStart, end);
      this.#tables.set(hash, bytes, schemaStart, end, table);
    }
    return { table, end };
  }
}

/** `"public","table":"t"` */
function parseTable(message: XLogData, start: number, end: number): Wal2jsonTable {
  const schemaEnd = scanString(message, start);
  const tableStart = skip(message, schemaEnd, TABLE);
  const tableEnd = scanString(message, tableStart);
  if (tableEnd !== end) fail(message, end, "something after the table's name");
  const schema = stringText(message, start, schemaEnd);
  const table = stringText(message, tableStart, tableEnd);
  const relation = { schema, table, qualifiedName: `${schema}.${table}` };
  return {
    relation,
    newHeaders: newColumnHeaders(),
    oldHeaders: newColumnHeaders(),
    key: undefined,
  };
}

function readXid(message: XLogData, start: number): { value: number; end: number } {
  const at = skip(message, start, XID);
  const end = scanJsonNumber(message.payload, at);
  const value = end === -1 ? undefined : parseXid(decodeUtf8(message.payload, at, end));
  if (value === undefined) fail(message, at, "no transaction id");
  return { value, end };
}

function readTimestamp(message: XLogData, start: number): { value: bigint; end: number } {
  const at = skip(message, start, TIMESTAMP);
  const end = scanString(message, at);
  const value = parsePostgresTimestamp(stringText(message, at, end));
  if (value === undefined) fail(message, at, "no timestamp");
  return { value, end };
}

/** Checks the form of an LSN that the message's header has too: `"16/B374D848"`. */
function skipLsn(message: XLogData, start: number): number {
  const bytes = message.payload;
  if (bytes[start] !== QUOTE) fail(message, start, "no LSN");
  const slash = skipHexDigits(bytes, start + 1);
  const end = skipHexDigits(bytes, slash + 1);
  const isLsn = slash > start + 1 && bytes[slash] === SLASH && end > slash + 1;
  return isLsn && bytes[end] === QUOTE ? end + 1 : fail(message, start, "no LSN");
}

/** The LSN in quotes at `start`, which {@linkcode skipLsn} has checked. */
function readLsn(bytes: Uint8Array, start: number): Lsn {
  let half = 0;
  let high = 0;
  for (let at = start + 1; bytes[at] !== QUOTE; at++) {
    const byte = bytes[at]!;
    if (byte === SLASH) {
      high = half;
      half = 0;
    } else {
      half = half * 16 + (byte <= NINE ? byte - ZERO : byte - CAPITAL_A + 10);
    }
  }
  return (BigInt(high) << 32n) | BigInt(half);
}

/** At most eight. */
function skipHexDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < start + 8 && isHexDigit(bytes[at])) at++;
  return at;
}

function isHexDigit(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46));
}

/** A non-transactional message stands outside any transaction. */
function skipNullHead(message: XLogData): number {
  const at = skip(message, skip(message, AFTER_LETTER, XID), NULL);
  return skip(message, skip(message, at, TIMESTAMP), NULL);
}

function skip(message: XLogData, at: number, expected: Uint8Array): number {
  if (!hasAt(message.payload, at, expected)) {
    fail(message, at, `no ${decodeUtf8(expected, 0, expected.length)}`);
  }
  return at + expected.length;
}

function scanString(message: XLogData, start: number): number {
  const end = scanJsonString(message.payload, start);
  return end === -1 ? fail(message, start, "no string") : end;
}

function stringText(message: XLogData, start: number, end: number): string {
  return jsonStringText(message.payload, start + 1, end - 1) ??
    fail(message, start, "a string with a wrong escape or not UTF-8");
}

function endOfMessage(message: XLogData, at: number): void {
  if (message.payload[at] !== CLOSE_BRACE) fail(message, at, "no } at the end");
  if (at + 1 !== message.payload.length) fail(message, at + 1, "something after the end");
}

function fail(message: XLogData, position: number, what: string): never {
  throw new DecodeError("wal2json", message.walStart, position - XLOGDATA_HEADER_BYTES, what);
}
