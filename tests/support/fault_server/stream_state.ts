import { createHash } from "node:crypto";
import { invalid, notFound, ServiceError, throttled } from "./service_error.ts";
import { ShardThroughput, type ThroughputLimits } from "./shard_throughput.ts";

const MAX_HASH_KEY = (1n << 128n) - 1n;

/** One Kinesis record as it was stored. */
export interface StoredPut {
  /** Counts all records of the stream. */
  readonly arrival: number;
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly explicitHashKey: string | undefined;
  readonly data: Uint8Array;
  readonly arrivedAtMs: number;
}

export interface ShardState {
  readonly id: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly parents: readonly string[];
  readonly startingSequenceNumber: string;
  /** Set when it is closed. */
  endingSequenceNumber: string | undefined;
  readonly records: StoredPut[];
  readonly throughput: ShardThroughput | undefined;
}

export interface PutInput {
  readonly PartitionKey: string;
  readonly Data: Uint8Array;
  readonly ExplicitHashKey?: string | undefined;
  readonly SequenceNumberForOrdering?: string | undefined;
}

export interface StreamSettings {
  readonly maxRecordBytes: number;
  readonly mode: "PROVISIONED" | "ON_DEMAND";
  /** Undefined: a shard takes anything. */
  readonly throughput: ThroughputLimits | undefined;
  /** Refuses a `SequenceNumberForOrdering` of another shard than the one that is written to. */
  readonly refusesForeignOrdering: boolean;
  /** Answers without keeping anything. */
  readonly isSink: boolean;
}

/** The shards of one stream and all that was put into them, by the rules of the service. */
export class StreamState {
  readonly shards: ShardState[] = [];
  /** Called for each record as it is stored. */
  onStored: (put: StoredPut) => void = () => {};
  #sequence = 0n;
  #arrivals = 0;

  constructor(
    readonly name: string,
    readonly createdAtMs: number,
    readonly settings: StreamSettings,
    shardCount: number,
    private readonly now: () => number,
  ) {
    for (let i = 0n; i < shardCount; i++) {
      const start = (MAX_HASH_KEY + 1n) * i / BigInt(shardCount);
      const end = (MAX_HASH_KEY + 1n) * (i + 1n) / BigInt(shardCount) - 1n;
      this.#open(start, end, []);
    }
  }

  get open(): ShardState[] {
    return this.shards.filter((shard) => shard.endingSequenceNumber === undefined);
  }

  /** All records in the order of their arrival. */
  get records(): StoredPut[] {
    return this.shards.flatMap((shard) => shard.records).sort((a, b) => a.arrival - b.arrival);
  }

  put(input: PutInput): { ShardId: string; SequenceNumber: string } {
    const { PartitionKey, Data, ExplicitHashKey, SequenceNumberForOrdering: after } = input;
    this.#validate(input);
    const shard = this.#shardFor(ExplicitHashKey, PartitionKey);
    if (after !== undefined) this.#validateOrdering(after, shard);
    const bytes = Data.length + byteLength(PartitionKey);
    if (shard.throughput?.take(this.now(), bytes, 1) === false) throw throttled(shard.id);
    const put: StoredPut = {
      arrival: this.#arrivals++,
      shardId: shard.id,
      sequenceNumber: this.#nextSequenceNumber(),
      partitionKey: PartitionKey,
      explicitHashKey: ExplicitHashKey,
      data: Data,
      arrivedAtMs: this.now(),
    };
    if (!this.settings.isSink) shard.records.push(put);
    this.onStored(put);
    return { ShardId: shard.id, SequenceNumber: put.sequenceNumber };
  }

  split(id: string, newStart: bigint): void {
    const shard = this.#openShard(id);
    if (newStart <= shard.start || newStart > shard.end) {
      throw invalid(`NewStartingHashKey ${newStart} is not inside shard ${id}`);
    }
    this.#close(shard);
    this.#open(shard.start, newStart - 1n, [id]);
    this.#open(newStart, shard.end, [id]);
  }

