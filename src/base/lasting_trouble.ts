import type { Clock } from "./clock.ts";

/** How often a lasting trouble is worth a line. */
export interface SayingRate {
  /** How often it is repeated while it lasts. */
  readonly repeatMs: number;
  /** What comes back is said no sooner than this after the last word; as `repeatMs` unless given. */
  readonly leastPauseMs?: number;
  /** What is over within this is not said at all; 0 unless given. */
  readonly quietMs?: number;
  /** Whether another reason is said at once; it waits for its time unless given. */
  readonly saysNewReasons?: boolean;
}

/** What is known of it so far. */
export interface Lasted {
  /** When it began, in UTC as ISO 8601 writes it. */
  readonly since: string;
  readonly lastsMs: number;
  /** How often it failed. */
  readonly tries: number;
  /** Whether it was said before. */
  readonly wasSaid: boolean;
}

/**
 * Something that goes wrong for a while, is tried again and must not fill the log: decides when it is
 * said. Who uses it has the words.
 */
export class LastingTrouble {
  #now: { sinceMs: number; sinceWallMs: number; reason: string; tries: number } | undefined;
  #wasSaid = false;
  #saidAtMs = -Infinity;
  #saidReason: string | undefined;

  constructor(
    private readonly clock: Pick<Clock, "now" | "wall">,
    private readonly rate: SayingRate,
  ) {}

  /** What goes wrong now, and since when by the clock's `now`; undefined: nothing does. */
  get now(): { readonly sinceMs: number; readonly reason: string } | undefined {
    return this.#now;
  }

  /** It failed once more, for this reason. Gives what is to be said, when it is time for that. */
  failed(reason: string): Lasted | undefined {
    const nowMs = this.clock.now();
    this.#now ??= { sinceMs: nowMs, sinceWallMs: this.clock.wall(), reason, tries: 0 };
    this.#now.reason = reason;
    this.#now.tries++;
    if (!this.#isDue(nowMs, reason)) return undefined;
    const lasted = this.#lasted(nowMs);
    this.#wasSaid = true;
    this.#saidAtMs = nowMs;
    this.#saidReason = reason;
    return lasted;
  }

  /** It went well. Gives what is over; undefined: nothing was wrong, or nothing was said of it. */
  over(): Lasted | undefined {
    const lasted = this.#now === undefined ? undefined : this.#lasted(this.clock.now());
    this.#now = undefined;
    this.#wasSaid = false;
    this.#saidReason = undefined;
    return lasted?.wasSaid ? lasted : undefined;
  }

  #isDue(nowMs: number, reason: string): boolean {
    const { repeatMs, leastPauseMs = repeatMs, quietMs = 0, saysNewReasons = false } = this.rate;
    if (nowMs - this.#now!.sinceMs < quietMs) return false;
    if (saysNewReasons && reason !== this.#saidReason) return true;
    return nowMs - this.#saidAtMs >= (this.#wasSaid ? repeatMs : leastPauseMs);
  }

  #lasted(nowMs: number): Lasted {
    const { sinceMs, sinceWallMs, tries } = this.#now!;
    return {
      since: new Date(sinceWallMs).toISOString(),
      lastsMs: nowMs - sinceMs,
      tries,
      wasSaid: this.#wasSaid,
    };
  }
}
