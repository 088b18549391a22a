import type { Histogram } from "./histogram.ts";

/** What one lane has done; counters only grow. */
export class LaneStats {
  /** Requests sent, failed ones included. */
  puts = 0;
  /** Kinesis records and their bytes that were stored. */
  records = 0;
  bytes = 0;
  /** Requests, or parts of them, that failed and were sent again, by reason. */
  readonly failures = { throttled: 0, service: 0, network: 0, credentials: 0, refused: 0 };
  /** User records sent again that a put before may have stored: each is a duplicate, or may be one. */
  resent = 0;
}

export type FailureReason = keyof LaneStats["failures"];

/** Seconds: from a local answer to the request's own timeout. */
export const PUT_SECONDS_BOUNDS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
];

/** One open shard and its lane. Counters begin anew where a lane is made for it. */
export interface ShardStats {
  readonly shardId: string;
  readonly pendingBytes: number;
  readonly puts: number;
  readonly bytes: number;
  readonly throttled: number;
}

/** Puts of open shards that fail and are tried again. */
export interface Failing {
  /** Since the first of them failed without a success after it. */
  readonly seconds: number;
  /** What that shard's last try was answered. */
  readonly reason: string;
  readonly shards: number;
}

/** What a writer has done, for the log and the metrics. */
export interface WriterStats {
  readonly userRecords: number;
  readonly region: string;
  /** Requests sent, failed ones included. */
  readonly puts: number;
  readonly records: number;
  readonly bytes: number;
  /** Undefined: no shard's last put failed. */
  readonly failing: Failing | undefined;
  readonly failures: Readonly<LaneStats["failures"]>;
  readonly resent: number;
  /** Times the writer followed the stream through a split or merge. */
  readonly reshards: number;
  readonly pendingBytes: number;
  /** With so many bytes pending nothing more is read from PostgreSQL. */
  readonly highWaterBytes: number;
  readonly pendingRecords: number;
  /** From a put to its answer, in seconds; puts that failed are not in it. */
  readonly putSeconds: Histogram;
  readonly shards: readonly ShardStats[];
}
