import {
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { Aggregate } from "../../src/kinesis/aggregate/aggregate.ts";
import { BufferPool } from "../../src/kinesis/client/buffer_pool.ts";
import { CountingTicket } from "./counting_ticket.ts";
import { hashKeyOf } from "./read_back.ts";
import { type TestKinesis, waitForActiveStream } from "./kinesalite.ts";

/** A change of the JSON format; `pair` is commit LSN and seq. */
export function change(
  id: number,
  pair: readonly [commitLsn: string, seq: number],
  more: Record<string, unknown> = {},
): UserRecord {
  const [commitLsn, seq] = pair;
  return {
    key: `public.t:${id}`,
    data: JSON.stringify({
      ...{ v: 1, op: "update", xid: 731, lsn: commitLsn, commit_lsn: commitLsn, seq },
      ...{ schema: "public", table: "t", key: { id }, after: { id } },
      ...more,
    }),
  };
}

export interface UserRecord {
  readonly key: string;
  readonly data: string | Uint8Array;
  /** Explicit hash key. */
  readonly hash?: string;
}

const pool = new BufferPool(4 * 1024 * 1024);

/** The bytes of one aggregate of at least two records. */
export function aggregateOf(records: readonly UserRecord[]): Uint8Array {
  const aggregate = new Aggregate(pool, 0);
  const ticket = new CountingTicket();
  records.forEach(({ key, data, hash }, position) =>
    aggregate.tryAdd(key, data, hash, ticket, position, 1024 * 1024)
  );
  return aggregate.seal("0").data;
}

export interface OpenShard {
  readonly id: string;
  readonly start: bigint;
  readonly end: bigint;
}

export async function openShards(kinesis: TestKinesis, stream: string): Promise<OpenShard[]> {
  const { Shards = [] } = await kinesis.client.send(new ListShardsCommand({ StreamName: stream }));
  return Shards.filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined)
    .map((shard) => ({
      id: shard.ShardId!,
      start: BigInt(shard.HashKeyRange!.StartingHashKey!),
      end: BigInt(shard.HashKeyRange!.EndingHashKey!),
    }));
}

/** Stores user records as a producer does that knows the shards: an aggregate for each shard. */
export async function putAggregated(
  kinesis: TestKinesis,
  stream: string,
  records: readonly UserRecord[],
): Promise<void> {
  for (const { start, end } of await openShards(kinesis, stream)) {
    const own = records.filter(({ key, hash }) => {
      const hashKey = hash === undefined ? hashKeyOf(key) : BigInt(hash);
      return start <= hashKey && hashKey <= end;
    });
    if (own.length === 1) await putPlain(kinesis, stream, own[0]!);
    else if (own.length > 1) await putInto(kinesis, stream, start, aggregateOf(own));
  }
}

/** Stores one Kinesis record in the shard that holds a hash key. */
export async function putInto(
  kinesis: TestKinesis,
  stream: string,
  hashKey: bigint,
  data: Uint8Array,
  partitionKey = "a",
): Promise<void> {
  await kinesis.client.send(
    new PutRecordCommand({
      StreamName: stream,
      PartitionKey: partitionKey,
      ExplicitHashKey: String(hashKey),
      Data: data,
    }),
  );
}

export async function putPlain(kinesis: TestKinesis, stream: string, record: UserRecord) {
  const { key, data } = record;
  await kinesis.client.send(
    new PutRecordCommand({
      StreamName: stream,
      PartitionKey: key,
      Data: typeof data === "string" ? new TextEncoder().encode(data) : data,
    }),
  );
}

export async function split(kinesis: TestKinesis, stream: string, shard: OpenShard) {
  await kinesis.client.send(
    new SplitShardCommand({
      StreamName: stream,
      ShardToSplit: shard.id,
      NewStartingHashKey: String((shard.start + shard.end) / 2n + 1n),
    }),
  );
  await waitForActiveStream(kinesis.client, stream);
}

export async function merge(
  kinesis: TestKinesis,
  stream: string,
  [left, right]: readonly OpenShard[],
) {
  await kinesis.client.send(
    new MergeShardsCommand({
      StreamName: stream,
      ShardToMerge: left!.id,
      AdjacentShardToMerge: right!.id,
    }),
  );
  await waitForActiveStream(kinesis.client, stream);
}
