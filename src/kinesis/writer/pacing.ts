/** What a shard takes in a second. https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html */
const SHARD_BYTES_PER_SECOND = 1024 * 1024;
const SHARD_RECORDS_PER_SECOND = 1000;

/** The share of a known limit that is used: the rest is for clocks and latencies that waver. */
const KNOWN_LIMIT_SHARE = 0.985;
/** Throttles that no pace avoids, as a key's that encrypts the stream, must not stop the lane. */
const SLOWEST_SHARE = 0.25;
/** A throttle is the limit's doing when a lane asked for this much of it, or this many of its last 32 puts. */
const NEAR_LIMIT_SHARE = 0.8;
const OFTEN_PUTS = 3;
/** At a pace, one throttle alone may be a stray one: a pace above the limit meets more of them. */
const TELLING_PUTS = 2;
/** What has taken more in a second than any shard does, saved up or not, throttles for another reason. */
const BEYOND_ANY_SHARD = 3;
/**
 * Where the slowest pace helps nothing either, throttles are not caused by the pace: then there is none,
 * and each time after twice as long.
 */
const FIRST_STRAY_MS = 30_000;
const LAST_STRAY_MS = 600_000;
/** What a throttle leaves of the pace: less when the ones before it were not enough. */
const DECREASES = [0.95, 0.95, 0.85, 0.7] as const;
const SAME_TROUBLE_MS = 4_000;
/** Throttles within this time count as one: the pace is decreased once. */
const DECREASE_PAUSE_MS = 1_000;
/** After a throttle the shard gets this much rest beside: it begins again with something left. */
const REST_MS = 150;
/** What each second without a throttle adds, of the full limit; and past where the last one was. */
const INCREASE_PER_SECOND = 0.004;
const SEARCH_PER_SECOND = 0.05;
const SEARCH_ABOVE = 1.02;
/** After this long without a throttle the pace is lifted; each time in vain, after twice as long. */
const FIRST_LIFT_MS = 10_000;
const LAST_LIFT_MS = 600_000;
/** A paced put holds what flows in this time, or in twice the time that a put takes. */
const PUT_INTERVAL_MS = 30;
const ROUND_TRIPS_PER_INTERVAL = 2;
/**
 * After a put that got no answer in time the next ones have this share of it, but never less than the
 * least, and twice as much after each one that was answered promptly.
 */
const LATE_SHARE = 0.25;
const LEAST_LATE_BYTES = 16 * 1024;
const PROMPT_MS = 5_000;

interface Amount {
  readonly bytes: number;
  readonly records: number;
}

/**
 * Keeps a lane just below what its shard takes, once the shard has said that it takes no more. Before
 * that there is no pace: a shard that never throttles is never slowed down. A provisioned shard's
 * limit is known; an on-demand one's, and what other writers leave of it, is found by trying: additive
 * increase, multiplicative decrease. Times are milliseconds of any clock that only grows.
 *
 * After each put the next one is due when the shard has taken that one in: the generic cell rate
 * algorithm, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 */
export class Pacer {
  /** Of a shard's full limit; undefined while there is no pace. */
  #share: number | undefined;
  readonly #maxShare: number;
  /** Where the last throttle was met. */
  #ceiling = 0;
  #dueMs = 0;
  #grownAtMs = 0;
  #decreasedAtMs = -Infinity;
  #decreasesInARow = 0;
  #throttledAtMs = -Infinity;
  #liftAfterMs = FIRST_LIFT_MS;
  #liftedAtMs = -Infinity;
  /** The pace that was lifted, until the lift is known to be right: puts stay small till then. */
  #liftedShare: number | undefined;
  #roundTripMs = 0;
  /** Of the present put. */
  #startedBytes = 0;
  /** What a slow line brings through in time. */
  #timelyBytes = Infinity;
  /** The last 32 puts, the last one in bit 0: which were throttled. */
  #recentThrottles = 0;
  readonly #asked = new LastSecond();
  readonly #refused = new LastSecond();
  #strayMs = FIRST_STRAY_MS;
  #strayUntilMs = -Infinity;

  constructor(mode: "provisioned" | "on-demand") {
    this.#maxShare = mode === "provisioned" ? KNOWN_LIMIT_SHARE : Infinity;
  }

