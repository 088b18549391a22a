import { plainRecordBytes } from "./aggregate.ts";
import type { PutRecordsResult } from "./api.ts";
import type { QueueContext } from "./aggregate_queue.ts";
import type { LaneQueue, PutLimits, PutRequest, PutResult, Refused } from "./lane_queue.ts";
import type { QueuedRecord } from "./queued_record.ts";
import { covers, type Shard } from "./shard_map.ts";
import type { Ticket } from "./writer.ts";

/** PutRecords takes at most this many, whatever the pace. */
const MAX_RECORDS_PER_REQUEST = 500;
/** How far a request looks past records whose partition key it already has. */
const MAX_LOOKED_THROUGH = 8 * MAX_RECORDS_PER_REQUEST;
/** What a waiting record takes beside its bytes, about. */
const OVERHEAD_BYTES = 400;

interface WaitingRecord extends QueuedRecord {
  /** As the shard's limits count it. */
  readonly putBytes: number;
  /** A shard other than the lane's that holds it, though it stands for all keys of the lane's. */
  storedIn: string | undefined;
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
  /** By position; what was stored is gone from it. */
  #waiting: WaitingRecord[] = [];
  #first = 0;
  /** Places in `#waiting` of the present request's records. */
  #chosen: number[] = [];
  #results: readonly PutRecordsResult[] = [];
  #bytes = 0;

  constructor(context: QueueContext, shard: Shard) {
    this.#context = context;
    this.#shard = shard;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  get isFull(): boolean {
    return this.#waiting.length - this.#first >= MAX_RECORDS_PER_REQUEST;
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
    const storedIn = undefined;
    this.#waiting.push({
      partitionKey,
      data: bytes,
      everyShard,
      ticket,
      position,
      putBytes,
      storedIn,
    });
    this.#count(putBytes + OVERHEAD_BYTES, 1);
  }

  /** The records that failed before come first, since they are first in line. */
  next(limits: PutLimits): PutRequest {
    const keys = new Set<string>();
    const end = Math.min(this.#waiting.length, this.#first + MAX_LOOKED_THROUGH);
    const maxRecords = Math.min(limits.records, MAX_RECORDS_PER_REQUEST);
    let bytes = 0;
    this.#chosen = [];
    for (let i = this.#first; i < end && this.#chosen.length < maxRecords; i++) {
      const { partitionKey, putBytes, everyShard } = this.#waiting[i]!;
      if (everyShard && i > this.#first) break;
      if (keys.has(partitionKey)) continue;
      if (this.#chosen.length > 0 && bytes + putBytes > limits.bytes) break;
      keys.add(partitionKey);
      this.#chosen.push(i);
      bytes += putBytes;
      if (everyShard) break;
    }
    const records = this.#chosen.length;
    return { bytes, records, userRecords: records };
  }

  async send(signal: AbortSignal): Promise<void> {
    const { api, streamName } = this.#context;
    const records = this.#chosen.map((place) => this.#waiting[place]!);
    this.#results = await api.putRecords(
      streamName,
      records.map((record) => ({
        partitionKey: record.partitionKey.toWellFormed(),
        data: record.data,
        explicitHashKey: record.everyShard ? this.#shard.startText : undefined,
      })),
      signal,
    );
  }

  /** PutRecords names none. */
  forgetPredecessor(): void {}

  settle(): PutResult {
    const results = this.#results;
    const records = this.#chosen.map((place) => this.#waiting[place]!);
    const stored = new Set<WaitingRecord>();
    let movedTo: string | undefined;
    results.forEach((result, i) => {
      if (this.#isStored(result, records[i]!)) stored.add(records[i]!);
      if (result.kind === "stored" && result.shardId !== this.#shard.id) movedTo = result.shardId;
    });
    this.#remove(stored);
    return { movedTo, refused: summarizeRefused(results, records) };
  }

  takeApart(storedIn: Shard | undefined): Iterable<QueuedRecord> {
    const isRightlyStored = (record: WaitingRecord) =>
      record.storedIn !== undefined && record.storedIn === storedIn?.id &&
      covers(storedIn, this.#shard);
    this.#chosen = this.#waiting.keys().drop(this.#first).toArray();
    this.#remove(new Set(this.#waiting.slice(this.#first).filter(isRightlyStored)));
    const rest = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    for (const { putBytes, storedIn: where } of rest) {
      this.#count(-putBytes - OVERHEAD_BYTES, -1);
      if (where !== undefined) this.#context.pending.misplaced++;
    }
    return rest;
  }

  /** A plain record is right in whichever shard took it; one for all keys is in the lane's only. */
  #isStored(result: PutRecordsResult, record: WaitingRecord): boolean {
    if (result.kind === "refused") return false;
    if (!record.everyShard || result.shardId === this.#shard.id) return true;
    record.storedIn = result.shardId;
    return false;
  }

  /** Acknowledges the stored among the chosen and closes the gaps, back to front. */
  #remove(stored: ReadonlySet<WaitingRecord>): void {
    let free = (this.#chosen.at(-1) ?? this.#first - 1) + 1;
    for (let i = free - 1; i >= this.#first; i--) {
      const record = this.#waiting[i]!;
      if (!stored.has(record)) this.#waiting[--free] = record;
    }
    this.#first = free;
    this.#chosen = [];
    if (this.#first > this.#waiting.length / 2) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    for (const { putBytes, ticket } of stored) {
      this.#count(-putBytes - OVERHEAD_BYTES, -1);
      ticket.acknowledge(1);
    }
  }

  #count(bytes: number, records: number): void {
    this.#bytes += bytes;
    this.#context.pending.bytes += bytes;
    this.#context.pending.records += records;
  }
}

function summarizeRefused(
  results: readonly PutRecordsResult[],
  records: readonly WaitingRecord[],
): Refused | undefined {
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
