import { Aggregate, type PutBody } from "../aggregate/aggregate.ts";
import type { KinesisApi, StoredAt } from "../client/kinesis_api.ts";
import type { BufferPool } from "../client/buffer_pool.ts";
import { hashPartitionKey } from "../stream/hash_key.ts";
import { KeyTable } from "../aggregate/key_table.ts";
import type { LaneQueue, Pending, PutLimits, PutRequest, PutResult } from "./lane_queue.ts";
import type { QueuedRecord } from "../aggregate/queued_record.ts";
import { RecordRuns } from "../aggregate/record_runs.ts";
import { covers, holds, type Shard } from "../stream/shard_map.ts";
import type { Ticket } from "../../base/record_writer.ts";

/** An aggregate of so many times what a put may have now is put in pieces. */
const CUT_ABOVE = 2;

/** What all queues of a stream's writer share. */
export interface QueueContext {
  readonly api: KinesisApi;
  readonly streamName: string;
  readonly pool: BufferPool;
  readonly pending: Pending;
  readonly counts: StreamCounts;
}

/** Of one stream. */
export interface StreamCounts {
  /** User records that were stored in a shard where they may not lie, and are stored again. */
  misplaced: number;
}

/** User records of one shard as aggregates, each put by one PutRecord that names its predecessor. */
export class AggregateQueue implements LaneQueue {
  readonly #context: QueueContext;
  readonly #shard: Shard;
  /** In order; records are added to the last one. Never long: pending bytes are bounded. */
  #aggregates: Aggregate[] = [];
  /** The first of `#aggregates` once it was asked for: it stays as it is until it is stored. */
  #current: PutBody | undefined;
  #answer: StoredAt | undefined;
  #lastSequenceNumber: string | undefined;
  #bytes = 0;
  #maxBytes: number;
  /** Of the last aggregate, the only one that takes records. */
  readonly #partitionKeys = new KeyTable();
  /** Those of the last aggregate that was stored, empty, for the next one. */
  #spareRuns: RecordRuns | undefined;

  constructor(context: QueueContext, shard: Shard, limits: PutLimits) {
    this.#context = context;
    this.#shard = shard;
    this.#maxBytes = limits.bytes;
  }

  get isEmpty(): boolean {
    return this.#aggregates.length === 0;
  }

