import { createHash } from "node:crypto";
import { deaggregate } from "../kinesis/aggregate/deaggregate.ts";
import { type HashKey, hashPartitionKey, parseHashKey } from "../kinesis/stream/hash_key.ts";
import type { StoredRecord } from "../kinesis/client/kinesis_read_api.ts";
import { holds, type Shard } from "../kinesis/stream/shard_map.ts";
import type { TailedShard } from "./streams_reader.ts";

/** One user record as it lies in the stream. */
export interface TailedRecord {
  /** Where several streams are read. */
  readonly stream?: string | undefined;
  readonly shardId: string;
  /** Of the Kinesis record that holds it. */
  readonly sequenceNumber: string;
  /** Its place in its aggregate; undefined for a plain record. */
  readonly subSequence: number | undefined;
  readonly partitionKey: string;
  /** Kinesis does not return it for a plain record. */
  readonly explicitHashKey: string | undefined;
  readonly arrivedAtMs: number | undefined;
  readonly data: Uint8Array;
}

/** The user records of one Kinesis record, in order. */
export function takeApart(
  { stream, name: shardId }: Pick<TailedShard, "stream" | "name">,
  record: StoredRecord,
): readonly TailedRecord[] {
  const { sequenceNumber, arrivedAtMs } = record;
  const parts = deaggregate(record.data);
  if (parts === undefined) {
    const { partitionKey, data } = record;
    return [{
      ...{ stream, shardId, sequenceNumber, arrivedAtMs, partitionKey, data },
      subSequence: undefined,
      explicitHashKey: undefined,
    }];
  }
  return parts.map(({ partitionKey, explicitHashKey, data }, subSequence) => ({
    ...{
      stream,
      shardId,
      sequenceNumber,
      subSequence,
      arrivedAtMs,
      partitionKey,
      explicitHashKey,
      data,
    },
  }));
}

/** Whether the hash key of the record, its explicit one or its partition key's, lies in the shard. */
export function liesIn(
  shard: Shard,
  { partitionKey, explicitHashKey }: Pick<TailedRecord, "partitionKey" | "explicitHashKey">,
): boolean {
  if (explicitHashKey !== undefined) return holds(shard, parseHashKey(explicitHashKey));
  return holds(
    shard,
    partitionKey.length <= MAX_FAST_UNITS ? hashPartitionKey(partitionKey) : md5(partitionKey),
  );
}

/** Those of this program are never longer, but others write to streams too. */
const MAX_FAST_UNITS = 256;

function md5(text: string): HashKey {
  const digest = createHash("md5").update(text).digest();
  return Uint32Array.from([0, 4, 8, 12], (offset) => digest.readUInt32BE(offset));
}
