import { getLogger } from "@logtape/logtape";
import { type BackfillProgress, NO_BACKFILL } from "../backfill/progress.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { WriterStats } from "../base/writer_stats.ts";
import type { SlotState } from "../postgres/slot/slot_state.ts";
import type { SourceStats } from "../postgres/session/replication_source.ts";
import { Histogram } from "../base/histogram.ts";
import { LagClock } from "./lag_clock.ts";
import { Progress } from "../run_progress.ts";
import {
  type Lag,
  type Position,
  type RunNames,
  type RunState,
  type Snapshot,
  streamsText,
} from "./run_snapshot.ts";

const logger = getLogger(["pg2kinesis", "telemetry"]);

/** How often the server is asked about the slot. */
const ASK_EVERY_MS = 2_000;
/** Until it has reported something, for which it needs a connection. */
const ASK_FIRST_EVERY_MS = 100;

/** Seconds: from an idle stream's milliseconds to a backlog of an hour. */
const COMMIT_SECONDS_BOUNDS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
];

/** The parts of a run, once they are there. */
export interface ObservedParts {
  readonly checkpoint: Checkpoint;
  readonly writer: { stats(): WriterStats };
  readonly source: {
    readonly stats: SourceStats;
    slotState(): Promise<SlotState | undefined>;
  };
  /** Undefined where the run can read no rows that were there before. */
  readonly backfill?: { progress(): BackfillProgress };
  /** Hears each answer of the server about the slot. */
  readonly onSlotState: (slot: SlotState) => void;
}

/** Looks at a run from beside the data's path. What the stages count, and what it asks, it shows as a snapshot. */
export class RunObserver {
  readonly progress = new Progress();
  readonly #commitSeconds = new Histogram(COMMIT_SECONDS_BOUNDS);
  #lagClock = new LagClock();
  #parts: ObservedParts | undefined;
  #slot: Snapshot["slot"];
  /** Of the server's clock over `#nowMs`, in milliseconds. */
  #clockAheadMs = 0;
  #state: RunState = "starting";
  #stateSinceMs: number;
  /** Milliseconds since 1970, as the wall clock had it at the start and by what passed since. */
  readonly #nowMs: () => number;

  constructor(
    private readonly names: Omit<RunNames, "region">,
    private readonly clock: Clock = systemClock,
  ) {
    const startMs = clock.wall() - clock.now();
    this.#nowMs = () => startMs + clock.now();
    this.#stateSinceMs = this.#nowMs();
  }

  /** Whether it streams is seen from the parts. */
  enter(state: Exclude<RunState, "streaming" | "reconnecting">): void {
    this.#change(state, this.#nowMs());
  }

  /** The run has all its parts, and follows the slot from now on until this is disposed. */
  attach(parts: ObservedParts): Disposable {
    this.#parts = parts;
    this.#lagClock = new LagClock();
    this.#change("streaming", this.#nowMs());
    const questions = this.#keepAsking(parts);
    return {
      [Symbol.dispose]: () => {
        questions[Symbol.dispose]();
        this.#parts = undefined;
        this.#slot = undefined;
      },
    };
  }

  /** A transaction's records are all stored; see {@linkcode Checkpoint}. */
  readonly stored = (commitMs: number): void => {
    if (Number.isNaN(commitMs)) return;
    const ms = this.#nowMs() + this.#clockAheadMs - commitMs;
    this.#commitSeconds.observe(ms > 0 ? ms / 1000 : 0);
  };

  snapshot(): Snapshot {
    const nowMs = this.#nowMs();
    const stats = this.#parts?.source.stats;
    if (stats !== undefined && (this.#state === "streaming" || this.#state === "reconnecting")) {
      this.#change(stats.isConnected ? "streaming" : "reconnecting", nowMs);
    }
    const writer = this.#parts?.writer.stats();
    return {
      atMs: nowMs,
      wallMs: this.clock.wall(),
      state: this.#state,
      sinceMs: this.#stateSinceMs,
      names: {
        ...this.names,
        host: stats?.place ?? this.names.host,
        stream: streamsText(writer?.streams) ?? this.names.stream,
        region: writer?.region,
      },
      progress: { ...this.progress, skipped: { ...this.progress.skipped } },
      backfill: this.#parts?.backfill?.progress() ?? NO_BACKFILL,
      position: this.#position(stats),
      lag: this.#lag(nowMs),
      source: stats,
      writer,
      slot: this.#slot,
      commitSeconds: this.#commitSeconds,
    };
  }

  #change(state: RunState, nowMs: number): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#stateSinceMs = nowMs;
  }

  #position(stats: SourceStats | undefined): Position | undefined {
    if (this.#parts === undefined || stats === undefined) return undefined;
    const confirmedLsn = this.#parts.checkpoint.flushLsn;
    return { confirmedLsn, receivedLsn: stats.receivedLsn };
  }

  #lag(nowMs: number): Lag {
    if (this.#parts === undefined) return { bytes: undefined, seconds: undefined };
    const { checkpoint, source } = this.#parts;
    const { flushLsn, oldestPendingCommitMs, storedCommitMs } = checkpoint;
    const { receivedLsn } = source.stats;
    const told = this.#slot?.walEnd;
    const walEnd = told !== undefined && told > receivedLsn ? told : receivedLsn;
    return {
      bytes: told === undefined ? undefined : Number(walEnd > flushLsn ? walEnd - flushLsn : 0n),
      seconds: this.#lagClock.seconds({
        nowMs,
        flushLsn,
        oldestPendingCommitMs: oldestPendingCommitMs === undefined
          ? undefined
          : oldestPendingCommitMs - this.#clockAheadMs,
        storedCommitMs: storedCommitMs - this.#clockAheadMs,
      }),
    };
  }

  /** One question after the other, so that a slow server gets fewer of them. */
  #keepAsking(parts: ObservedParts): Disposable {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const askedAtMs = this.#nowMs();
        const slot = await parts.source.slotState();
        if (slot !== undefined && !isOver) this.#takeAnswer(slot, askedAtMs, parts);
      } catch (error) {
        logger.debug("cannot ask about the slot now: {why}", { why: messageOf(error) });
      }
      const pauseMs = this.#slot === undefined ? ASK_FIRST_EVERY_MS : ASK_EVERY_MS;
      if (!isOver) timer = setTimeout(ask, pauseMs);
    };
    void ask();
    return {
      [Symbol.dispose]: () => {
        isOver = true;
        clearTimeout(timer);
      },
    };
  }

  #takeAnswer(slot: SlotState, askedAtMs: number, { onSlotState }: ObservedParts): void {
    this.#clockAheadMs = slot.serverMs - (askedAtMs + this.#nowMs()) / 2;
    this.#lagClock.mark(slot.walEnd, askedAtMs);
    this.#slot = { ...slot, askedAtMs: this.clock.wall() };
    onSlotState(slot);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
