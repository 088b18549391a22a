/** What one lane has done; counters only grow. */
export class LaneStats {
  /** Requests sent, failed ones included. */
  puts = 0;
  /** Kinesis records and their bytes that were stored. */
  records = 0;
  bytes = 0;
  /** Requests, or parts of them, that failed and were sent again, by reason. */
  readonly failures = { throttled: 0, service: 0, network: 0, credentials: 0 };
}

/** What a writer has done, for the log and the metrics. */
export interface WriterStats {
  readonly userRecords: number;
  readonly puts: number;
  readonly records: number;
  readonly bytes: number;
  readonly failures: Readonly<LaneStats["failures"]>;
  /** Times the writer followed the stream through a split or merge. */
  readonly reshards: number;
  readonly pendingBytes: number;
  readonly pendingRecords: number;
  readonly shards: readonly { readonly shardId: string; readonly pendingBytes: number }[];
}
