import type { RunError } from "../../base/errors.ts";
import { Histogram } from "../../base/histogram.ts";
import type { RecordTarget, RecordWriter } from "../../base/record_writer.ts";
import { addUp, PUT_SECONDS_BOUNDS, type WriterStats } from "../../base/writer_stats.ts";
import type { StreamOptions } from "../../options.ts";
import { sayOpened } from "../stream/open_stream.ts";
import { StreamFinder, type StreamFinderOptions } from "./stream_finder.ts";
import { StreamWriter } from "./stream_writer.ts";
import { WriterMemory } from "./writer_memory.ts";

export interface StreamSetOptions extends StreamFinderOptions {
  readonly streams: Pick<StreamOptions, "create" | "shardCount" | "aggregation" | "lingerMs">;
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
  /** By their names in the options; two of them may be the same stream. */
  readonly #opened = new Map<string, StreamWriter | Promise<StreamWriter>>();
  readonly #byArn = new Map<string, StreamWriter>();
  /** In the order in which they were opened. */
  readonly #writers: StreamWriter[] = [];
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #finder: StreamFinder;

  constructor(private readonly options: StreamSetOptions) {
    this.failure = new Promise((resolve) => this.#resolveFailure = resolve);
    this.#memory = options.memory ?? new WriterMemory();
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
    this.#finder = new StreamFinder(options, this.#signal);
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

  /** Looks for streams that will be asked for soon, if ever; what is wrong with one is told when it is. */
  lookAhead(names: readonly string[]): Promise<void> {
    return this.#finder.lookAhead(names.filter((name) => !this.#opened.has(name)));
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
    this.#finder.close();
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
      // A copy: what is shown is the difference to a later one.
      putSeconds: this.#putSeconds.since(),
      streams,
    };
  }

  async #open(name: string): Promise<StreamWriter> {
    const { streams: { aggregation, lingerMs }, clock, random, mayPut } = this.options;
    const { api, stream } = await this.#finder.find(name);
    this.#signal.throwIfAborted();
    const { arn } = stream.summary;
    const twin = arn === undefined ? undefined : this.#byArn.get(arn);
    if (twin !== undefined) return twin;
    sayOpened(stream, api.region);
    const writer = new StreamWriter({
      ...{ api, stream, aggregation, lingerMs, clock, random },
      ...mayPut === undefined ? {} : { mayPut },
      memory: this.#memory,
      putSeconds: this.#putSeconds,
      turn: () => this.#finder.turn(this.#closing.signal),
    });
    if (arn !== undefined) this.#byArn.set(arn, writer);
    this.#writers.push(writer);
    writer.failure.then(this.#resolveFailure);
    return writer;
  }
}
