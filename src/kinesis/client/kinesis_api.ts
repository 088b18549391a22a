import type { ListedShard } from "./listed_shard.ts";

/** One Kinesis record to put. */
export interface RecordToPut {
  readonly partitionKey: string;
  readonly data: Uint8Array;
  readonly explicitHashKey: string | undefined;
}

export interface PutRecordRequest extends RecordToPut {
  /** A name, or an ARN. */
  readonly streamName: string;
  /** The sequence number that this record's must follow, from the same shard. */
  readonly sequenceNumberForOrdering: string | undefined;
}

/** Where a record is stored. */
export interface StoredAt {
  readonly shardId: string;
  readonly sequenceNumber: string;
}

/** What became of one record of a PutRecords request. */
export type PutRecordsResult =
  | { readonly kind: "stored"; readonly shardId: string }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** A stream from DescribeStreamSummary; what a server omits is undefined. */
export interface StreamSummary {
  readonly status: string;
  /** Milliseconds since 1970: a stream that is deleted and made again has another one. */
  readonly createdAt: number | undefined;
  readonly mode: "provisioned" | "on-demand";
  readonly openShards: number | undefined;
  /** Most bytes of a record, its partition key included. */
  readonly maxRecordBytes: number;
  /** `AUTO`: the stream spreads records without looking at partition keys. */
  readonly distribution: string | undefined;
  readonly arn?: string | undefined;
  /** The KMS key that encrypts it: an id, an ARN or an alias; undefined: none, or unknown. */
  readonly kmsKey?: string | undefined;
}

/**
 * The calls of the Kinesis API that are needed here. Errors are the SDK's: `name` and `$metadata` of
 * the service's, `code` of the network's.
 */
export interface KinesisApi {
  readonly region: string;
  /** `maySend` is asked as the request is sent; where it may not, a `NotSent` comes. */
  putRecord(
    request: PutRecordRequest,
    signal: AbortSignal,
    maySend?: () => boolean,
  ): Promise<StoredAt>;
  /** The results stand in the order of `records`. */
  putRecords(
    streamName: string,
    records: readonly RecordToPut[],
    signal: AbortSignal,
    maySend?: () => boolean,
  ): Promise<readonly PutRecordsResult[]>;
  /** All shards of the stream, closed ones included, from all pages. */
  listShards(streamName: string, signal: AbortSignal): Promise<readonly ListedShard[]>;
  describeStream(streamName: string, signal: AbortSignal): Promise<StreamSummary>;
  /** `shardCount` 0 asks for on-demand mode. Does not wait for the stream to become active. */
  createStream(streamName: string, shardCount: number, signal: AbortSignal): Promise<void>;
  /** Closes the connections. */
  close(): void;
}
