import type {
  BackfillEnd,
  Commit,
  LogicalMessage,
  Relation,
  RowChange,
  Truncate,
} from "../decode/event.ts";

/** What can become a user record. */
export type Change = RowChange | Truncate | LogicalMessage | BackfillEnd;

/**
 * Takes one user record. Text is stored as UTF-8; bytes are copied before it returns. Without an
 * explicit hash key the record goes where the MD5 of its partition key says; `"every shard"` stores it
 * once in each shard. `"transactions"` stores a transaction's beginning or end in the stream of
 * such records, `"shards of the transaction"` once in each shard that has some of its changes.
 */
export type Emit = (
  partitionKey: string,
  data: string | Uint8Array,
  route?: EmitRoute,
) => void;

export type EmitRoute = "every shard" | "transactions" | "shards of the transaction";

/** What was published of a transaction. */
export interface PublishedTransaction {
  /** Place behind its last change. */
  readonly seq: number;
  /** Changes with a record; logical messages among them. */
  readonly changes: number;
  readonly messages: number;
  /** Changes by `schema.table`. */
  readonly tables: ReadonlyMap<string, number>;
  /** Shards, of all streams, in which some of it lies. */
  readonly shards: number;
  readonly streams: number;
}

/**
 * Why a change gave no records. Nothing was emitted; the pipeline decides by its policies.
 *
 * - `unknown-table`: the catalog must be read again, then `format` called again with the same change;
 *   the same answer a second time means that the key cannot be found (`--on-unknown-table`).
 * - `no-key`: the format needs a primary key, the table has none (`--on-missing-pkey`).
 * - `key-not-sent`: the table has a primary key, but its replica identity kept it out of this change
 *   (`--on-plugin-skip`).
 */
export interface FormatProblem {
  readonly kind: "unknown-table" | "no-key" | "key-not-sent";
  /** `schema.table` */
  readonly table: string;
  /** What was found, for an operator: completes "cannot publish a delete of public.t: …". */
  readonly reason: string;
  /** What fixes it, if that differs from its kind in general. */
  readonly hint?: string;
}

/**
 * A change whose table was read in the catalog before the change could be seen there. Nothing was
 * emitted; the table is to be read again, then `format` called again with the same change.
 */
export interface Unread {
  readonly kind: "unread";
  readonly relation: Relation;
}

export interface Formatter {
  /**
   * Gives each user record of one change to `emit`, in order; none to leave the change out (a filter,
   * a kind of change that the format does not have). Throws a RunError when the run must stop, a
   * TooLargeError when what it has not given yet is too large for any stream.
   */
  format(change: Change, emit: Emit): FormatProblem | Unread | undefined;

  /**
   * For a change with a record that the stream can never take: gives as many records as `format`
   * does, in the same order, each without the row's columns and marked (`"oversize":true`), so that
   * the n-th stands in for the n-th of `format`.
   */
  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined;

  /**
   * The end of a transaction, behind its changes: gives the records that a format has for it. What was
   * published of it is known where something was, and `--transaction-records` asks for it.
   */
  commit?(commit: Commit, emit: Emit, published: PublishedTransaction | undefined): void;
}
