import type { LogicalMessage, RowChange, Truncate } from "../decode/event.ts";

/** What can become a user record. */
export type Change = RowChange | Truncate | LogicalMessage;

/**
 * Takes one user record. Text is stored as UTF-8. Without an explicit hash key the record goes where
 * the MD5 of its partition key says; `"every shard"` stores it once in each shard.
 */
export type Emit = (
  partitionKey: string,
  data: string | Uint8Array,
  route?: "every shard",
) => void;

export interface Formatter {
  /** Gives each user record of one change to `emit`, in order; none to leave the change out. */
  format(change: Change, emit: Emit): void;
}
