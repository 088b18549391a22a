import type {
  KinesisReadApi,
  ShardPosition,
  StoredRecord,
} from "../../src/kinesis/client/kinesis_read_api.ts";
import type { ListedShard } from "../../src/kinesis/client/listed_shard.ts";
import type { VirtualClock } from "../support/virtual_clock.ts";

const ITERATOR_LIFE_MS = 300_000;
const MIN_CALL_GAP_MS = 200;

interface SimulatedShard {
  readonly listed: ListedShard & { readonly ShardId: string };
  readonly records: StoredRecord[];
  isClosed: boolean;
  /** When GetRecords was called, in the clock's time. */
  readonly calls: number[];
}

/** A stream that is read by the service's rules, in a virtual clock's time. */
export class SimulatedStream implements KinesisReadApi {
  readonly region = "us-east-1";
  readonly shards = new Map<string, SimulatedShard>();
  /** Thrown by the next calls, one each. */
  readonly errors: Error[] = [];
  /** Calls that came too fast, and were throttled. */
  throttled = 0;
  pageRecords = 10_000;
  /** Shards that the listing does not tell yet. */
  readonly hidden = new Set<string>();
  #sequence = 0;

  constructor(private readonly clock: VirtualClock, private readonly epochMs = 1_790_000_000_000) {}

  now = () => this.epochMs + this.clock.now();

  addShard(id: string, start: string, end: string, ...parents: string[]): void {
    const [ParentShardId, AdjacentParentShardId] = parents;
    for (const parent of parents) this.shards.get(parent)!.isClosed = true;
    const HashKeyRange = { StartingHashKey: start, EndingHashKey: end };
    this.shards.set(id, {
      listed: { ShardId: id, HashKeyRange, ParentShardId, AdjacentParentShardId },
      records: [],
      isClosed: false,
      calls: [],
    });
  }

  put(shardId: string, text: string): void {
    this.shards.get(shardId)!.records.push({
      sequenceNumber: String(++this.#sequence).padStart(20, "0"),
      partitionKey: "k",
      data: new TextEncoder().encode(text),
      arrivedAtMs: this.now(),
    });
  }

  async listShards(): Promise<ListedShard[]> {
    await this.#answer();
    return [...this.shards.values()].filter(({ listed }) => !this.hidden.has(listed.ShardId))
      .map(({ listed, isClosed }) => ({
        ...listed,
        SequenceNumberRange: isClosed ? { EndingSequenceNumber: "9" } : {},
      }));
  }

  async getShardIterator(_: string, shardId: string, from: ShardPosition): Promise<string> {
    await this.#answer();
    const { records } = this.shards.get(shardId)!;
    const first = records.findIndex(({ sequenceNumber, arrivedAtMs }) =>
      from.kind === "after"
        ? sequenceNumber > from.sequenceNumber
        : from.kind === "time"
        ? arrivedAtMs! >= from.atMs
        : from.kind === "oldest"
    );
    return this.#iterator(shardId, first < 0 ? records.length : first);
  }

  async getRecords(_streamName: string, iterator: string, limit: number) {
    const [shardId, from, madeAt] = iterator.split("/") as [string, string, string];
    const shard = this.shards.get(shardId)!;
    const now = this.clock.now();
    const last = shard.calls.at(-1);
    shard.calls.push(now);
    await this.#answer();
    if (last !== undefined && now - last < MIN_CALL_GAP_MS) {
      this.throttled++;
      throw serviceError("ProvisionedThroughputExceededException");
    }
    if (now - Number(madeAt) > ITERATOR_LIFE_MS) throw serviceError("ExpiredIteratorException");
    const start = Number(from);
    const records = shard.records.slice(start, start + Math.min(limit, this.pageRecords));
    const next = start + records.length;
    const isAtEnd = next === shard.records.length;
    return {
      records,
      nextIterator: isAtEnd && shard.isClosed ? undefined : this.#iterator(shardId, next),
      millisBehindLatest: isAtEnd ? 0 : 1000,
    };
  }

  close(): void {}

  #iterator(shardId: string, index: number): string {
    return `${shardId}/${index}/${this.clock.now()}`;
  }

  /** The network takes a moment. */
  async #answer(): Promise<void> {
    await this.clock.sleep(5);
    const error = this.errors.shift();
    if (error !== undefined) throw error;
  }
}

export function serviceError(name: string, message = "simulated"): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: 400 } });
}
