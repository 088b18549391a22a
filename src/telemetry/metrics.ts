import type { FailureReason } from "../kinesis/stats.ts";
import type { Histogram } from "./histogram.ts";
import { SKIP_REASONS } from "./progress.ts";
import type { Snapshot } from "./snapshot.ts";

/** One number, with the labels that tell it from the metric's others. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Undefined: not known now, and left out. */
  readonly value: number | undefined;
}

interface MetricWords {
  /** Without the prefix `pg2kinesis_`. */
  readonly name: string;
  readonly help: string;
}

export type Metric =
  & MetricWords
  & (
    | { readonly type: "counter" | "gauge"; readonly read: (now: Snapshot) => readonly Sample[] }
    | { readonly type: "histogram"; readonly read: (now: Snapshot) => Histogram | undefined }
  );

export const METRIC_PREFIX = "pg2kinesis_";

const FAILURE_REASONS: readonly FailureReason[] = [
  "throttled",
  "service",
  "network",
  "credentials",
  "refused",
];

const WAL_STATUSES = ["reserved", "extended", "unreserved", "lost"];

const one = (read: (now: Snapshot) => number | undefined) => (now: Snapshot): Sample[] => [
  { value: read(now) },
];

const perShard = (
  read: (shard: NonNullable<Snapshot["writer"]>["shards"][number]) => number,
) =>
(now: Snapshot): Sample[] =>
  (now.writer?.shards ?? []).map((shard) => ({
    labels: { shard: shard.shardId },
    value: read(shard),
  }));

/** All metrics. Counters count from the start of the process. */
export const METRICS: readonly Metric[] = [
  {
    name: "changes_total",
    help: "Row changes, truncations and logical messages received from the slot.",
    type: "counter",
    read: one(({ progress }) => progress.changes),
  },
  {
    name: "transactions_total",
    help: "Transactions received whole.",
    type: "counter",
    read: one(({ progress }) => progress.transactions),
  },
  {
    name: "received_bytes_total",
    help: "Bytes of the output plugin's messages.",
    type: "counter",
    read: one(({ progress }) => progress.bytes),
  },
  {
    name: "filtered_changes_total",
    help: "Changes that the filters or the formatter left out.",
    type: "counter",
    read: one(({ progress }) => progress.filtered),
  },
  {
    name: "skipped_changes_total",
    help: "Changes left out since a policy said so, by reason.",
    type: "counter",
    read: ({ progress }) =>
      SKIP_REASONS.map((reason) => ({ labels: { reason }, value: progress.skipped[reason] })),
  },
  {
    name: "key_only_changes_total",
    help: "Changes published without their columns, since they were larger than the stream takes.",
    type: "counter",
    read: one(({ progress }) => progress.keyOnly),
  },
  {
    name: "records_total",
    help:
      "User records made of changes; one for a change, but for custom formatters and truncates.",
    type: "counter",
    read: one(({ writer }) => writer?.userRecords ?? 0),
  },
  {
    name: "puts_total",
    help: "Requests sent to Kinesis, failed ones included.",
    type: "counter",
    read: one(({ writer }) => writer?.puts ?? 0),
  },
  {
    name: "put_records_total",
    help: "Kinesis records stored; an aggregate is one.",
    type: "counter",
    read: one(({ writer }) => writer?.records ?? 0),
  },
  {
    name: "put_bytes_total",
    help: "Bytes of the Kinesis records stored, partition keys included.",
    type: "counter",
    read: one(({ writer }) => writer?.bytes ?? 0),
  },
  {
    name: "put_retries_total",
    help: "Puts, or parts of them, that failed and were sent again, by reason.",
    type: "counter",
    read: ({ writer }) =>
      FAILURE_REASONS.map((reason) => ({
        labels: { reason },
        value: writer?.failures[reason] ?? 0,
      })),
  },
  {
    name: "resent_records_total",
    help: "User records sent again although a put before stored them, or may have: duplicates.",
    type: "counter",
    read: one(({ writer }) => writer?.resent ?? 0),
  },
  {
    name: "reshards_total",
    help: "Splits and merges of the stream that were followed.",
    type: "counter",
    read: one(({ writer }) => writer?.reshards ?? 0),
  },
  {
    name: "reconnects_total",
    help: "Times the connection to PostgreSQL was lost and made again.",
    type: "counter",
    read: one(({ source }) => source?.reconnects ?? 0),
  },
  {
    name: "connected",
    help: "1 while the slot is followed, 0 while it is not (yet, or again).",
    type: "gauge",
    read: one(({ source }) => source?.isConnected ? 1 : 0),
  },
  {
    name: "lag_bytes",
    help: "WAL from what is confirmed to the server's end, whoever wrote it.",
    type: "gauge",
    read: one(({ lag }) => lag.bytes),
  },
  {
    name: "lag_seconds",
    help: "Age of the oldest commit that is not stored whole; 0 when all is stored.",
    type: "gauge",
    read: one(({ lag }) => lag.seconds),
  },
  {
    name: "slot_retained_wal_bytes",
    help: "WAL that the slot keeps the server from removing.",
    type: "gauge",
    read: one(({ slot }) => slot?.retainedBytes),
  },
  {
    name: "slot_safe_wal_bytes",
    help: "WAL that may still be written before the slot can be lost (max_slot_wal_keep_size).",
    type: "gauge",
    read: one(({ slot }) => slot?.safeWalBytes),
  },
  {
    name: "slot_wal_status",
    help: "1 for what the server says of the slot's WAL, 0 for the rest (PostgreSQL 13 and newer).",
    type: "gauge",
    read: ({ slot }) =>
      slot?.walStatus === undefined ? [] : WAL_STATUSES.map((status) => ({
        labels: { status },
        value: status === slot.walStatus ? 1 : 0,
      })),
  },
  {
    name: "slot_asked_timestamp_seconds",
    help: "When the server last told of the slot and the end of its WAL, since 1970.",
    type: "gauge",
    read: one(({ slot }) => slot === undefined ? undefined : slot.askedAtMs / 1000),
  },
  {
    name: "buffer_bytes",
    help: "Bytes that wait: read and not decoded yet, or taken by the writer and not acknowledged.",
    type: "gauge",
    read: ({ source, writer }) => [
      { labels: { buffer: "read" }, value: source?.waitingBytes ?? 0 },
      { labels: { buffer: "write" }, value: writer?.pendingBytes ?? 0 },
    ],
  },
  {
    name: "lanes",
    help: "Open shards that are written to, each by a lane of its own.",
    type: "gauge",
    read: one(({ writer }) => writer?.shards.length ?? 0),
  },
  {
    name: "shard_put_bytes_total",
    help: "Bytes stored in an open shard.",
    type: "counter",
    read: perShard(({ bytes }) => bytes),
  },
  {
    name: "shard_throttles_total",
    help: "Puts, or parts of them, that an open shard refused for its throughput.",
    type: "counter",
    read: perShard(({ throttled }) => throttled),
  },
  {
    name: "shard_buffer_bytes",
    help: "Bytes that wait for an open shard.",
    type: "gauge",
    read: perShard(({ pendingBytes }) => pendingBytes),
  },
  {
    name: "put_duration_seconds",
    help: "From a put to its answer; puts that failed are not in it.",
    type: "histogram",
    read: ({ writer }) => writer?.putSeconds,
  },
  {
    name: "commit_to_acknowledged_seconds",
    help: "From a commit to Kinesis' acknowledgement of the transaction's last record.",
    type: "histogram",
    read: ({ commitSeconds }) => commitSeconds,
  },
];
