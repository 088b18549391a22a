import type { Ticket } from "../../base/record_writer.ts";

/** A user record that waits for its place in the stream, taken out of the request it waited in. */
export interface QueuedRecord {
  readonly partitionKey: string;
  readonly data: Uint8Array;
  /** It stands for every key of its shard (a TRUNCATE), so every shard that follows gets a copy. */
  readonly everyShard: boolean;
  readonly ticket: Ticket;
  /** Counts the calls of `RecordWriter.add`: what came first is stored first. */
  readonly position: number;
}
