import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from "@aws-sdk/client-kinesis";
import agg from "aws-kinesis-agg";
import common from "aws-kinesis-agg/lib/common.js";
import { holdToSchema } from "./valid_json.ts";

/** One user record as a consumer sees it. */
export interface StoredRecord {
  readonly shardId: string;
  /** Of the Kinesis record that holds it. */
  readonly sequenceNumber: string;
  /** Place in its aggregate; undefined for a record that was stored plain. */
  readonly subSequence: number | undefined;
  readonly partitionKey: string;
  readonly explicitHashKey: string | undefined;
  /**
   * Where it belongs: its explicit hash key, else the MD5 of its partition key. Kinesis does not
   * tell the explicit hash key that a plain record was put with.
   */
  readonly hashKey: bigint;
  readonly data: Uint8Array;
  /** The data as UTF-8, invalid bytes replaced. */
  readonly text: string;
  /** Place in {@linkcode StoredStream.records}. */
  readonly arrival: number;
}

export interface StoredShard {
  readonly shardId: string;
  readonly parents: readonly string[];
  /** Both ends belong to it. */
  readonly range: { readonly start: bigint; readonly end: bigint };
}

export interface StoredStream {
  /** Parents before children, else by name. */
  readonly shards: readonly StoredShard[];
  /** Shard after shard as in `shards`, each in the order of its sequence numbers. */
  readonly records: readonly StoredRecord[];
  /** Kinesis records that hold the user records. */
  readonly kinesisRecords: number;
}

/**
 * Reads a whole stream. Aggregates are taken apart by AWS's own deaggregator, with their checksum
 * verified; what it refuses is an error here.
 */
export async function readBack(client: KinesisClient, streamName: string): Promise<StoredStream> {
  const shards = parentsFirst(await listShards(client, streamName)).map(toStoredShard);
  const records: StoredRecord[] = [];
  let kinesisRecords = 0;
  for (const { shardId } of shards) {
    for await (const record of readShard(client, streamName, shardId)) {
      kinesisRecords++;
      for (const user of takeApart(record)) {
        records.push({ ...user, shardId, arrival: records.length });
      }
    }
  }
  return { shards, records, kinesisRecords };
}

/**
 * The records that a consumer built on the Kinesis Client Library never sees: it drops a whole
 * aggregate as soon as one of its user records hashes outside of the shard that holds it.
 */
export function droppedByKcl(stream: StoredStream): StoredRecord[] {
  const misplaced = new Set<string>();
  const place = (record: StoredRecord) => `${record.shardId} ${record.sequenceNumber}`;
  for (const record of stream.records) {
    if (record.subSequence === undefined) continue;
    const { range } = stream.shards.find(({ shardId }) => shardId === record.shardId)!;
    if (record.hashKey < range.start || record.hashKey > range.end) misplaced.add(place(record));
  }
  return stream.records.filter((record) =>
    record.subSequence !== undefined && misplaced.has(place(record))
  );
}

/** The MD5 of a partition key as the unsigned 128-bit number that Kinesis routes by. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash("md5").update(partitionKey, "utf8").digest("hex")}`);
}

/** A Kinesis record. */
export interface PlainRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** Gives the user records of one Kinesis record. Those of the format JSON have to be by its schema. */
export function takeApart(
  { sequenceNumber, partitionKey, data }: PlainRecord,
): Omit<StoredRecord, "shardId" | "arrival">[] {
  const base64 = Buffer.from(data).toString("base64");
  let users: OracleRecord[] = [];
  agg.deaggregateSync({ sequenceNumber, partitionKey, data: base64 }, true, (error, records) => {
    if (error) throw new Error(`AWS's deaggregator refused ${sequenceNumber}`, { cause: error });
    users = records ?? [];
  });
  const explicit = explicitHashKeyFlags(data);
  return users.map((user) => {
    const bytes = new Uint8Array(Buffer.from(user.data, "base64"));
    const text = new TextDecoder().decode(bytes);
    holdToSchema(text);
    const explicitHashKey = user.subSequenceNumber !== undefined &&
        explicit[user.subSequenceNumber]
      ? user.explicitPartitionKey
      : undefined;
    return {
      sequenceNumber,
      subSequence: user.subSequenceNumber,
      partitionKey: user.partitionKey,
      explicitHashKey,
      hashKey: explicitHashKey === undefined
        ? hashKeyOf(user.partitionKey)
        : BigInt(explicitHashKey),
      data: bytes,
      text,
    };
  });
}

