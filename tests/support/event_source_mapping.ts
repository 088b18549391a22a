import { Buffer } from "node:buffer";
import type { PlainRecord } from "./read_back.ts";

/** What Lambda gives a function of a Kinesis stream. */
export interface KinesisEvent {
  readonly Records: readonly {
    readonly eventID: string;
    readonly eventSource: "aws:kinesis";
    readonly kinesis: {
      readonly kinesisSchemaVersion: "1.0";
      readonly partitionKey: string;
      readonly sequenceNumber: string;
      /** Base64. */
      readonly data: string;
      readonly approximateArrivalTimestamp: number;
    };
  }[];
  /** With a tumbling window. */
  readonly window?: { readonly start: string; readonly end: string };
  readonly state?: Readonly<Record<string, unknown>>;
  readonly shardId?: string;
  readonly isFinalInvokeForWindow?: boolean;
  readonly isWindowTerminatedEarly?: boolean;
}

export interface Answer {
  readonly batchItemFailures?: readonly { readonly itemIdentifier: string }[];
  readonly state?: unknown;
}

/** Throws where the function ends with an error. */
export type LambdaFunction = (event: KinesisEvent) => Promise<Answer>;

export interface MappingOptions {
  readonly batchSize: number;
  /** A batch that failed is halved, where no failed record is named. */
  readonly bisectOnError?: boolean;
  /** Batches of one shard at once, by the partition keys of the stored records. */
  readonly parallelizationFactor?: number;
  /** Batches in a window, whose state is handed on; undefined: no windows. */
  readonly tumblingWindow?: number;
  /** Batches that are delivered again though they succeeded, as after a poller was replaced. */
  readonly redelivers?: (batch: number) => boolean;
}

const MAX_ATTEMPTS = 1000;

interface Shard {
  readonly shardId: string;
  readonly parents: readonly string[];
  readonly stored: readonly PlainRecord[];
}

/**
 * Delivers a stream as Lambda's event source mapping does, without MaximumRetryAttempts: a shard after its
 * parents, other shards beside each other; a batch again from the record that failed, or from its first.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
 * @returns How many times the function was invoked.
 */
export async function deliver(
  shards: readonly Shard[],
  handler: LambdaFunction,
  options: MappingOptions,
): Promise<number> {
  const done = new Map<string, Promise<void>>();
  let invocations = 0;
  const read = async (shard: Shard) => {
    await Promise.all(shard.parents.map((parent) => done.get(parent)));
    const lanes = lanesOf(shard, options.parallelizationFactor ?? 1);
    const counts = await Promise.all(lanes.map((lane) => deliverLane(shard.shardId, lane)));
    for (const count of counts) invocations += count;
  };
  const deliverLane = async (shardId: string, records: readonly PlainRecord[]) => {
    const windows = new Windows(shardId, options.tumblingWindow);
    let count = 0;
    for (let at = 0, batch = 0; at < records.length; batch++) {
      const given = records.slice(at, at + options.batchSize);
      count += await deliverBatch(given, handler, windows, options.bisectOnError ?? false);
      if (options.redelivers?.(batch)) {
        count += await deliverBatch(given, handler, windows, options.bisectOnError ?? false);
      }
      at += given.length;
      await windows.end(handler, at >= records.length);
    }
    return count;
  };
  for (const shard of shards) done.set(shard.shardId, read(shard));
  await Promise.all(done.values());
  return invocations;
}

async function deliverBatch(
  records: readonly PlainRecord[],
  handler: LambdaFunction,
  windows: Windows,
  bisect: boolean,
): Promise<number> {
  // What is still to be delivered, in order.
  const waiting = [records];
  let count = 0;
  while (waiting.length > 0) {
    const batch = waiting[0]!;
    if (++count > MAX_ATTEMPTS) throw new Error(`a batch failed ${MAX_ATTEMPTS} times`);
    let answer: Answer | undefined;
    try {
      answer = await handler(windows.fill(batch));
    } catch {
      // The whole batch again.
    }
    const failed = answer?.batchItemFailures ?? [];
    if (answer !== undefined && failed.length === 0) {
      windows.keep(answer);
      waiting.shift();
      continue;
    }
    // Of several, the one with the lowest sequence number counts; one that is not in the batch is all of it.
    const places = failed.map(({ itemIdentifier }) =>
      batch.findIndex(({ sequenceNumber }) => sequenceNumber === itemIdentifier)
    );
    const first = places.length === 0 || places.includes(-1) ? 0 : Math.min(...places);
    const rest = batch.slice(first);
    const half = Math.ceil(rest.length / 2);
    waiting.splice(
      0,
      1,
      ...bisect && half < rest.length ? [rest.slice(0, half), rest.slice(half)] : [rest],
    );
  }
  return count;
}

/** The records of a shard, by what their stored partition keys hash to. */
function lanesOf({ stored }: Shard, factor: number): PlainRecord[][] {
  const lanes = Array.from({ length: factor }, (): PlainRecord[] => []);
  for (const record of stored) {
    let hash = 0;
    for (const char of record.partitionKey) hash = (hash * 31 + char.codePointAt(0)!) >>> 0;
    lanes[hash % factor]!.push(record);
  }
  return lanes;
}

/** The tumbling windows of a lane: each has a state that the function gives and is given. */
class Windows {
  #state: unknown = {};
  #batches = 0;
  #start = 0;

  constructor(private readonly shardId: string, private readonly length: number | undefined) {}

  fill(batch: readonly PlainRecord[], isFinal = false): KinesisEvent {
    const Records = batch.map(({ sequenceNumber, partitionKey, data }) => ({
      eventID: `${this.shardId}:${sequenceNumber}`,
      eventSource: "aws:kinesis" as const,
      eventVersion: "1.0",
      eventName: "aws:kinesis:record",
      awsRegion: "us-east-1",
      eventSourceARN: "arn:aws:kinesis:us-east-1:123456789012:stream/changes",
      invokeIdentityArn: "arn:aws:iam::123456789012:role/apply-changes",
      kinesis: {
        kinesisSchemaVersion: "1.0" as const,
        partitionKey,
        sequenceNumber,
        data: Buffer.from(data).toString("base64"),
        approximateArrivalTimestamp: 1_795_334_462.123,
      },
    }));
    if (this.length === undefined) return { Records };
    const time = (window: number) =>
      new Date(1_795_334_400_000 + window * 60_000).toISOString().replace(".000", "");
    return {
      Records,
      shardId: this.shardId,
      window: { start: time(this.#start), end: time(this.#start + 1) },
      state: this.#state as Record<string, unknown>,
      isFinalInvokeForWindow: isFinal,
      isWindowTerminatedEarly: false,
    };
  }

  keep({ state }: Answer): void {
    if (this.length === undefined) return;
    if (state === undefined) throw new Error("the function did not give the window's state back");
    this.#state = state;
  }

  /** After a batch: the window may be over, of which the function is told without records. */
  async end(handler: LambdaFunction, isLast: boolean): Promise<void> {
    if (this.length === undefined || ++this.#batches % this.length !== 0 && !isLast) return;
    await handler(this.fill([], true));
    this.#state = {};
    this.#start++;
  }
}
