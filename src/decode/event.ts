import type { Lsn } from "../base/lsn.ts";

/** The stored value was not sent, because the update left its TOAST chunks alone. Never null. */
export const UNCHANGED: unique symbol = Symbol("unchanged TOAST value");

/**
 * A column's value: PostgreSQL's own text, the same from all plugins: numbers with every digit,
 * booleans `true` or `false`, bytea with its `\x`, bit strings as bare digits; `null` is SQL NULL.
 */
export type ColumnValue = string | null | typeof UNCHANGED;

export interface Column {
  readonly name: string;
  /** The type as the plugin or the catalog names it, `numeric(10,2)` or `numeric`. */
  readonly type: string;
  readonly value: ColumnValue;
}

/**
 * A row whose values still lie in the message: a format that copies them makes no strings. To be used up
 * before anything else is asked of this or another row.
 */
export interface RowBytes {
  /** In table order; the same array as long as the table's columns are the same. */
  readonly columns: readonly Pick<Column, "name" | "type">[];
  readonly bytes: Uint8Array;
  /** Where the value of each column begins and ends in `bytes`. */
  readonly places: Int32Array;
  /**
   * Of each column: {@linkcode NO_VALUE}, {@linkcode PLAIN_VALUE}, {@linkcode ENCODED_VALUE} or
   * {@linkcode ESCAPED_VALUE}.
   */
  readonly forms: Uint8Array;
  /** The value of a column that is not NULL. Throws a {@linkcode DecodeError}. */
  text(index: number): string;
}

/** NULL. */
export const NO_VALUE = 0;
/** The bytes are those of the {@linkcode ColumnValue}, though perhaps not UTF-8. */
export const PLAIN_VALUE = 1;
/** The plugin writes it in another way: use `text`. */
export const ENCODED_VALUE = 2;
/** The bytes are those of a JSON string with escapes, between its quotes. */
export const ESCAPED_VALUE = 3;

/** A table as a change names it. Decoders give the same object for the same table while they can. */
export interface Relation {
  readonly schema: string;
  readonly table: string;
  /** `schema.table`, unquoted. */
  readonly qualifiedName: string;
}

/** What a change says about its transaction. */
export interface TransactionInfo {
  /** Unsigned 32 bits. */
  readonly xid: number;
  /** On which its commit record was written; with test_decoding, its first change. */
  readonly timeline: number;
  /** LSN of the commit record; undefined with test_decoding, which does not send it before the rows. */
  readonly commitLsn: Lsn | undefined;
  /** Commit time in microseconds since 1970-01-01 UTC; undefined with test_decoding. */
  readonly commitTime: bigint | undefined;
}

export interface Begin {
  readonly kind: "begin";
  readonly transaction: TransactionInfo;
}

/**
 * One changed row. Columns are decoded when they are first asked for: each getter and method may throw
 * a {@linkcode DecodeError} for what it reads then.
 */
export interface RowChange {
  /** `read`: the row as a backfill read it. */
  readonly kind: "insert" | "update" | "delete" | "read";
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo;
  /** Position among the changes of the transaction, from 0, counted before any filter. */
  readonly seq: number;
  readonly relation: Relation;
  /**
   * The xid of a transaction behind which, as far as the plugin shows, the table's definition did not change
   * before this change; 0 when it never did. pgoutput describes a table again when it was altered itself;
   * with wal2json a transaction that wrote to the catalog has a longer commit record. With test_decoding
   * it is empty, or begins before its first change: DDL behind the first change goes unseen.
   */
  readonly definedBy: number;
  /** Names of the primary key's columns where the plugin sends them, in its order. */
  readonly keyNames: readonly string[] | undefined;
  /** Of a `read`: what its backfill is called. */
  readonly request?: string;
  /** The row after the change, in table order; undefined for a delete. */
  readonly newRow: readonly Column[] | undefined;
  /**
   * The old key or old row as the replica identity gives it; undefined when none was sent. test_decoding
   * leaves out columns that were NULL; wal2json sends the key with every update, changed or not.
   */
  readonly oldRow: readonly Column[] | undefined;
  /**
   * All columns of the table, in its order, where the plugin tells them with every change; the same array as
   * long as they are the same. Only pgoutput does.
   */
  readonly tableColumns?: readonly Pick<Column, "name" | "type">[] | undefined;
  /** `newRow` as bytes; undefined for a delete, and where the row has an {@linkcode UNCHANGED} value. */
  newBytes?(): RowBytes | undefined;
  /** `oldRow` as bytes, where it is a whole row of pgoutput; undefined otherwise. */
  oldBytes?(): RowBytes | undefined;
  /** One column of `newRow`, read without decoding what follows it where the plugin allows. */
  newColumn(name: string): Column | undefined;
  /** One column of `oldRow`. */
  oldColumn(name: string): Column | undefined;
}

export interface Truncate {
  readonly kind: "truncate";
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo;
  /** Position of the first table; the tables after it take the following positions. */
  readonly seq: number;
  readonly relations: readonly Relation[];
  /** These two are undefined with wal2json, which does not send them. */
  readonly cascade: boolean | undefined;
  readonly restartIdentity: boolean | undefined;
}

/** Logical messages with this prefix are heartbeats of `--heartbeat`. */
export const HEARTBEAT_PREFIX = "pg2kinesis.heartbeat";

/** The backfill of a table has ended: behind its last row. */
export interface BackfillEnd {
  readonly kind: "backfill";
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo;
  readonly seq: number;
  readonly relation: Relation;
  readonly request: string;
  /** Rows that were published, those that were read again included. */
  readonly rows: number;
  /** False: it was given up, and the stream may lack rows. */
  readonly complete: boolean;
}

/** A logical message with this prefix is a backfill's own. */
export const BACKFILL_PREFIX = "pg2kinesis.backfill";

/**
 * A logical message (`pg_logical_emit_message`) of a prefix that is published. A non-transactional one
 * stands outside any transaction.
 */
export interface LogicalMessage {
  readonly kind: "message";
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo | undefined;
  /** -1 when not transactional. */
  readonly seq: number;
  readonly prefix: string;
  readonly content: Uint8Array;
}

export interface Commit {
  readonly kind: "commit";
  readonly transaction: TransactionInfo;
  /** The transaction's end LSN, which may be confirmed once all its records are stored. */
  readonly endLsn: Lsn;
  /** Microseconds since 1970-01-01 UTC, from every plugin: test_decoding sends it only here. */
  readonly commitTime: bigint | undefined;
}

/**
 * A logical message that may be one of a prefix that is published, or one of another: test_decoding
 * does not show where a prefix ends.
 */
export interface AmbiguousMessage {
  readonly kind: "ambiguous-message";
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo | undefined;
  /** The prefix that is published. */
  readonly prefix: string;
}

export type TransactionEvent =
  | Begin
  | RowChange
  | Truncate
  | LogicalMessage
  | AmbiguousMessage
  | Commit;
