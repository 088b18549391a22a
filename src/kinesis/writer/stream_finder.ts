import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { Permits } from "../../base/permits.ts";
import { someOf } from "../../base/quantity.ts";
import type { StreamOptions } from "../../options.ts";
import type { KinesisApi } from "../client/kinesis_api.ts";
import { parseStreamArn } from "../client/stream_arn.ts";
import { Turns } from "../client/turns.ts";
import { isMissing, type OpenStream, openStream } from "../stream/open_stream.ts";

/**
 * Between two questions for a stream's summary: an account may ask 20 times a second for all that it runs.
 * https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html
 */
const SUMMARY_INTERVAL_MS = 80;
/** An account may have five streams in creation. */
const MAX_IN_CREATION = 4;
/** Of those that are looked for ahead, as many at a time as have a turn while one is answered. */
const AHEAD_AT_A_TIME = 4;
/** What was found this long ago may be another stream by now, or have other shards. */
const AHEAD_IS_VALID_MS = 60_000;
/** More would no longer be valid when the last of them is found. */
const MAX_AHEAD = AHEAD_IS_VALID_MS / SUMMARY_INTERVAL_MS / 1.5;

const log = getLogger(["pg2kinesis", "kinesis"]);

export interface StreamFinderOptions {
  readonly streams: Pick<StreamOptions, "create" | "shardCount">;
  /** Connects to a region; undefined: the one of the AWS settings. */
  readonly connect: (region: string | undefined) => Promise<KinesisApi>;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** A stream as it was found, with the API of its region. */
export interface FoundStream {
  readonly api: KinesisApi;
  readonly stream: OpenStream;
}

interface Ahead {
  readonly atMs: number;
  /** Undefined: not found. */
  readonly found: FoundStream | undefined;
}

/** Finds streams by their names or ARNs, no faster than an account may ask. */
export class StreamFinder {
  readonly #apis = new Map<string, Promise<KinesisApi>>();
  readonly #turns: Turns;
  readonly #inCreation = new Permits(MAX_IN_CREATION);
  readonly #ahead = new Map<string, Promise<Ahead>>();

  constructor(private readonly options: StreamFinderOptions, private readonly signal: AbortSignal) {
    this.#turns = new Turns(options.clock, SUMMARY_INTERVAL_MS);
  }

  /** Waits for a turn to ask for a summary. */
  turn(signal: AbortSignal): Promise<void> {
    return this.#turns.take(signal);
  }

  /**
   * Creates it where that was asked for.
   * @throws {RunError} what is wrong with it.
   */
  async find(name: string): Promise<FoundStream> {
    const ahead = await this.#ahead.get(name);
    this.#ahead.delete(name);
    const isValid = ahead !== undefined &&
      this.options.clock.now() - ahead.atMs < AHEAD_IS_VALID_MS;
    if (isValid && ahead.found !== undefined) return ahead.found;
    // A stream is made by its name, in the account of the credentials; an ARN may be another's.
    const create = this.options.streams.create && parseStreamArn(name) === undefined;
    return await this.#find(name, create);
  }

  /**
   * Looks for streams that will be asked for soon, if ever; creates none. Of those that do not exist there is
   * one line, as a run ends when it needs one.
   */
  async lookAhead(names: readonly string[]): Promise<void> {
    const permits = new Permits(AHEAD_AT_A_TIME);
    const missing: string[] = [];
    await Promise.all(
      names.slice(0, MAX_AHEAD).map(async (name) => {
        await permits.acquire();
        try {
          if (this.signal.aborted || this.#ahead.has(name)) return;
          const looking = this.#lookFor(name, () => missing.push(name));
          this.#ahead.set(name, looking);
          await looking;
        } finally {
          permits.release();
        }
      }),
    );
    if (missing.length === 0 || this.options.streams.create || this.signal.aborted) return;
    log.warn(
      "streams of today's tables that do not exist: {streams}; the run ends at the first change that goes " +
        "to one of them. Create them, or use --create-stream",
      { streams: someOf(missing.toSorted()) },
    );
  }

  close(): void {
    for (const api of this.#apis.values()) api.then((api) => api.close(), () => {});
  }

  async #lookFor(name: string, missing: () => void): Promise<Ahead> {
    let found: FoundStream | undefined;
    try {
      found = await this.#find(name, false);
    } catch (error) {
      // Whoever needs it is told.
      log.debug("cannot look for stream {name} ahead: {error}", { name, error });
      if (isMissing(error)) missing();
    }
    return { atMs: this.options.clock.now(), found };
  }

  async #find(name: string, create: boolean): Promise<FoundStream> {
    const { streams, clock, random } = this.options;
    const api = await this.#connect(parseStreamArn(name)?.region);
    await this.#turns.take(this.signal);
    if (create) await this.#inCreation.acquire();
    try {
      this.signal.throwIfAborted();
      const options = { name, create, shardCount: streams.shardCount };
      return { api, stream: await openStream(api, options, clock, random, this.signal) };
    } finally {
      if (create) this.#inCreation.release();
    }
  }

  #connect(region: string | undefined): Promise<KinesisApi> {
    const key = region ?? "";
    const known = this.#apis.get(key);
    if (known !== undefined) return known;
    const api = this.options.connect(region);
    this.#apis.set(key, api);
    // Who looks ahead ignores a failure, which must not be the answer for whoever needs a stream later.
    api.catch(() => this.#apis.delete(key));
    return api;
  }
}
