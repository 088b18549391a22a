import { BufferPool } from "../client/buffer_pool.ts";
import { Pending } from "./lane_queue.ts";

const MIB = 1024 * 1024;
/**
 * The least that a stream's limit of a record may be is 1 MiB: somewhat below it, for buffers of that
 * size. Where a stream takes larger records, one of them would be more than a second's worth of a shard.
 */
const MAX_PUT_BYTES = 1000 * 1024;
/** What a buffer must have beyond a put, so that one of a power of two is not too small. */
const BUFFER_MARGIN_BYTES = 16 * 1024;
/** Where many lanes share what may wait, each puts less at a time, but never less than this. */
const MIN_PUT_BYTES = 48 * 1024;
const DEFAULT_HIGH_WATER_BYTES = 4 * MIB;
const MAX_FREE_BUFFER_BYTES = 4 * MIB;

interface Waiter {
  readonly isOver: () => boolean;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** What may wait for Kinesis, of all streams of a run together, and who waits for room in it. */
export class WriterMemory {
  readonly pending = new Pending();
  readonly pool = new BufferPool(MAX_FREE_BUFFER_BYTES);
  #lanes = 0;
  #putBytes = MAX_PUT_BYTES;
  #waiters: Waiter[] = [];
  /** Why nothing is put any more. */
  #stopped: Error | undefined;

  /** `highWaterBytes` may wait before there is no room for another batch. */
  constructor(readonly highWaterBytes = DEFAULT_HIGH_WATER_BYTES) {}

  get hasRoom(): boolean {
    return this.pending.bytes < this.highWaterBytes;
  }

  /** What one put may have, whatever its stream takes. */
  get putBytes(): number {
    return this.#putBytes;
  }

  /**
   * Lanes came, or went where it is negative. A busy lane holds a put on its way and the next one:
   * together they keep to what may wait.
   */
  addLanes(lanes: number): void {
    this.#lanes += lanes;
    const share = Math.floor(this.highWaterBytes / (2 * Math.max(this.#lanes, 1))) -
      BUFFER_MARGIN_BYTES;
    this.#putBytes = Math.min(Math.max(share, MIN_PUT_BYTES), MAX_PUT_BYTES);
  }

  /** Resolves when it is over; rejects when nothing is put any more, or `signal` aborts. */
  wait(isOver: () => boolean, signal?: AbortSignal): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (isOver()) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        isOver,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        reject,
      };
      this.#waiters.push(waiter);
      signal?.addEventListener("abort", onAbort);
    });
  }

  /** Something was stored. */
  endWaits(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.#stopped !== undefined) waiter.reject(this.#stopped);
      else if (waiter.isOver()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  /** Nothing more is put: whoever waits, now or later, gets the reason. */
  stop(reason: Error): void {
    this.#stopped ??= reason;
    this.endWaits();
  }
}