/**
 * Which user records of an aggregate have an explicit hash key. The deaggregator gives those that
 * have none the first one of the table, since protobuf reads a missing index as 0; so this asks its
 * own protobuf model which indexes are there.
 */
function explicitHashKeyFlags(data: Uint8Array): boolean[] {
  const bytes = Buffer.from(data);
  if (!bytes.subarray(0, 4).equals(common.magic)) return [];
  const aggregate = common.AggregatedRecord.decode(bytes.subarray(4, bytes.length - 16));
  return aggregate.records.map((record: object) =>
    Object.hasOwn(record, "explicit_hash_key_index")
  );
}

/** The Kinesis records of a stream, as they are stored: parents before children. */
export async function readRaw(
  client: KinesisClient,
  streamName: string,
): Promise<(StoredShard & { readonly stored: readonly PlainRecord[] })[]> {
  const shards = parentsFirst(await listShards(client, streamName)).map(toStoredShard);
  return await Promise.all(shards.map(async (shard) => ({
    ...shard,
    stored: await Array.fromAsync(readShard(client, streamName, shard.shardId)),
  })));
}

async function* readShard(
  client: KinesisClient,
  streamName: string,
  shardId: string,
): AsyncGenerator<PlainRecord> {
  let { ShardIterator: iterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: streamName,
      ShardId: shardId,
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  while (iterator !== undefined) {
    const answer = await client.send(new GetRecordsCommand({ ShardIterator: iterator }));
    for (const { SequenceNumber, PartitionKey, Data } of answer.Records ?? []) {
      yield { sequenceNumber: SequenceNumber!, partitionKey: PartitionKey!, data: Data! };
    }
    if (answer.Records?.length === 0 && answer.MillisBehindLatest === 0) return;
    iterator = answer.NextShardIterator;
  }
}

async function listShards(client: KinesisClient, streamName: string): Promise<Shard[]> {
  const shards: Shard[] = [];
  let next: string | undefined;
  do {
    const answer = await client.send(
      new ListShardsCommand(next === undefined ? { StreamName: streamName } : { NextToken: next }),
    );
    shards.push(...answer.Shards ?? []);
    next = answer.NextToken;
  } while (next !== undefined);
  return shards;
}

function parentsFirst(shards: Shard[]): Shard[] {
  const waiting = new Map(shards.map((shard) => [shard.ShardId!, shard]));
  const ordered: Shard[] = [];
  const visit = (id: string | undefined) => {
    const shard = id === undefined ? undefined : waiting.get(id);
    if (shard === undefined) return;
    waiting.delete(id!);
    visit(shard.ParentShardId);
    visit(shard.AdjacentParentShardId);
    ordered.push(shard);
  };
  for (const id of [...waiting.keys()].sort()) visit(id);
  return ordered;
}

function toStoredShard(shard: Shard): StoredShard {
  return {
    shardId: shard.ShardId!,
    parents: [shard.ParentShardId, shard.AdjacentParentShardId]
      .filter((parent) => parent !== undefined),
    range: {
      start: BigInt(shard.HashKeyRange!.StartingHashKey!),
      end: BigInt(shard.HashKeyRange!.EndingHashKey!),
    },
  };
}

/** What deaggregateSync gives; its own declarations need the SDK of AWS that came before. */
interface OracleRecord {
  readonly partitionKey: string;
  readonly explicitPartitionKey?: string;
  readonly subSequenceNumber?: number;
  /** Base64. */
  readonly data: string;
}
