import type { LogRecord } from "@logtape/logtape";
import { type Clock, systemClock } from "../base/clock.ts";

/** How many warnings of one kind are logged in an interval; the rest are counted. */
const BURST = 5;
const INTERVAL_MS = 10_000;
/** Those that are remembered; a template that is a text of its own each time must not fill memory. */
const MAX_KINDS = 200;

type Timer = Pick<Clock, "now" | "wall"> & {
  /** Calls `tell` after `ms`; returns a function that cancels it. */
  later(tell: () => void, ms: number): () => void;
};

interface Kind {
  readonly since: number;
  told: number;
  leftOut: number;
  last: LogRecord;
}

/**
 * Keeps warnings that repeat from flooding the log: of those with one template, the first five in ten
 * seconds pass, and at the end of the ten seconds one line says how many were left out. Errors and
 * what is only information pass always.
 */
export class WarningLimiter {
  readonly #kinds = new Map<string, Kind>();
  #cancel: (() => void) | undefined;

  constructor(
    private readonly pass: (record: LogRecord) => void,
    private readonly time: Timer = systemTimer,
  ) {}

  take(record: LogRecord): void {
    if (record.level !== "warning") return this.pass(record);
    const name = `${record.category.join(".")} ${record.rawMessage}`;
    const nowMs = this.time.now();
    const known = this.#kinds.get(name);
    if (known === undefined || nowMs - known.since >= INTERVAL_MS) {
      if (known !== undefined) this.#summarize(known, nowMs);
      if (this.#kinds.size >= MAX_KINDS) this.flush();
      this.#kinds.set(name, { since: nowMs, told: 1, leftOut: 0, last: record });
      return this.pass(record);
    }
    if (known.told < BURST) {
      known.told++;
      return this.pass(record);
    }
    known.leftOut++;
    known.last = record;
    this.#cancel ??= this.time.later(() => this.#tick(), INTERVAL_MS);
  }

  /** Logs the counts of what was left out. */
  flush(): void {
    const nowMs = this.time.now();
    this.#cancel?.();
    this.#cancel = undefined;
    for (const kind of this.#kinds.values()) this.#summarize(kind, nowMs);
    this.#kinds.clear();
  }

  #tick(): void {
    this.#cancel = undefined;
    const nowMs = this.time.now();
    let someLeft = false;
    for (const [name, kind] of this.#kinds) {
      if (nowMs - kind.since >= INTERVAL_MS) {
        this.#summarize(kind, nowMs);
        this.#kinds.delete(name);
      } else if (kind.leftOut > 0) {
        someLeft = true;
      }
    }
    if (someLeft) this.#cancel = this.time.later(() => this.#tick(), INTERVAL_MS);
  }

  #summarize(kind: Kind, nowMs: number): void {
    const { last, leftOut, since } = kind;
    if (leftOut === 0) return;
    const seconds = Math.max(1, Math.round((nowMs - since) / 1000));
    kind.leftOut = 0;
    this.pass({
      ...last,
      timestamp: this.time.wall(),
      // Words and values in turns.
      message: [
        "",
        leftOut,
        ` more such warnings in ${seconds} s were left out; the last: `,
        "",
        ...last.message,
      ],
      rawMessage: `{left_out} ${last.rawMessage}`,
      properties: { ...last.properties, left_out: leftOut },
    });
  }
}

/** A log that has something left to say does not keep the program alive; `flush` says it at the end. */
const systemTimer: Timer = {
  now: systemClock.now,
  wall: systemClock.wall,
  later(tell, ms) {
    const timer = setTimeout(tell, ms);
    Deno.unrefTimer(timer);
    return () => clearTimeout(timer);
  },
};
