/**
 * The interface of a formatter of your own, for `--message-formatter ./my-format.js`: an ES module in
 * JavaScript whose default export is a {@linkcode UserFormatter}. With
 * `// @ts-check` and a JSDoc import of these types an editor checks it:
 *
 *     // @ts-check
 *     /** @type {import("./user_formatter.ts").UserFormatter} *\/
 *     export default function (change, transaction) { … }
 *
 * An example with comments is docs/examples/my_format.js.
 */

/**
 * Makes the user records of one change. It is called for every change that the filters allow, in
 * commit order, and answers at once: a promise is an error. What it throws stops the run, since a
 * change that is not published would be lost; the slot then stays before it.
 */
export type UserFormatter = (
  change: UserChange,
  /** Undefined for a logical message that is not transactional. */
  transaction: UserTransaction | undefined,
) => UserResult;

/** Nothing leaves the change out; an array gives several records, stored in its order. */
export type UserResult = UserRecord | readonly UserRecord[] | null | undefined | void;

/** Text is stored as UTF-8. */
export type UserRecord = string | Uint8Array | {
  readonly data: string | Uint8Array;
  /**
   * Decides the shard, and with it what is kept in order: 1 to 256 characters. Without it the record
   * goes where `change.partitionKey` says, and a TRUNCATE's to every shard.
   */
  readonly partitionKey?: string;
};

export type UserChange = UserRowChange | UserTruncate | UserMessage | UserBackfillEnd;

/** What all changes have. */
interface UserChangeBase {
  /** `16/B374D848`. */
  readonly lsn: string;
  /** Position in the transaction, from 0, counted before any filter; -1 outside of a transaction. */
  readonly seq: number;
  /** The partition key by `--partition-key`. */
  readonly partitionKey: string;
}

/** An inserted, updated or deleted row, or one that a backfill read: an insert that may come twice. */
export interface UserRowChange extends UserChangeBase {
  readonly kind: "insert" | "update" | "delete" | "read";
  readonly schema: string;
  readonly table: string;
  /** The primary key in key order, for a delete the old one; undefined when the table has none. */
  readonly key: readonly UserColumn[] | undefined;
  /** The row after the change, in table order; undefined for a delete. */
  readonly newRow: readonly UserColumn[] | undefined;
  /** The old row or old key as the replica identity gives it; undefined when none was sent. */
  readonly oldRow: readonly UserColumn[] | undefined;
  /**
   * True when this is called a second time for a change of which a record was too large for the
   * stream, with `--on-oversize key-only`: the rows then have the key's columns alone. As many records
   * are expected as the first time; those that were too large are replaced.
   */
  readonly oversize: boolean;
}

/** One table of a TRUNCATE. */
export interface UserTruncate extends UserChangeBase {
  readonly kind: "truncate";
  readonly schema: string;
  readonly table: string;
  /** Both undefined with wal2json, which does not send them. */
  readonly cascade: boolean | undefined;
  readonly restartIdentity: boolean | undefined;
}

/** The backfill of a table has ended; its record goes to every shard. */
export interface UserBackfillEnd extends UserChangeBase {
  readonly kind: "backfill";
  readonly schema: string;
  readonly table: string;
  readonly request: string;
  readonly rows: number;
  /** False where it was given up. */
  readonly complete: boolean;
}

/** A logical message (`pg_logical_emit_message`) of a prefix that `--message-prefix` names. */
export interface UserMessage extends UserChangeBase {
  readonly kind: "message";
  readonly prefix: string;
  /** Empty when `oversize`. */
  readonly content: Uint8Array;
  /** As in {@linkcode UserRowChange}. */
  readonly oversize: boolean;
}

export interface UserColumn {
  readonly name: string;
  /** As the plugin or the catalog names it: `bigint`, `numeric(10,2)`, `text[]`. */
  readonly type: string;
  /**
   * PostgreSQL's own text: numbers with every digit, booleans `true` or `false`, bytea with its `\x`.
   * Null is NULL; undefined is a TOASTed value that the update did not change and that was not sent.
   */
  readonly value: string | null | undefined;
}

export interface UserTransaction {
  readonly xid: number;
  /** Of the WAL; each failover begins a new one. Compare it before LSNs. */
  readonly timeline: number;
  /** Undefined with test_decoding, which does not send it before the rows. */
  readonly commitLsn: string | undefined;
  /** `2026-11-22T08:01:02.123456Z`; undefined with test_decoding. */
  readonly commitTime: string | undefined;
}
