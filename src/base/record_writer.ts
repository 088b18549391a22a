import type { RunError } from "./errors.ts";
import type { WriterStats } from "./writer_stats.ts";

/**
 * The side of a transaction that the writer sees: it counts what is stored of it. Both are called by
 * the writer alone. A split of shards can make more of one record on its way, later than `add`.
 */
export interface Ticket {
  /** `records` more user records of the transaction are on their way. */
  expect(records: number): void;
  /** `records` of them are durably stored, each where every consumer will see it. */
  acknowledge(records: number): void;
}

/** Takes the user records of one stream. */
export interface RecordTarget {
  /**
   * Takes one user record; never blocks, and keeps nothing of `data`. Returns 0, or, where the stream
   * can never take a record of that size, its size in bytes, with nothing taken. After a failure it
   * still expects the record, which is then never acknowledged.
   */
  add(
    partitionKey: string,
    data: string | Uint8Array,
    ticket: Ticket,
    route?: "every shard" | "noted shards",
  ): number;
  /** From now on notes the shards that records go to; forgets those that it noted before. */
  noteShards(): void;
  /** Open shards that hold, or will hold, records since `noteShards`, or that follow such a shard. */
  readonly notedShards: number;
  /** Bytes that one record of the stream may have. */
  readonly maxRecordBytes: number;
}

/** All streams that user records go to. */
export interface RecordWriter {
  /** Ends a batch: idle lanes send what they hold. Resolves when there is room for another batch. */
  flush(): Promise<void>;
  /** Resolves when everything taken is stored; rejects when a stream failed or `signal` aborts. */
  drain(signal?: AbortSignal): Promise<void>;
  /** Lets go of sockets and timers. What is not stored is given up. */
  close(): void;
  /** Bytes taken and not yet acknowledged. */
  readonly pendingBytes: number;
  /** Resolves, never rejects, when a stream cannot go on: with what the operator is to know. */
  readonly failure: Promise<RunError>;
  stats(): WriterStats;
}
