import { NotSent } from "../../base/errors.ts";
import type { Histogram } from "../../base/histogram.ts";
import type { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import type { LaneQueue, PutAmount, PutLimits, PutRequest } from "./lane_queue.ts";
import type { Pacer } from "./pacing.ts";
import {
  type Asked,
  classify,
  type KinesisFailure,
  type KinesisRefusal,
} from "../client/kinesis_failure.ts";
import type { Shard } from "../stream/shard_map.ts";
import { LaneStats } from "../../base/writer_stats.ts";
import type { RequestTrouble } from "../client/request_trouble.ts";

/** What a lane reports to the writer. */
export interface LaneOwner {
  /** Something was stored: there may be room. */
  stored(): void;
  /** A put failed in a way that will pass. */
  failed(): void;
  /** A put was answered by another shard. The lane waits to be retired. */
  moved(lane: Lane): void;
  /** Finds out, if that is possible soon, whether lanes' shards are closed, and calls their `stop`. */
  look(signal: AbortSignal): Promise<void>;
  /** A put was refused: is it to be tried again all the same? Otherwise the run is over. */
  refused(lane: Lane, failure: KinesisRefusal, error: unknown): Promise<boolean>;
  /** The lane itself is broken. */
  broken(error: unknown): void;
}

export interface LaneContext {
  readonly owner: LaneOwner;
  readonly clock: Clock;
  readonly limits: PutLimits;
  readonly lingerMs: number;
  readonly asked: Asked;
  /** Aborts when the writer closes. */
  readonly closing: AbortSignal;
  /** Whether records may be put now; asked before each put, and once more as it is sent. */
  readonly mayPut: () => boolean;
  /** Gets how long each answered put took. */
  readonly putSeconds: Histogram;
}

/** While nothing may be put, the lane looks so often whether that is over. */
const HELD_PAUSE_MS = 100;
/**
 * Of a lane that puts more than a shard takes in the long run, which only a backlog gives it: the fewer
 * puts, the more time is left to the walsender on the same machine.
 */
const BACKLOG_LINGER_MS = 10;
/** A shard last known to be open this long ago may have been closed since. */
const BELIEVED_OPEN_MS = 10_000;

/**
 * Puts the records of one shard, one request at a time. What fails is sent again before anything later,
 * for as long as it takes; in smaller requests once the shard has shown that it takes less.
 */
export class Lane {
  /** The shard that took a put instead of this lane's. */
  movedTo: string | undefined;
  readonly stats = new LaneStats();
  /** Refusals in a row. */
  refusals = 0;
  /** Ends with the present run; `#isRunning` shows at once when that is. */
  #running = Promise.resolve();
  #isRunning = false;
  #isRetired = false;
  #isClosed = false;
  /** Since the shard was known to be open something came up that may go with its end. */
  #isInDoubt = false;
  #knownOpenAtMs: number;
  #isLingering = false;
  /** So much of what is queued, the first of it, is not to linger. */
  #hurriedBytes = 0;
  /** Ends the present pause early. */
  #wake = new AbortController();

  constructor(
    readonly shard: Shard,
    readonly queue: LaneQueue,
    private readonly context: LaneContext,
    private readonly pacer: Pacer,
    private readonly backoff: Backoff,
    readonly trouble: RequestTrouble,
  ) {
    this.#knownOpenAtMs = context.clock.now();
  }

  /** Starts to send what is queued unless that goes on already; `now`: all of it without a linger. */
  send(now = false): void {
    if (this.queue.isEmpty || this.#isStopped) return;
    if (now) this.#hurriedBytes = this.queue.bytes;
    if (!this.#isRunning) {
      this.#running = this.#run();
    } else if (this.#isLingering && (now || this.queue.isFull)) {
      this.#wake.abort();
    }
  }

  /** Stops for good and resolves when no request is under way; the queue keeps what is not stored. */
  retire(): Promise<void> {
    this.#isRetired = true;
    this.#wake.abort();
    return this.#running;
  }

  /** The shard is closed: nothing is put any more, beside a request under way. */
  stop(): void {
    this.#isClosed = true;
    this.#wake.abort();
  }

  /** The shard may have been closed with another one. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  get #isStopped(): boolean {
    return this.#isRetired || this.#isClosed || this.movedTo !== undefined;
  }

  /**
   * Whether to ask first if the shard is still open. An aggregate that a child of it takes lies across
   * the children; what is not aggregated is right wherever it goes.
   */
  get #mustLook(): boolean {
    if (!this.queue.isAggregated) return false;
    return this.#isInDoubt ||
      this.context.clock.now() - this.#knownOpenAtMs > BELIEVED_OPEN_MS;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let hasLingered = false;
    try {
      while (!this.#isStopped && !this.queue.isEmpty) {
        const lingerMs = hasLingered ? 0 : this.#lingerMs;
        if (lingerMs > 0) {
          await this.#linger(lingerMs);
          hasLingered = true;
          continue;
        }
        if (!this.context.mayPut()) {
          await this.#pause(HELD_PAUSE_MS);
          continue;
        }
        const waitMs = this.pacer.waitMs(this.context.clock.now());
        if (waitMs > 0) await this.#pause(waitMs);
        else if (this.#mustLook) await this.#look();
        else if (await this.#put(this.queue.next(this.pacer.limits(this.context.limits)))) {
          hasLingered = false;
        }
      }
    } catch (error) {
      this.#isRetired = true;
      this.context.owner.broken(error);
    } finally {
      this.#isRunning = false;
      this.#hurriedBytes = 0;
    }
  }

  async #look(): Promise<void> {
    const startedMs = this.context.clock.now();
    this.#isInDoubt = false;
    this.#wake = new AbortController();
    await this.context.owner.look(this.#wake.signal);
    this.#knownOpenAtMs = startedMs;
  }

  /** How long to wait for more before what is queued is put. */
  get #lingerMs(): number {
    if (this.#hurriedBytes > 0 || this.queue.isFull) return 0;
    const { lingerMs, clock } = this.context;
    return this.pacer.isBeyondAShard(clock.now())
      ? Math.max(lingerMs, BACKLOG_LINGER_MS)
      : lingerMs;
  }

  async #linger(ms: number): Promise<void> {
    this.#isLingering = true;
    await this.#pause(ms);
    this.#isLingering = false;
  }

  /** Gives whether all of it is stored. */
  async #put(request: PutRequest): Promise<boolean> {
    const { clock, closing, owner, mayPut } = this.context;
    const startedMs = clock.now();
    this.pacer.started(startedMs, request);
    this.stats.puts++;
    try {
      await this.queue.send(closing, mayPut);
    } catch (error) {
      if (error instanceof NotSent) {
        this.stats.puts--;
        return false;
      }
      if (!closing.aborted) await this.#onError(error, request, request);
      else this.#isRetired = true;
      return false;
    }
    const queuedBytes = this.queue.bytes;
    const result = this.queue.settle();
    this.#hurriedBytes -= Math.min(this.#hurriedBytes, queuedBytes - this.queue.bytes);
    const roundTripMs = clock.now() - startedMs;
    this.pacer.answered(roundTripMs);
    this.context.putSeconds.observe(roundTripMs / 1000);
    this.stats.bytes += request.bytes - (result.refused?.bytes ?? 0);
    this.stats.records += request.records - (result.refused?.records ?? 0);
    if (result.movedTo !== undefined) {
      this.movedTo = result.movedTo;
      owner.moved(this);
    } else {
      this.#knownOpenAtMs = startedMs;
    }
    if (result.refused !== undefined) {
      const { code, message, records } = result.refused;
      if (records < request.records) this.backoff.reset();
      owner.stored();
      const error = Object.assign(new Error(message), { name: code });
      await this.#onError(error, request, result.refused);
      return false;
    }
    this.backoff.reset();
    this.refusals = 0;
    this.trouble.over(this.#what);
    owner.stored();
    return true;
  }

  async #onError(error: unknown, request: PutRequest, refused: PutAmount): Promise<void> {
    const { clock, owner, asked } = this.context;
    const failure = classify(error, asked);
    this.#isInDoubt = true;
    if (failure.kind === "refused") {
      this.refusals++;
      this.stats.failures.refused++;
      if (await owner.refused(this, failure, error)) await this.#retry(failure);
      else this.#isRetired = true;
      return;
    }
    this.stats.failures[failure.reason]++;
    // What the service refused by name it did not store; where the whole put failed it may have.
    if (refused === request && (failure.reason === "service" || failure.reason === "network")) {
      this.stats.resent += request.userRecords;
    }
    if (failure.reason === "throttled") {
      this.pacer.throttled(clock.now(), refused, request.records);
    }
    if (failure.isLate) this.pacer.late();
    owner.failed();
    await this.#retry(failure);
  }

  async #retry(failure: KinesisFailure): Promise<void> {
    this.trouble.failed(this.#what, failure.detail);
    await this.#pause(this.backoff.nextMs());
  }

  get #what(): string {
    return `putting into ${this.shard.id} of stream ${this.context.asked.stream}`;
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isStopped) return;
    this.#wake = new AbortController();
    await this.context.clock.sleep(ms, this.#wake.signal);
  }
}
