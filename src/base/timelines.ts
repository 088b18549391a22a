import { type Lsn, parseLsn } from "./lsn.ts";

/** From `begins` on, up to where the next one begins, WAL was written on this timeline. */
export interface TimelineSpan {
  readonly timeline: number;
  readonly begins: Lsn;
}

/**
 * The history of a server's WAL: each failover begins a new timeline. An LSN names a place in it only
 * together with its timeline, since a timeline that was left may have gone on behind the place.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
export class Timelines {
  readonly #last: TimelineSpan;

  /** At least one, in the order of the WAL. */
  constructor(readonly spans: readonly [TimelineSpan, ...TimelineSpan[]]) {
    this.#last = spans.at(-1)!;
  }

  /** A server that never failed over, or of whose history nothing is known. */
  static only(timeline: number): Timelines {
    return new Timelines([{ timeline, begins: 0n }]);
  }

  /**
   * Reads a history file: a line for each earlier timeline, with the LSN at which it was left and a
   * reason behind it, ascending.
   */
  static fromHistory(history: string, current: number): Timelines {
    const spans: TimelineSpan[] = [];
    let begins: Lsn = 0n;
    for (const line of history.split("\n")) {
      const [, timeline, end] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
      if (timeline === undefined) continue;
      spans.push({ timeline: Number(timeline), begins });
      begins = parseLsn(end!);
    }
    return new Timelines([...spans, { timeline: current, begins }] as [TimelineSpan]);
  }

  /** The timeline on which a record that begins there was written. */
  at(lsn: Lsn): number {
    if (lsn >= this.#last.begins) return this.#last.timeline;
    return this.spans.findLast(({ begins }) => lsn >= begins)!.timeline;
  }

  /**
   * Where the other history leaves this one: what lies before is the same in both. Undefined: they have
   * nothing in common.
   */
  partsFrom(other: Timelines): Lsn | "nowhere" | undefined {
    let shared = 0;
    while (isSame(this.spans[shared], other.spans[shared])) shared++;
    if (shared === 0) return undefined;
    const ends = [this.spans[shared]?.begins, other.spans[shared]?.begins]
      .filter((end) => end !== undefined);
    if (ends.length === 0) return "nowhere";
    return ends.reduce((least, end) => end < least ? end : least);
  }
}

function isSame(a: TimelineSpan | undefined, b: TimelineSpan | undefined): boolean {
  return a !== undefined && b !== undefined && a.timeline === b.timeline && a.begins === b.begins;
}
