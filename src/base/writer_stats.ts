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

/** One open shard and its lane. Counters start over when a lane is created for it. */
export interface ShardStats {
  /** As the stream is named in the options. */
  readonly stream: string;
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

/** What was put into one stream, or into all. */
export interface PutStats {
  readonly userRecords: number;
  readonly region: string;
  /** Requests sent, failed ones included. */
  readonly puts: number;
  readonly records: number;
  readonly bytes: number;
  readonly failures: Readonly<LaneStats["failures"]>;
  readonly resent: number;
  /** Times a stream was followed through a split or merge. */
  readonly reshards: number;
  /** Bytes taken and not acknowledged. */
  readonly pendingBytes: number;
  readonly shards: readonly ShardStats[];
}

/** One stream's part of {@linkcode WriterStats}. */
export interface StreamStats extends PutStats {
  /** As it is named in the options. */
  readonly stream: string;
  /** Undefined: no shard's last put failed. */
  readonly failing: Failing | undefined;
}

/** What has been put into all streams of a run, for the log and the metrics. */
export interface WriterStats extends PutStats {
  /** Undefined: no shard's last put failed. `stream` is the one that has failed for longest. */
  readonly failing: Failing & { readonly stream: string; readonly streams: number } | undefined;
  /** With so many bytes pending nothing more is read from PostgreSQL. */
  readonly highWaterBytes: number;
  readonly pendingRecords: number;
  /** From a put to its answer, in seconds; puts that failed are not in it. */
  readonly putSeconds: Histogram;
  /** In the order in which they were opened. */
  readonly streams: readonly StreamStats[];
}

/** One sum of what several streams have done. */
export function addUp(streams: readonly StreamStats[]): PutStats {
  const sum = (value: (stream: StreamStats) => number) =>
    streams.reduce((total, stream) => total + value(stream), 0);
  const failures = (reason: FailureReason) => sum((stream) => stream.failures[reason]);
  return {
    userRecords: sum((stream) => stream.userRecords),
    region: [...new Set(streams.map(({ region }) => region))].join(", "),
    puts: sum((stream) => stream.puts),
    records: sum((stream) => stream.records),
    bytes: sum((stream) => stream.bytes),
    failures: {
      throttled: failures("throttled"),
      service: failures("service"),
      network: failures("network"),
      credentials: failures("credentials"),
      refused: failures("refused"),
    },
    resent: sum((stream) => stream.resent),
    reshards: sum((stream) => stream.reshards),
    pendingBytes: sum((stream) => stream.pendingBytes),
    shards: streams.flatMap(({ shards }) => shards),
  };
}
