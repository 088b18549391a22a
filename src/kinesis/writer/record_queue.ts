import { plainRecordBytes } from "../aggregate/aggregate.ts";
import type { PutRecordsResult } from "../client/kinesis_api.ts";
import type { QueueContext } from "./aggregate_queue.ts";
import { type Chained, KeyChains } from "./key_chains.ts";
import type { LaneQueue, PutLimits, PutRequest, PutResult, RefusedPart } from "./lane_queue.ts";
import type { QueuedRecord } from "../aggregate/queued_record.ts";
import { covers, type Shard } from "../stream/shard_map.ts";
import type { Ticket } from "../../base/record_writer.ts";

/** PutRecords takes at most this many, whatever the pace. */
const MAX_RECORDS_PER_REQUEST = 500;
/** What a waiting record takes beside its bytes, about. */
const OVERHEAD_BYTES = 400;

interface WaitingRecord extends QueuedRecord, Chained {
  /** As the shard's limits count them. */
  readonly putBytes: number;
  /** A shard other than the lane's that holds it, though it stands for all keys of the lane's. */
  storedIn: string | undefined;
}

/** Records between two that stand for all keys. */
interface Stretch {
  readonly keys: KeyChains<WaitingRecord>;
  /** Goes when all others are gone, and before anything later. */
  forAll: WaitingRecord | undefined;
}

const encoder = new TextEncoder();

/**
 * User records of one shard as they are, put by PutRecords. Such a request promises no order, so none
 * has two records of one partition key: the second waits until the first is stored, while others pass.
 * A record for every shard (a TRUNCATE) goes alone and none passes it: it stands for all keys.
 */
export class RecordQueue implements LaneQueue {
  readonly isAggregated = false;
  readonly #context: QueueContext;
  readonly #shard: Shard;
  /** By position; there is always one. */
  readonly #stretches: Stretch[] = [newStretch()];
  /** The present request's records. */
  #chosen: WaitingRecord[] = [];
  #results: readonly PutRecordsResult[] = [];
  #bytes = 0;
  #count = 0;

  /** `watchFirst`: as `SlowKeys.watchLane` gives it. */
  constructor(
    context: QueueContext,
    shard: Shard,
    private readonly watchFirst: (partitionKey: string | undefined) => void,
  ) {
    this.#context = context;
    this.#shard = shard;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isFull(): boolean {
    return this.#count >= MAX_RECORDS_PER_REQUEST;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(
    partitionKey: string,
    data: string | Uint8Array,
    everyShard: boolean,
    ticket: Ticket,
    position: number,
  ): void {
    const bytes = typeof data === "string" ? encoder.encode(data) : data.slice();
    const putBytes = plainRecordBytes(partitionKey, bytes);
    const record: WaitingRecord = {
      partitionKey,
      data: bytes,
      everyShard,
      ticket,
      position,
      putBytes,
      storedIn: undefined,
      next: undefined,
    };
    const last = this.#stretches.at(-1)!;
    if (everyShard) {
      last.forAll = record;
      this.#stretches.push(newStretch());
    } else {
      last.keys.add(record);
    }
    this.#add(putBytes + OVERHEAD_BYTES, 1);
  }