  get isFull(): boolean {
    return this.#aggregates.length > 1;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isAggregated(): boolean {
    return (this.#aggregates[0]?.count ?? 0) > 1;
  }

  add(
    partitionKey: string,
    data: string | Uint8Array,
    everyShard: boolean,
    ticket: Ticket,
    position: number,
  ): void {
    const hashKey = everyShard ? this.#shard.startText : undefined;
    let open = this.#open();
    let before = open.length;
    if (!open.tryAdd(partitionKey, data, hashKey, ticket, position, this.#maxBytes)) {
      open = this.#begin(open.length);
      before = 0;
      open.tryAdd(partitionKey, data, hashKey, ticket, position, this.#maxBytes);
    }
    this.#count(open.length - before, 1);
  }

  next(limits: PutLimits): PutRequest {
    this.#maxBytes = limits.bytes;
    this.#cutFirst(limits.bytes);
    this.#current ??= this.#aggregates[0]!.seal(this.#shard.startText);
    const { putBytes, count } = this.#aggregates[0]!;
    return { bytes: putBytes, records: 1, userRecords: count };
  }

  async send(signal: AbortSignal, maySend: () => boolean): Promise<void> {
    const { api, streamName } = this.#context;
    const sequenceNumberForOrdering = this.#lastSequenceNumber;
    this.#answer = await api.putRecord(
      { streamName, sequenceNumberForOrdering, ...this.#current! },
      signal,
      maySend,
    );
  }

  forgetPredecessor(): void {
    this.#lastSequenceNumber = undefined;
  }

  settle(): PutResult {
    const { shardId, sequenceNumber } = this.#answer!;
    if (shardId !== this.#shard.id) return { movedTo: shardId, refused: undefined };
    this.#lastSequenceNumber = sequenceNumber;
    this.#acknowledgeFirst();
    return { movedTo: undefined, refused: undefined };
  }

  takeApart(storedIn: Shard | undefined): Iterable<QueuedRecord> {
    if (storedIn !== undefined) {
      const first = this.#aggregates[0]!;
      if (this.#isRightIn(storedIn, first)) this.#acknowledgeFirst();
      else this.#context.counts.misplaced += first.count;
    }
    const aggregates = this.#aggregates;
    this.#aggregates = [];
    this.#current = undefined;
    for (const aggregate of aggregates) this.#count(-aggregate.length, -aggregate.count);
    // Their buffers are left to the garbage collector: the records still point into them.
    return recordsOf(aggregates);
  }

  /** Whether a shard may hold an aggregate: the rule by which the KCL drops it otherwise. */
  #isRightIn(shard: Shard, aggregate: Aggregate): boolean {
    // It covers the whole of this lane's shard, as after a merge.
    if (covers(shard, this.#shard)) return true;
    for (const { everyShard, partitionKey } of aggregate.records()) {
      if (everyShard || !holds(shard, hashPartitionKey(partitionKey))) return false;
    }
    return true;
  }

  /**
   * What was filled while nothing paced the lane would come again and again upon a shard that takes less.
   * Its records keep their order; if it was stored after all, with no answer, the pieces are duplicates
   * as the whole would be.
   */
  #cutFirst(bytes: number): void {
    const first = this.#aggregates[0]!;
    if (first.count === 1 || first.putBytes <= bytes * CUT_ABOVE) return;
    const { pool } = this.#context;
    const keys = new KeyTable();
    const pieces: Aggregate[] = [];
    for (const { partitionKey, data, everyShard, ticket, position } of first.records()) {
      const hashKey = everyShard ? this.#shard.startText : undefined;
      if (pieces.at(-1)?.tryAdd(partitionKey, data, hashKey, ticket, position, bytes)) continue;
      const piece = new Aggregate(pool, bytes, keys);
      piece.tryAdd(partitionKey, data, hashKey, ticket, position, bytes);
      pieces.push(piece);
    }
    // Each piece has the partition keys of its own records.
    this.#count(pieces.reduce((sum, { length }) => sum + length, -first.length), 0);
    first.release();
    this.#aggregates.splice(0, 1, ...pieces);
    this.#current = undefined;
  }

  #acknowledgeFirst(): void {
    const aggregate = this.#aggregates.shift()!;
    this.#current = undefined;
    this.#count(-aggregate.length, -aggregate.count);
    aggregate.release();
    aggregate.runs.acknowledge();
    aggregate.runs.clear();
    this.#spareRuns = aggregate.runs;
  }

  /** The aggregate that takes records: the last one, unless it is on its way. */
  #open(): Aggregate {
    const last = this.#aggregates.at(-1);
    if (last === undefined) return this.#begin(0);
    const isOnItsWay = this.#aggregates.length === 1 && this.#current !== undefined;
    return isOnItsWay ? this.#begin(last.length) : last;
  }

  #begin(sizeHint: number): Aggregate {
    const runs = this.#spareRuns ?? new RecordRuns();
    this.#spareRuns = undefined;
    const aggregate = new Aggregate(this.#context.pool, sizeHint, this.#partitionKeys, runs);
    this.#aggregates.push(aggregate);
    return aggregate;
  }

  #count(bytes: number, records: number): void {
    this.#bytes += bytes;
    this.#context.pending.bytes += bytes;
    this.#context.pending.records += records;
  }
}

function* recordsOf(aggregates: readonly Aggregate[]): Generator<QueuedRecord> {
  for (const aggregate of aggregates) yield* aggregate.records();
}
