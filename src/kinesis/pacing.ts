/** What a shard takes in a second. https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html */
const SHARD_BYTES_PER_SECOND = 1024 * 1024;
const SHARD_RECORDS_PER_SECOND = 1000;

/** The share of a known limit that is used: the rest is for clocks and latencies that waver. */
const KNOWN_LIMIT_SHARE = 0.985;
/** What a throttle leaves of the pace, and what each second without one adds, of the full limit. */
const DECREASE = 0.95;
const INCREASE_PER_SECOND = 0.004;
/** After this long without a throttle the limit must be higher than it was: it is sought faster. */
const SEARCH_AFTER_MS = 20_000;
const SEARCH_PER_SECOND = 0.05;
const SLOWEST_SHARE = 0.02;
/** One decrease for all throttles of this time: they tell the same thing. */
const DECREASE_PAUSE_MS = 1_000;
/** How late a put may be and the next one still follow at its own time. */
const MAX_CATCH_UP_MS = 30;
/** A paced put holds what flows in this time, or in the time that a put takes. */
const PUT_INTERVAL_MS = 30;

/**
 * Keeps a lane just below what its shard takes, once the shard has said that it takes no more. Before
 * that there is no pace: a shard that never throttles is never slowed down. A provisioned shard's
 * limit is known; an on-demand one is found by trying: additive increase, multiplicative decrease.
 *
 * The arithmetic is the generic cell rate algorithm's: after each put the next one is due when the
 * shard has taken it in.
 */
export class Pacer {
  /** Of the full limit; undefined while there is no pace. */
  #share: number | undefined;
  readonly #maxShare: number;
  #dueMs = 0;
  #grownAtMs = 0;
  #decreasedAtMs = -Infinity;
  #roundTripMs = 0;

  constructor(mode: "provisioned" | "on-demand") {
    this.#maxShare = mode === "provisioned" ? KNOWN_LIMIT_SHARE : Infinity;
  }

  /** Of a shard's full limit; undefined while nothing is held back. */
  get share(): number | undefined {
    return this.#share;
  }

  /** What one put may hold, within `limits`: small puts meet a limit more closely than large ones. */
  limits(limits: { readonly bytes: number; readonly records: number }) {
    if (this.#share === undefined) return limits;
    const seconds = Math.max(PUT_INTERVAL_MS, this.#roundTripMs * 1.25) / 1000;
    return {
      bytes: Math.min(limits.bytes, Math.floor(SHARD_BYTES_PER_SECOND * this.#share * seconds)),
      records: Math.min(
        limits.records,
        Math.max(1, Math.floor(SHARD_RECORDS_PER_SECOND * this.#share * seconds)),
      ),
    };
  }

  /** How long the next put has to wait. */
  waitMs(nowMs: number): number {
    return this.#share === undefined ? 0 : Math.max(0, this.#dueMs - nowMs);
  }

  /** A put of this size starts. */
  started(nowMs: number, bytes: number, records: number): void {
    if (this.#share === undefined) return;
    this.#grow(nowMs);
    this.#dueMs = Math.max(this.#dueMs, nowMs - MAX_CATCH_UP_MS) + this.#durationMs(bytes, records);
  }

  /** A put was answered after this time. */
  answered(roundTripMs: number): void {
    this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 8;
  }

  /** The shard refused this much: what it had left is used up. */
  throttled(nowMs: number, bytes: number, records: number): void {
    if (this.#share === undefined) {
      this.#share = Math.min(1, this.#maxShare);
      this.#grownAtMs = this.#decreasedAtMs = nowMs;
    } else if (nowMs - this.#decreasedAtMs >= DECREASE_PAUSE_MS) {
      this.#grow(nowMs);
      this.#share = Math.max(SLOWEST_SHARE, this.#share * DECREASE);
      this.#decreasedAtMs = nowMs;
    }
    this.#dueMs = nowMs + this.#durationMs(bytes, records);
  }

  #grow(nowMs: number): void {
    const seconds = (nowMs - this.#grownAtMs) / 1000;
    const isSearching = nowMs - this.#decreasedAtMs > SEARCH_AFTER_MS;
    const perSecond = isSearching ? SEARCH_PER_SECOND : INCREASE_PER_SECOND;
    this.#share = Math.min(this.#maxShare, this.#share! + perSecond * seconds);
    this.#grownAtMs = nowMs;
  }

  #durationMs(bytes: number, records: number): number {
    const seconds = Math.max(bytes / SHARD_BYTES_PER_SECOND, records / SHARD_RECORDS_PER_SECOND);
    return seconds * 1000 / this.#share!;
  }
}