  /** What one put may hold, within `limits`: small puts meet a limit more closely than large ones. */
  limits(limits: Amount): Amount {
    const bytes = Math.min(limits.bytes, this.#timelyBytes);
    const share = this.#share ?? this.#liftedShare;
    if (share === undefined) return { bytes, records: limits.records };
    const seconds = share * this.#intervalMs / 1000;
    return {
      bytes: Math.min(bytes, Math.floor(SHARD_BYTES_PER_SECOND * seconds)),
      records: Math.min(
        limits.records,
        Math.max(1, Math.floor(SHARD_RECORDS_PER_SECOND * seconds)),
      ),
    };
  }

  /** Whether more was put in the last second than a shard takes in the long run. */
  isBeyondAShard(nowMs: number): boolean {
    return this.#asked.seconds(nowMs) > 1;
  }

  /** How long the next put has to wait. */
  waitMs(nowMs: number): number {
    return this.#share === undefined ? 0 : Math.max(0, this.#dueMs - nowMs);
  }

  /** A put starts. */
  started(nowMs: number, amount: Amount): void {
    this.#recentThrottles <<= 1;
    this.#startedBytes = amount.bytes;
    this.#asked.add(nowMs, secondsOf(amount));
    if (this.#share === undefined) {
      if (nowMs - this.#liftedAtMs > SAME_TROUBLE_MS) this.#liftedShare = undefined;
      return;
    }
    if (nowMs - this.#throttledAtMs > this.#liftAfterMs) {
      this.#liftedShare = this.#share;
      this.#share = undefined;
      this.#liftedAtMs = nowMs;
      return;
    }
    // What came late may be made up for, but not more than one put. Where the pace is not what holds
    // the lane back, going well says nothing about it.
    const earliestMs = nowMs - this.#intervalMs;
    if (this.#dueMs > earliestMs) this.#grow(nowMs);
    this.#grownAtMs = nowMs;
    this.#dueMs = Math.max(this.#dueMs, earliestMs) + 1000 * secondsOf(amount) / this.#share;
  }

  /** A put was answered after this time. */
  answered(roundTripMs: number): void {
    this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 8;
    const isTelling = this.#startedBytes * 2 > this.#timelyBytes;
    if (isTelling && roundTripMs < PROMPT_MS) this.#timelyBytes *= 2;
  }

  /** A put had no answer in time, maybe since it is too much for the line: as it is it may never have one. */
  late(): void {
    this.#timelyBytes = Math.max(LEAST_LATE_BYTES, Math.floor(this.#startedBytes * LATE_SHARE));
  }

  /** The shard refused this much of a put of `records` records. */
  throttled(nowMs: number, refused: Amount, records: number): void {
    this.#throttledAtMs = nowMs;
    // A shard at its limit still takes some: one that refuses everything says nothing about a pace.
    const isFirst = (this.#recentThrottles & 2) === 0 || refused.records < records;
    this.#recentThrottles |= 1;
    this.#refused.add(nowMs, secondsOf(refused));
    if (nowMs < this.#strayUntilMs) return;
    if (isFirst) {
      if (this.#share === undefined) this.#beginIfDue(nowMs);
      else this.#decreaseIfDue(nowMs, this.#share);
    }
    if (this.#share === undefined) return;
    this.#dueMs = nowMs + REST_MS + 1000 * secondsOf(refused) / this.#share;
  }

  #beginIfDue(nowMs: number): void {
    const asked = this.#asked.seconds(nowMs);
    if (asked - this.#refused.seconds(nowMs) > BEYOND_ANY_SHARD) return;
    const isNearLimit = asked >= NEAR_LIMIT_SHARE;
    if (isNearLimit || this.#throttles >= OFTEN_PUTS) this.#begin(nowMs, isNearLimit);
  }

  #decreaseIfDue(nowMs: number, share: number): void {
    if (nowMs - this.#decreasedAtMs < DECREASE_PAUSE_MS) return;
    if (share > SLOWEST_SHARE * SEARCH_ABOVE) {
      if (this.#throttles >= TELLING_PUTS) this.#decrease(nowMs, share);
    } else if (this.#throttles >= OFTEN_PUTS) {
      this.#share = undefined;
      this.#recentThrottles = 0;
      this.#strayUntilMs = nowMs + this.#strayMs;
      this.#strayMs = Math.min(LAST_STRAY_MS, this.#strayMs * 2);
    }
  }

  get #throttles(): number {
    return countOnes(this.#recentThrottles);
  }

  #begin(nowMs: number, isNearLimit: boolean): void {
    const wasLiftedInVain = this.#liftedShare !== undefined;
    this.#liftAfterMs = wasLiftedInVain
      ? Math.min(LAST_LIFT_MS, this.#liftAfterMs * 2)
      : FIRST_LIFT_MS;
    const found = isNearLimit ? 1 : Math.max(SLOWEST_SHARE, this.#asked.seconds(nowMs));
    const share = Math.min(this.#maxShare, this.#liftedShare ?? found);
    this.#liftedShare = undefined;
    this.#setShare(nowMs, share);
    this.#ceiling = share;
  }

  #decrease(nowMs: number, share: number): void {
    const isSameTrouble = nowMs - this.#decreasedAtMs < SAME_TROUBLE_MS;
    this.#decreasesInARow = isSameTrouble ? this.#decreasesInARow + 1 : 0;
    const decrease = DECREASES[Math.min(this.#decreasesInARow, DECREASES.length - 1)]!;
    this.#setShare(nowMs, Math.max(SLOWEST_SHARE, share * decrease));
    this.#ceiling = share;
  }

  #setShare(nowMs: number, share: number): void {
    this.#share = share;
    this.#grownAtMs = this.#decreasedAtMs = nowMs;
    this.#recentThrottles = 1;
  }

  #grow(nowMs: number): void {
    const seconds = (nowMs - this.#grownAtMs) / 1000;
    const perSecond = this.#share! > this.#ceiling * SEARCH_ABOVE
      ? SEARCH_PER_SECOND
      : INCREASE_PER_SECOND;
    this.#share = Math.min(this.#maxShare, this.#share! + perSecond * seconds);
  }

  get #intervalMs(): number {
    return Math.max(PUT_INTERVAL_MS, this.#roundTripMs * ROUND_TRIPS_PER_INTERVAL);
  }
}

/** Adds up what happened in the last second, about. */
class LastSecond {
  #second = 0;
  #present = 0;
  #before = 0;

  add(nowMs: number, seconds: number): void {
    this.#turn(nowMs);
    this.#present += seconds;
  }

  seconds(nowMs: number): number {
    this.#turn(nowMs);
    return this.#present + this.#before * (1 - (nowMs / 1000 - this.#second));
  }

  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second === this.#second) return;
    this.#before = second === this.#second + 1 ? this.#present : 0;
    this.#present = 0;
    this.#second = second;
  }
}

/** How long a shard at its full limit takes to take this in. */
function secondsOf({ bytes, records }: Amount): number {
  return Math.max(bytes / SHARD_BYTES_PER_SECOND, records / SHARD_RECORDS_PER_SECOND);
}

function countOnes(bits: number): number {
  let ones = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) ones++;
  return ones;
}
