import type { Clock } from "../base/clock.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { BackfillState } from "./backfill_state.ts";
import type { Job, Reader } from "./reader.ts";
import { FIRST_TIMEOUT_MS, TRY_AGAIN_MS } from "./table_read.ts";
import { lookForWriters } from "./writers.ts";

/** Tables that may have begun and not ended: a mark names them. */
const WINDOW = 16;
/** A table with fewer rows is read together with others. */
const SMALL_ROWS = 5_000;
/** Tables of which one look tells who writes to them. */
const LOOKED_AT_AHEAD = 500;

/** Chooses what is read next. */
export class Chooser {
  /** Tables are read one by one, until the one that failed is known. */
  isAlone = false;
  #lookedMs = -Infinity;
  /** The last choice were keys that are read by themselves. */
  #hasReadAgain = false;

  constructor(
    private readonly parts: {
      readonly state: BackfillState;
      readonly checkpoint: Checkpoint;
      readonly clock: Clock;
    },
  ) {}

  /** What can be read now, keys that are to be read by themselves first. */
  async choose(reader: Reader, now: number): Promise<Job[]> {
    const { state, checkpoint, clock } = this.parts;
    const left = state.tables!.filter((table) => !table.hasEndedBy(checkpoint.storedLsn));
    const window = left.slice(0, WINDOW).filter(({ outcome }) => outcome === undefined);
    // Also of tables that come later: what is written to them from now on is noted.
    const unclear = left.slice(0, LOOKED_AT_AHEAD).filter(({ outcome, clearedIn }) =>
      outcome === undefined && clearedIn !== state.epoch
    );
    if (unclear.length > 0 && now - this.#lookedMs >= TRY_AGAIN_MS) {
      this.#lookedMs = now;
      await lookForWriters(reader, unclear, state.epoch, clock.wall());
    }
    const ready = window.filter((table) =>
      table.clearedIn === state.epoch && table.notBeforeMs <= now
    );
    const unread = ready.filter(({ isScanned }) => !isScanned);
    const [table] = ready
      .filter(({ again, isAgainStuck, readAgainMs }) =>
        again.size > 0 && !(isAgainStuck && now - readAgainMs < TRY_AGAIN_MS)
      )
      .sort((a, b) => a.readAgainMs - b.readAgainMs);
    // In turns: however fast changes write down keys, the rest is read, and they are struck off.
    if (table !== undefined && !(this.#hasReadAgain && unread.length > 0)) {
      this.#hasReadAgain = true;
      table.readAgainMs = now;
      table.isAgainStuck = true;
      return [{ table, again: [...table.again].slice(0, table.againAtOnce) }];
    }
    this.#hasReadAgain = false;
    const jobs: Job[] = [];
    for (const table of unread) {
      jobs.push({ table, again: undefined });
      const isSmall = (table.expected ?? 0) < SMALL_ROWS && table.timeoutMs === FIRST_TIMEOUT_MS;
      if (!isSmall || this.isAlone) break;
    }
    return jobs;
  }
}