  /** The records that failed before come first, since they are first in line. */
  next(limits: PutLimits): PutRequest {
    const { keys, forAll } = this.#stretches[0]!;
    keys.giveBack(() => false);
    this.#chosen = [];
    const maxRecords = Math.min(limits.records, MAX_RECORDS_PER_REQUEST);
    let bytes = 0;
    while (this.#chosen.length < maxRecords) {
      const record = keys.peek();
      if (record === undefined) break;
      if (this.#chosen.length > 0 && bytes + record.putBytes > limits.bytes) break;
      keys.take();
      this.#chosen.push(record);
      bytes += record.putBytes;
    }
    if (this.#chosen.length === 0 && forAll !== undefined) {
      this.#chosen = [forAll];
      bytes = forAll.putBytes;
    }
    const records = this.#chosen.length;
    return { bytes, records, userRecords: records };
  }

  async send(signal: AbortSignal, maySend: () => boolean): Promise<void> {
    const { api, streamName } = this.#context;
    this.#results = await api.putRecords(
      streamName,
      this.#chosen.map((record) => ({
        partitionKey: record.partitionKey.toWellFormed(),
        data: record.data,
        explicitHashKey: record.everyShard ? this.#shard.startText : undefined,
      })),
      signal,
      maySend,
    );
  }

  /** PutRecords names none. */
  forgetPredecessor(): void {}

  settle(): PutResult {
    const results = this.#results;
    const records = this.#chosen;
    const stored = new Set<WaitingRecord>();
    let movedTo: string | undefined;
    results.forEach((result, i) => {
      if (this.#isStored(result, records[i]!)) stored.add(records[i]!);
      if (result.kind === "stored" && result.shardId !== this.#shard.id) movedTo = result.shardId;
    });
    this.#remove(stored);
    this.#watchFirst(records, stored);
    return { movedTo, refused: summarizeRefused(results, records) };
  }

  takeApart(storedIn: Shard | undefined): Iterable<QueuedRecord> {
    const { forAll } = this.#stretches[0]!;
    if (
      forAll?.storedIn !== undefined && forAll.storedIn === storedIn?.id &&
      covers(storedIn, this.#shard)
    ) this.#remove(new Set([forAll]));
    const rest = this.#stretches.flatMap(({ keys, forAll }) =>
      forAll === undefined ? keys.all() : [...keys.all(), forAll]
    );
    this.#stretches.splice(0, Infinity, newStretch());
    this.#chosen = [];
    for (const { putBytes, storedIn: where } of rest) {
      this.#add(-putBytes - OVERHEAD_BYTES, -1);
      if (where !== undefined) this.#context.counts.misplaced++;
    }
    return rest;
  }

  /** Whether one key holds the others back. A full request has no room for more, and says nothing. */
  #watchFirst(records: readonly WaitingRecord[], stored: ReadonlySet<WaitingRecord>): void {
    const first = records[0]!;
    const next = this.#stretches[0]!.keys.peek();
    const isBehindItself = next?.partitionKey === first.partitionKey && stored.has(first) &&
      records.length < MAX_RECORDS_PER_REQUEST;
    this.watchFirst(isBehindItself ? first.partitionKey : undefined);
  }

  /** A plain record is right in whichever shard took it; one for all keys is in the lane's only. */
  #isStored(result: PutRecordsResult, record: WaitingRecord): boolean {
    if (result.kind === "refused") return false;
    if (!record.everyShard || result.shardId === this.#shard.id) return true;
    record.storedIn = result.shardId;
    return false;
  }

  #remove(stored: ReadonlySet<WaitingRecord>): void {
    const first = this.#stretches[0]!;
    first.keys.giveBack((record) => stored.has(record));
    if (first.forAll !== undefined && stored.has(first.forAll)) this.#stretches.shift();
    this.#chosen = [];
    for (const { putBytes, ticket } of stored) {
      this.#add(-putBytes - OVERHEAD_BYTES, -1);
      ticket.acknowledge(1);
    }
  }

  #add(bytes: number, records: number): void {
    this.#bytes += bytes;
    this.#count += records;
    this.#context.pending.bytes += bytes;
    this.#context.pending.records += records;
  }
}

function newStretch(): Stretch {
  return { keys: new KeyChains(), forAll: undefined };
}

function summarizeRefused(
  results: readonly PutRecordsResult[],
  records: readonly WaitingRecord[],
): RefusedPart | undefined {
  let first: { code: string; message: string } | undefined;
  let bytes = 0, count = 0;
  results.forEach((result, i) => {
    if (result.kind !== "refused") return;
    first ??= result;
    bytes += records[i]!.putBytes;
    count++;
  });
  return first && { bytes, records: count, code: first.code, message: first.message };
}
