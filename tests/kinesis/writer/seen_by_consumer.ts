import { hashKeyOf, takeApart } from "../../support/read_back.ts";
import type { StoredPut, StreamState } from "../../support/fault_server/stream_state.ts";

/** One user record as it lies in the stream. */
export interface SeenRecord {
  readonly shardId: string;
  /** Names the Kinesis record that holds it. */
  readonly arrival: number;
  readonly partitionKey: string;
  readonly hashKey: bigint;
  readonly text: string;
  /** It was put with, or carries, an explicit hash key. */
  readonly isExplicit: boolean;
  /** A consumer built on the KCL sees it, too. */
  readonly isSeenByKcl: boolean;
}

/** Takes a Kinesis record apart with AWS's deaggregator and applies the KCL's rule to it. */
export function seenRecords(put: StoredPut, stream: StreamState): SeenRecord[] {
  const { start, end } = stream.shard(put.shardId);
  const users = takeApart(put);
  const isDropped = users.some(({ subSequence, hashKey }) =>
    subSequence !== undefined && (hashKey < start || hashKey > end)
  );
  return users.map((user) => ({
    shardId: put.shardId,
    arrival: put.arrival,
    partitionKey: user.partitionKey,
    hashKey: user.hashKey,
    text: user.text,
    isExplicit: user.explicitHashKey !== undefined ||
      (user.subSequence === undefined && put.explicitHashKey !== undefined),
    isSeenByKcl: !isDropped,
  }));
}

/** True when keys of this partition key were at home in the shard. */
export function isHome(stream: StreamState, shardId: string, partitionKey: string): boolean {
  const { start, end } = stream.shard(shardId);
  const hashKey = hashKeyOf(partitionKey);
  return start <= hashKey && hashKey <= end;
}
