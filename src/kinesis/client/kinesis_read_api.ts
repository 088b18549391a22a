import type { ListedShard } from "./listed_shard.ts";

/** Where reading a shard begins. */
export type ShardPosition =
  | { readonly kind: "oldest" | "latest" }
  /** The first record that arrived at or after this time, in milliseconds since 1970. */
  | { readonly kind: "time"; readonly atMs: number }
  | { readonly kind: "after"; readonly sequenceNumber: string };

/** One Kinesis record as it was stored. */
export interface StoredRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: Uint8Array;
  /** When Kinesis took it, in milliseconds since 1970. */
  readonly arrivedAtMs: number | undefined;
}

/** What one GetRecords gives. */
export interface RecordPage {
  readonly records: readonly StoredRecord[];
  /** Undefined: the shard is closed and was read to its end. */
  readonly nextIterator: string | undefined;
  /** How far the page is behind the shard's newest record; 0: nothing more is there now. */
  readonly millisBehindLatest: number;
}

/** The calls of the Kinesis API that reading a stream needs. Errors are the SDK's. */
export interface KinesisReadApi {
  readonly region: string;
  /** A stream is its name or its ARN. */
  listShards(streamName: string, signal: AbortSignal): Promise<readonly ListedShard[]>;
  /** An iterator is good for five minutes. */
  getShardIterator(
    streamName: string,
    shardId: string,
    from: ShardPosition,
    signal: AbortSignal,
  ): Promise<string>;
  /** At most five calls a second and 2 MB a second for each shard, shared by all its readers. */
  getRecords(
    streamName: string,
    iterator: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<RecordPage>;
  close(): void;
}