  merge(id: string, adjacentId: string): void {
    const [low, high] = [this.#openShard(id), this.#openShard(adjacentId)]
      .sort((a, b) => (a.start < b.start ? -1 : 1)) as [ShardState, ShardState];
    if (low.end + 1n !== high.start) throw invalid(`${id} and ${adjacentId} are not adjacent`);
    this.#close(low);
    this.#close(high);
    this.#open(low.start, high.end, [low.id, high.id]);
  }

  /** As UpdateShardCount with UNIFORM_SCALING ends: other shards of equal ranges. */
  rescale(count: number): void {
    const before = this.open;
    for (const shard of before) this.#close(shard);
    for (let i = 0n; i < count; i++) {
      const start = (MAX_HASH_KEY + 1n) * i / BigInt(count);
      const end = (MAX_HASH_KEY + 1n) * (i + 1n) / BigInt(count) - 1n;
      const parents = before.filter((shard) => shard.start <= end && shard.end >= start);
      this.#open(start, end, parents.map(({ id }) => id));
    }
  }

  /** Closes nothing and forgets nothing; only for tests of pages and gaps. */
  shard(id: string): ShardState {
    const shard = this.shards.find((shard) => shard.id === id);
    if (shard === undefined) throw notFound(`Shard ${id} in stream ${this.name}`);
    return shard;
  }

  #openShard(id: string): ShardState {
    const shard = this.shard(id);
    if (shard.endingSequenceNumber !== undefined) {
      throw new ServiceError("ResourceInUseException", `Shard ${id} is closed.`);
    }
    return shard;
  }

  #shardFor(explicitHashKey: string | undefined, partitionKey: string): ShardState {
    const hashKey = hashKeyOf(explicitHashKey, partitionKey);
    return this.open.find((shard) => shard.start <= hashKey && hashKey <= shard.end)!;
  }

  #validate({ PartitionKey, Data, ExplicitHashKey }: PutInput): void {
    if (PartitionKey.length < 1 || PartitionKey.length > 256) {
      throw new ServiceError(
        "ValidationException",
        `partitionKey must have 1 to 256 characters, found ${PartitionKey.length}`,
      );
    }
    const bytes = Data.length + byteLength(PartitionKey);
    if (bytes > this.settings.maxRecordBytes) {
      throw new ServiceError(
        "ValidationException",
        `a record must have at most ${this.settings.maxRecordBytes} bytes, found ${bytes}`,
      );
    }
    if (ExplicitHashKey === undefined) return;
    if (!/^(0|[1-9]\d{0,38})$/.test(ExplicitHashKey) || BigInt(ExplicitHashKey) > MAX_HASH_KEY) {
      throw invalid(`ExplicitHashKey ${ExplicitHashKey} is not a hash key`);
    }
  }

  #validateOrdering(after: string, shard: ShardState): void {
    const isIssued = /^\d+$/.test(after) && BigInt(after) <= sequenceNumber(this.#sequence);
    const isOfShard = BigInt(after) >= BigInt(shard.startingSequenceNumber);
    if (!isIssued || (this.settings.refusesForeignOrdering && !isOfShard)) {
      throw invalid(`SequenceNumberForOrdering ${after} is invalid for shard ${shard.id}`);
    }
  }

  #nextSequenceNumber(): string {
    this.#sequence++;
    return String(sequenceNumber(this.#sequence));
  }

  #open(start: bigint, end: bigint, parents: readonly string[]): void {
    const { throughput } = this.settings;
    this.shards.push({
      id: `shardId-${String(this.shards.length).padStart(12, "0")}`,
      start,
      end,
      parents,
      startingSequenceNumber: this.#nextSequenceNumber(),
      endingSequenceNumber: undefined,
      records: [],
      throughput: throughput && new ShardThroughput(throughput, this.now()),
    });
  }

  #close(shard: ShardState): void {
    shard.endingSequenceNumber = this.#nextSequenceNumber();
  }
}

/** Fifty-six digits, as the service's own. */
function sequenceNumber(counter: bigint): bigint {
  return 49n * 10n ** 54n + counter;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Where a record belongs: its explicit hash key, else the MD5 of its partition key. */
export function hashKeyOf(explicitHashKey: string | undefined, partitionKey: string): bigint {
  return explicitHashKey === undefined
    ? BigInt(`0x${createHash("md5").update(partitionKey, "utf8").digest("hex")}`)
    : BigInt(explicitHashKey);
}
