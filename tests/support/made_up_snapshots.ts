import { type BackfillProgress, NO_BACKFILL } from "../../src/backfill/progress.ts";
import {
  type Failing,
  PUT_SECONDS_BOUNDS,
  type ShardStats,
  type StreamStats,
} from "../../src/base/writer_stats.ts";
import { Histogram } from "../../src/base/histogram.ts";
import { Progress } from "../../src/run_progress.ts";
import type { Snapshot } from "../../src/telemetry/run_snapshot.ts";

export const GIB = 1024 ** 3;

export interface MadeUp {
  readonly atMs?: number;
  readonly state?: Snapshot["state"];
  readonly sinceMs?: number;
  readonly lag?: Partial<Snapshot["lag"]>;
  readonly changes?: number;
  readonly bytes?: number;
  readonly puts?: number;
  readonly failedPuts?: number;
  readonly throttled?: number;
  readonly failing?: Failing & { readonly stream?: string; readonly streams?: number };
  readonly pendingBytes?: number;
  readonly lossReason?: string;
  readonly shards?: readonly Partial<ShardStats>[];
  /** One, unless given. */
  readonly streams?: readonly Partial<StreamStats>[];
  readonly retainedBytes?: number;
  readonly safeWalBytes?: number;
  readonly backfill?: Partial<BackfillProgress>;
}

/** A moment of a run that streams, with what a test cares about. */
export function madeUpSnapshot(given: MadeUp = {}): Snapshot {
  const { atMs = 1_000_000, state = "streaming", sinceMs = 0, puts = 0, throttled = 0 } = given;
  const shards = (given.shards ?? [{}]).map((shard, place) => ({
    stream: "changes",
    shardId: `shardId-${String(place).padStart(12, "0")}`,
    pendingBytes: 0,
    puts: 0,
    bytes: 0,
    throttled: 0,
    ...shard,
  }));
  const put = {
    userRecords: 0,
    region: "eu-west-1",
    puts,
    records: 0,
    bytes: 0,
    failures: { throttled, service: 0, network: 0, credentials: 0, refused: 0 },
    resent: 0,
    reshards: 0,
    pendingBytes: given.pendingBytes ?? 0,
    shards,
  };
  return {
    atMs,
    wallMs: atMs,
    state,
    sinceMs,
    names: {
      host: "db:5432",
      database: "shop",
      slot: "pg2kinesis",
      plugin: "pgoutput",
      stream: "changes",
      region: "eu-west-1",
    },
    progress: Object.assign(new Progress(), {
      changes: given.changes ?? 0,
      bytes: given.bytes ?? 0,
    }),
    backfill: { ...NO_BACKFILL, ...given.backfill },
    position: { confirmedLsn: 0x100n, receivedLsn: 0x200n },
    lag: { bytes: 0, seconds: 0, ...given.lag },
    source: {
      isConnected: state !== "reconnecting",
      lossReason: given.lossReason,
      isReading: true,
      reconnects: 0,
      waitingBytes: 0,
    },
    writer: {
      ...put,
      failing: given.failing && { stream: "changes", streams: 1, ...given.failing },
      highWaterBytes: 4 * 1024 * 1024,
      pendingRecords: 0,
      putSeconds: answered(puts - (given.failedPuts ?? 0)),
      streams: (given.streams ?? [{}]).map((stream) => ({
        ...put,
        stream: "changes",
        failing: given.failing,
        ...stream,
      })),
    },
    slot: given.retainedBytes === undefined ? undefined : {
      walEnd: 0x200n,
      serverMs: atMs,
      retainedBytes: given.retainedBytes,
      safeWalBytes: given.safeWalBytes,
      walStatus: "reserved",
      askedAtMs: atMs,
    },
    commitSeconds: new Histogram([1]),
  };
}

function answered(puts: number): Histogram {
  const histogram = new Histogram(PUT_SECONDS_BOUNDS);
  for (let i = 0; i < puts; i++) histogram.observe(0.01);
  return histogram;
}
