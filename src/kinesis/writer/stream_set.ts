import type { Clock } from "../../base/clock.ts";
import type { RunError } from "../../base/errors.ts";
import { Histogram } from "../../base/histogram.ts";
import { Permits } from "../../base/permits.ts";
import type { RecordTarget, RecordWriter } from "../../base/record_writer.ts";
import { addUp, PUT_SECONDS_BOUNDS, type WriterStats } from "../../base/writer_stats.ts";
import type { StreamOptions } from "../../options.ts";
import type { KinesisApi } from "../client/kinesis_api.ts";
import { parseStreamArn } from "../client/stream_arn.ts";
import { Turns } from "../client/turns.ts";
import { openStream } from "../stream/open_stream.ts";
import { StreamWriter } from "./stream_writer.ts";
import { WriterMemory } from "./writer_memory.ts";

/**
 * Between two questions for a stream's summary: an account may ask 20 times a second for all that it runs.
 * https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html
 */
const SUMMARY_INTERVAL_MS = 80;
/** An account may have five streams in creation. */
const MAX_IN_CREATION = 4;

export interface StreamSetOptions {
  readonly streams: Pick<StreamOptions, "create" | "shardCount" | "aggregation" | "lingerMs">;
  /** Connects to a region; undefined: the one of the AWS settings. */
  readonly connect: (region: string | undefined) => Promise<KinesisApi>;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Ends the opening of streams. */
  readonly signal: AbortSignal;
  /** Whether records may be put now; what may not waits, and is taken all the same. */
  readonly mayPut?: () => boolean;
  readonly memory?: WriterMemory;
}

/**
 * The streams that a run writes to, each opened when it is first asked for and with lanes of its own.
 * What may wait for Kinesis is bounded for all of them together.
 */
export class StreamSet implements RecordWriter {
  readonly failure: Promise<RunError>;
  #resolveFailure!: (error: RunError) => void;
  readonly #memory: WriterMemory;
  readonly #putSeconds = new Histogram(PUT_SECONDS_BOUNDS);
  readonly #apis = new Map<string, Promise<KinesisApi>>();
  /** By their names in the options; two of them may be the same stream. */
  readonly #opened = new Map<string, StreamWriter | Promise<StreamWriter>>();
  readonly #byArn = new Map<string, StreamWriter>();
  /** In the order in which they were opened. */
  readonly #writers: StreamWriter[] = [];
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #turns: Turns;
  readonly #inCreation = new Permits(MAX_IN_CREATION);

  constructor(private readonly options: StreamSetOptions) {
    this.failure = new Promise((resolve) => this.#resolveFailure = resolve);
    this.#memory = options.memory ?? new WriterMemory();
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
    this.#turns = new Turns(options.clock, SUMMARY_INTERVAL_MS);
  }

  /**
   * The stream of this name or ARN; a promise where it must be opened first.
   * @throws {RunError} what is wrong with it, by the promise.
   */
  open(name: string): RecordTarget | Promise<RecordTarget> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    // Nothing that was taken waits for a stream that is being opened.
    for (const writer of this.#writers) writer.send(true);
    const opening = this.#open(name);
    this.#opened.set(name, opening);
    // Whoever waits gets the failure.
    opening.then((writer) => this.#opened.set(name, writer), () => {});
    return opening;
  }

  get pendingBytes(): number {
    return this.#memory.pending.bytes;
  }

  flush(): Promise<void> {
    const memory = this.#memory;
    // Without room no more comes that a linger could wait for.
    const now = !memory.hasRoom;
    for (const writer of this.#writers) writer.send(now);
    return memory.wait(() => memory.hasRoom);
  }

  drain(signal?: AbortSignal): Promise<void> {
    for (const writer of this.#writers) writer.send(true);
    return this.#memory.wait(() => this.#memory.pending.records === 0, signal);
  }

  close(): void {
    this.#closing.abort();
    this.#memory.stop(new Error("the Kinesis writer is closed"));
    for (const writer of this.#writers) writer.close();
    for (const api of this.#apis.values()) api.then((api) => api.close(), () => {});
  }

  stats(): WriterStats {
    const streams = this.#writers.map((writer) => writer.stats());
    const failing = streams.flatMap(({ stream, failing }) =>
      failing === undefined ? [] : [{ stream, ...failing }]
    );
    const first = failing.toSorted((a, b) => b.seconds - a.seconds)[0];
    return {
      ...addUp(streams),
      failing: first && {
        ...first,
        shards: failing.reduce((sum, { shards }) => sum + shards, 0),
        streams: failing.length,
      },
      // What lies in no lane, as in the midst of a reshard, waits too.
      pendingBytes: this.#memory.pending.bytes,
      highWaterBytes: this.#memory.highWaterBytes,
      pendingRecords: this.#memory.pending.records,
      putSeconds: this.#putSeconds,
      streams,
    };
  }

  async #open(name: string): Promise<StreamWriter> {
    const { streams, clock, random, mayPut } = this.options;
    const { aggregation, lingerMs } = streams;
    const api = await this.#connect(parseStreamArn(name)?.region);
    const stream = await this.#find(name, api);
    this.#signal.throwIfAborted();
    const { arn } = stream.summary;
    const twin = arn === undefined ? undefined : this.#byArn.get(arn);
    if (twin !== undefined) return twin;
    const writer = new StreamWriter({
      ...{ api, stream, aggregation, lingerMs, clock, random },
      ...mayPut === undefined ? {} : { mayPut },
      memory: this.#memory,
      putSeconds: this.#putSeconds,
      turn: () => this.#turns.take(this.#closing.signal),
    });
    if (arn !== undefined) this.#byArn.set(arn, writer);
    this.#writers.push(writer);
    writer.failure.then(this.#resolveFailure);
    return writer;
  }

  async #find(name: string, api: KinesisApi) {
    const { streams, clock, random } = this.options;
    // A stream is made by its name, in the account of the credentials; an ARN may be another's.
    const create = streams.create && parseStreamArn(name) === undefined;
    await this.#turns.take(this.#signal);
    if (create) await this.#inCreation.acquire();
    try {
      this.#signal.throwIfAborted();
      const options = { name, create, shardCount: streams.shardCount };
      return await openStream(api, options, clock, random, this.#signal);
    } finally {
      if (create) this.#inCreation.release();
    }
  }

  #connect(region: string | undefined): Promise<KinesisApi> {
    const key = region ?? "";
    let api = this.#apis.get(key);
    if (api === undefined) this.#apis.set(key, api = this.options.connect(region));
    return api;
  }
}
