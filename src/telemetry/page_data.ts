import { formatLsn } from "../base/lsn.ts";
import type { LagLimit } from "../options.ts";
import { backfillWords, tableRows, tablesNotListed } from "./backfill_words.ts";
import { blockingStream, conditionOf } from "./condition.ts";
import { answeredPuts, catchUpWords, estimateCatchUp, ratesBetween } from "./rates.ts";
import { History } from "./history.ts";
import { type Histogram, quantile } from "../base/histogram.ts";
import type { RunObserver } from "./observer.ts";
import { whyNotReady } from "./readiness.ts";
import type { Snapshot } from "./run_snapshot.ts";

const SAMPLE_EVERY_MS = 5_000;
/** The page's plots go back an hour. */
const MAX_POINTS = 720;
const ESTIMATE_SPAN_MS = 60_000;

/** What the plots show of one moment; null: not known then. */
export interface Point {
  /** As a snapshot's `atMs`. */
  readonly t: number;
  readonly lagSeconds: number | null;
  readonly lagBytes: number | null;
  readonly retainedBytes: number | null;
  readonly changes: number;
  readonly putBytes: number;
  readonly puts: number;
  readonly throttles: number;
  readonly bufferBytes: number;
}

interface Times {
  readonly put: Histogram | undefined;
  readonly commit: Histogram | undefined;
}

/** Keeps the last hour of a run for the page. */
export class PageData implements Disposable {
  readonly #points: Point[] = [];
  readonly #recent = new History(ESTIMATE_SPAN_MS);
  /** Of the moments in `#recent`: histograms go on counting. */
  readonly #times: Times[] = [{ put: undefined, commit: undefined }];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(private readonly observer: Pick<RunObserver, "snapshot">) {
    this.#recent.add(observer.snapshot());
    this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  /** What the page shows now, and the points that are newer than those it has. */
  since(sinceMs: number, readyLag: LagLimit | undefined) {
    const now = this.observer.snapshot();
    const first = this.#recent.first ?? now;
    const last = this.#recent.before(0) ?? now;
    // A moment says too little about a rate.
    const before = now.atMs - last.atMs >= 1_000 ? last : this.#recent.before(1_000) ?? first;
    const earlier = this.#times[0];
    return {
      now: {
        ...describe(now, before, first, readyLag),
        putSeconds: shares(now.writer?.putSeconds.since(earlier?.put)),
        commitSeconds: shares(now.commitSeconds.since(earlier?.commit)),
      },
      points: this.#points.filter(({ t }) => t > sinceMs),
      everyMs: SAMPLE_EVERY_MS,
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const now = this.observer.snapshot();
    const before = this.#recent.before(0) ?? now;
    this.#recent.add(now);
    this.#times.push({ put: now.writer?.putSeconds.since(), commit: now.commitSeconds.since() });
    if (this.#times.length > 1 + ESTIMATE_SPAN_MS / SAMPLE_EVERY_MS) this.#times.shift();
    const rates = ratesBetween(before, now);
    this.#points.push({
      t: now.atMs,
      lagSeconds: now.lag.seconds ?? null,
      lagBytes: now.lag.bytes ?? null,
      retainedBytes: now.slot?.retainedBytes ?? null,
      changes: rates.changes,
      putBytes: rates.putBytes,
      puts: rates.puts,
      throttles: rates.throttles,
      bufferBytes: bufferBytes(now),
    });
    if (this.#points.length > MAX_POINTS) this.#points.shift();
  }
}

function describe(
  now: Snapshot,
  before: Snapshot,
  first: Snapshot,
  readyLag: LagLimit | undefined,
) {
  const { progress, writer, slot, lag, position } = now;
  return {
    names: now.names,
    state: now.state,
    condition: conditionOf(now),
    stateSeconds: (now.atMs - now.sinceMs) / 1000,
    notReady: whyNotReady(now, readyLag) ?? null,
    atMs: now.atMs,
    wallMs: now.wallMs,
    confirmed: position === undefined ? null : formatLsn(position.confirmedLsn),
    lagBytes: lag.bytes ?? null,
    lagSeconds: lag.seconds ?? null,
    catchUp: catchUpWords(estimateCatchUp(first, now)),
    retainedBytes: slot?.retainedBytes ?? null,
    safeWalBytes: slot?.safeWalBytes ?? null,
    walStatus: slot?.walStatus ?? null,
    rates: ratesBetween(before, now),
    bufferBytes: bufferBytes(now),
    lanes: writer?.shards.length ?? 0,
    xid: progress.xid,
    backfill: {
      words: backfillWords(now, ratesBetween(first, now).rows),
      tables: tableRows([first, before], now),
      moreTables: tablesNotListed(now),
    },
    totals: {
      changes: progress.changes,
      transactions: progress.transactions,
      filtered: progress.filtered,
      puts: answeredPuts(now),
      failedPuts: (writer?.puts ?? 0) - answeredPuts(now),
      putBytes: writer?.bytes ?? 0,
      resent: writer?.resent ?? 0,
      reshards: writer?.reshards ?? 0,
      reconnects: now.source?.reconnects ?? 0,
      keyOnly: progress.keyOnly,
    },
    streams: streamRows(now),
    retries: writer?.failures ?? {},
    skipped: progress.skipped,
  };
}

/** Of more a page is no use; those that wait, fail or are throttled most come first. */
const MAX_STREAM_ROWS = 25;

/** What the page's table of streams shows; nothing where there is one. */
function streamRows({ writer }: Snapshot) {
  if (writer === undefined || writer.streams.length < 2) return { rows: [], more: 0 };
  const cause = blockingStream(writer);
  const rows = writer.streams.map((each) => ({
    stream: each.stream,
    region: each.region,
    lanes: each.shards.length,
    pendingBytes: each.pendingBytes,
    putBytes: each.bytes,
    throttled: each.failures.throttled,
    failing: each.failing ?? null,
    holdsUp: each.stream === cause,
  })).toSorted((a, b) =>
    (b.failing?.seconds ?? 0) - (a.failing?.seconds ?? 0) || b.pendingBytes - a.pendingBytes ||
    b.putBytes - a.putBytes
  );
  return { rows: rows.slice(0, MAX_STREAM_ROWS), more: Math.max(0, rows.length - MAX_STREAM_ROWS) };
}

function shares(histogram: Histogram | undefined) {
  if (histogram === undefined || histogram.count === 0) return null;
  return { p50: quantile(histogram, 0.5), p99: quantile(histogram, 0.99) };
}

function bufferBytes({ source, writer }: Snapshot): number {
  return (source?.waitingBytes ?? 0) + (writer?.pendingBytes ?? 0);
}
