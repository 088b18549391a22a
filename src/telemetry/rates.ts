import { formatSeconds } from "../base/quantity.ts";
import type { ShardStats } from "../base/writer_stats.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** What a run does in a second, between two snapshots. */
export interface Rates {
  readonly changes: number;
  /** Of the output plugin's messages. */
  readonly bytes: number;
  /** Those that were answered well. */
  readonly puts: number;
  readonly failedPuts: number;
  readonly putBytes: number;
  readonly throttles: number;
  /** Of backfills. */
  readonly rows: number;
  /** The shard that took most; undefined when none took anything. */
  readonly busiestShard:
    | { readonly stream: string; readonly shardId: string; readonly bytes: number }
    | undefined;
}

export function ratesBetween(before: Snapshot, after: Snapshot): Rates {
  const seconds = Math.max(after.atMs - before.atMs, 1) / 1000;
  const perSecond = (value: (snapshot: Snapshot) => number) =>
    Math.max(0, value(after) - value(before)) / seconds;
  return {
    changes: perSecond(({ progress }) => progress.changes),
    bytes: perSecond(({ progress }) => progress.bytes),
    puts: perSecond(answeredPuts),
    failedPuts: perSecond((snapshot) => (snapshot.writer?.puts ?? 0) - answeredPuts(snapshot)),
    putBytes: perSecond(({ writer }) => writer?.bytes ?? 0),
    throttles: perSecond(({ writer }) => writer?.failures.throttled ?? 0),
    rows: perSecond(({ backfill }) => backfill.totals.rows),
    busiestShard: busiestShard(before, after, seconds),
  };
}

/** A put under way counts as failed until it is answered; that evens out. */
export const answeredPuts = ({ writer }: Pick<Snapshot, "writer">): number =>
  writer?.putSeconds.count ?? 0;

function busiestShard(before: Snapshot, after: Snapshot, seconds: number): Rates["busiestShard"] {
  const nameOf = ({ stream, shardId }: ShardStats) => `${stream} ${shardId}`;
  const bytesBefore = new Map(before.writer?.shards.map((shard) => [nameOf(shard), shard.bytes]));
  let busiest: Rates["busiestShard"];
  for (const shard of after.writer?.shards ?? []) {
    const rate = (shard.bytes - (bytesBefore.get(nameOf(shard)) ?? 0)) / seconds;
    if (rate > (busiest?.bytes ?? 0)) {
      busiest = { stream: shard.stream, shardId: shard.shardId, bytes: rate };
    }
  }
  return busiest;
}

/** Less is not worth an estimate: it is gone before one could be read. */
const BACKLOG_BYTES = 1024 * 1024;
const BACKLOG_SECONDS = 5;
/** Over less time the WAL's own unevenness says nothing. */
const MIN_SPAN_MS = 8_000;

export type CatchUp =
  /** There is no backlog, or it is not known yet. */
  | { readonly kind: "none" }
  | { readonly kind: "shrinking"; readonly seconds: number }
  /** More is written than is stored. */
  | { readonly kind: "growing"; readonly bytesPerSecond: number };

/** When the backlog will be gone, should all go on as it did since `before`. */
export function estimateCatchUp(before: Snapshot, after: Snapshot): CatchUp {
  const spanMs = after.atMs - before.atMs;
  const { bytes, seconds } = after.lag;
  if (spanMs < MIN_SPAN_MS || bytes === undefined || before.lag.bytes === undefined) {
    return { kind: "none" };
  }
  if (bytes < BACKLOG_BYTES || (seconds !== undefined && seconds < BACKLOG_SECONDS)) {
    return { kind: "none" };
  }
  const bytesPerSecond = (before.lag.bytes - bytes) / (spanMs / 1000);
  return bytesPerSecond > 0
    ? { kind: "shrinking", seconds: bytes / bytesPerSecond }
    : { kind: "growing", bytesPerSecond: -bytesPerSecond };
}

/** For a person: `caught up in 4 min`; empty when there is nothing to say. */
export function catchUpWords(catchUp: CatchUp): string {
  switch (catchUp.kind) {
    case "none":
      return "";
    case "shrinking":
      return `caught up in ${formatSeconds(catchUp.seconds)}`;
    case "growing":
      return "falling behind";
    default:
      return catchUp satisfies never;
  }
}
