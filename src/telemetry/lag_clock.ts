import type { Lsn } from "../base/lsn.ts";

/** Positions that wait to be stored; beyond that every second one is forgotten. */
const MAX_MARKS = 1000;

/** An older answer of the server says nothing about what has been committed since. */
const STALE_MS = 10_000;

interface Mark {
  readonly walEnd: Lsn;
  readonly atMs: number;
}

/** The inputs for the age of the oldest change that is not stored. */
export interface LagFacts {
  readonly nowMs: number;
  readonly flushLsn: Lsn;
  /** See `Checkpoint.oldestPendingCommitMs`; by this machine's clock. */
  readonly oldestPendingCommitMs: number | undefined;
  /** See `Checkpoint.storedCommitMs`; by this machine's clock. */
  readonly storedCommitMs: number;
}

/**
 * Tells the lag in seconds. The age of the oldest pending transaction is exact where its commit time is
 * known. Where it is not (test_decoding sends it after the rows), or what is behind has not been sent
 * yet, the age is bounded from above: what is not stored was committed after the last commit that is,
 * and after the last moment of which all WAL is.
 */
export class LagClock {
  #marks: Mark[] = [];
  /** What marks are apart at least: the more there are, the coarser they may be. */
  #spacingMs = 0;
  #latest: Mark | undefined;
  /** Whatever was committed before is stored. */
  #storedUntilMs = NaN;

  /** The server's WAL ended there when it was asked, at `atMs` or later. */
  mark(walEnd: Lsn, atMs: number): void {
    this.#latest = { walEnd, atMs };
    const last = this.#marks.at(-1);
    if (last === undefined) this.#spacingMs = 0;
    else if (atMs - last.atMs < this.#spacingMs) return;
    this.#marks.push({ walEnd, atMs });
    if (this.#marks.length > MAX_MARKS) {
      this.#spacingMs = 2 * (atMs - this.#marks[0]!.atMs) / MAX_MARKS;
      this.#marks = this.#marks.filter((_, place) => place % 2 === 0);
    }
  }

  /** Seconds; undefined when not even a bound is known. */
  seconds(
    { nowMs, flushLsn, oldestPendingCommitMs, storedCommitMs }: LagFacts,
  ): number | undefined {
    let stored = 0;
    while (stored < this.#marks.length && this.#marks[stored]!.walEnd <= flushLsn) stored++;
    if (stored > 0) {
      this.#storedUntilMs = this.#marks[stored - 1]!.atMs;
      this.#marks.splice(0, stored);
    }
    if (oldestPendingCommitMs === undefined) {
      if (this.#latest === undefined) return undefined;
      const isFresh = nowMs - this.#latest.atMs < STALE_MS;
      if (isFresh && this.#latest.walEnd <= flushLsn) return 0;
    } else if (!Number.isNaN(oldestPendingCommitMs)) {
      return secondsBetween(oldestPendingCommitMs, nowMs);
    }
    const bounds = [storedCommitMs, this.#storedUntilMs].filter((ms) => !Number.isNaN(ms));
    return bounds.length === 0 ? undefined : secondsBetween(Math.max(...bounds), nowMs);
  }
}

function secondsBetween(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs) / 1000;
}
