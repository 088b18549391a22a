import { WAIT_CAUSES } from "../backfill/progress.ts";
import type { FailureReason } from "../base/writer_stats.ts";
import type { Histogram } from "../base/histogram.ts";
import { SKIP_REASONS } from "../run_progress.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** One number, with the labels that distinguish it from the metric's others. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Undefined: not known now, and left out. */
  readonly value: number | undefined;
}

interface MetricWords {
  readonly name: string;
  /** One sentence, which Prometheus keeps with the numbers. */
  readonly help: string;
  /** What docs/metrics.md says behind it, in Markdown. */
  readonly more?: string;
  /** Of its samples; none unless given. A histogram's own `le` is not among them. */
  readonly labels?: readonly string[];
}

export type Metric =
  & MetricWords
  & (
    | { readonly type: "counter" | "gauge"; readonly read: (now: Snapshot) => readonly Sample[] }
    | { readonly type: "histogram"; readonly read: (now: Snapshot) => Histogram | undefined }
  );

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

/** What is measured of a run. Counters count from the start of the process. */
export const METRICS: readonly Metric[] = [
  {
    name: "pg2kinesis_changes_total",
    help: "Row changes, truncates and logical messages received from the slot.",
    more:
      "Of logical messages, those that `--message-prefix` names. A change that comes again after a reconnect in the middle of its transaction is counted once.",
    type: "counter",
    read: one(({ progress }) => progress.changes),
  },
  {
    name: "pg2kinesis_transactions_total",
    help: "Transactions received completely.",
    type: "counter",
    read: one(({ progress }) => progress.transactions),
  },
  {
    name: "pg2kinesis_received_bytes_total",
    help: "Bytes of the output plugin's messages.",
    type: "counter",
    read: one(({ progress }) => progress.bytes),
  },
  {
    name: "pg2kinesis_filtered_changes_total",
    help: "Changes that the filters or the formatter left out.",
    type: "counter",
    read: one(({ progress }) => progress.filtered),
  },
  {
    name: "pg2kinesis_skipped_changes_total",
    help: "Changes left out because a policy says so, by reason.",
    more:
      "`no_key` (`--on-missing-pkey`), `key_not_sent` and `left_out_by_server` (`--on-plugin-skip`), `unknown_table` (`--on-unknown-table`) and `oversize` (`--on-oversize skip`). `ambiguous_message` counts logical messages that can be read in two ways.",
    type: "counter",
    labels: ["reason"],
    read: ({ progress }) =>
      SKIP_REASONS.map((reason) => ({ labels: { reason }, value: progress.skipped[reason] })),
  },
  {
    name: "pg2kinesis_key_only_changes_total",
    help: "Changes published without their columns because the stream takes no record that large.",
    more: "With `--on-oversize key-only`.",
    type: "counter",
    read: one(({ progress }) => progress.keyOnly),
  },
  {
    name: "pg2kinesis_records_total",
    help: "User records made of changes and handed to the writer.",
    more: "One for each change, except for truncates and your own formatters.",
    type: "counter",
    read: one(({ writer }) => writer?.userRecords ?? 0),
  },
  {
    name: "pg2kinesis_puts_total",
    help: "Requests sent to Kinesis, including those that failed.",
    type: "counter",
    read: one(({ writer }) => writer?.puts ?? 0),
  },
  {
    name: "pg2kinesis_put_records_total",
    help: "Kinesis records stored; an aggregate is one.",
    more: "A record stored twice is counted twice.",
    type: "counter",
    read: one(({ writer }) => writer?.records ?? 0),
  },
  {
    name: "pg2kinesis_put_bytes_total",
    help: "Bytes of the Kinesis records stored, including their partition keys.",
    more: "The same bytes that a shard's limit counts.",
    type: "counter",
    read: one(({ writer }) => writer?.bytes ?? 0),
  },
  {
    name: "pg2kinesis_put_retries_total",
    help: "Puts, or parts of puts, that failed and were sent again, by reason.",
    more:
      "`throttled` (the shard's throughput), `service` (an error of Kinesis), `network`, `credentials` (expired), `refused` (by a shard that may have closed).",
    type: "counter",
    labels: ["reason"],
    read: ({ writer }) =>
      FAILURE_REASONS.map((reason) => ({
        labels: { reason },
        value: writer?.failures[reason] ?? 0,
      })),
  },
  {
    name: "pg2kinesis_resent_records_total",
    help: "User records sent again although an earlier put stored them, or may have: duplicates.",
    more:
      "The answer to the put was lost, or a reshard moved the records. What is published again after a restart is not counted, nor is a put that Deno's HTTP client repeats by itself when a kept connection is cut (before anything later of that shard is sent).",
    type: "counter",
    read: one(({ writer }) => writer?.resent ?? 0),
  },
  {
    name: "pg2kinesis_reshards_total",
    help: "Splits and merges of the stream that were followed.",
    type: "counter",
    read: one(({ writer }) => writer?.reshards ?? 0),
  },
  {
    name: "pg2kinesis_reconnects_total",
    help: "Times the connection to PostgreSQL was lost and reopened.",
    type: "counter",
    read: one(({ source }) => source?.reconnects ?? 0),
  },
  {
    name: "pg2kinesis_backfill_rows_total",
    help: "Records published of rows that were in a table before.",
    more: "Rows that were read again are counted again.",
    type: "counter",
    read: one(({ backfill }) => backfill.totals.rows),
  },
  {
    name: "pg2kinesis_backfill_rows_read_again_total",
    help: "Rows that a backfill read again because a change met them.",
    type: "counter",
    read: one(({ backfill }) => backfill.totals.readAgain),
  },
  {
    name: "pg2kinesis_backfill_wait_seconds_total",
    help: "Time for which backfills waited, by cause.",
    more:
      "`writer` (an open transaction that wrote to the table), `behind` (the run catches up with the changes), `kinesis`, `lock` (a lock on the table), `rate` (the limit of rows per second), `connection` (to the primary).",
    labels: ["cause"],
    type: "counter",
    read: ({ backfill }) =>
      WAIT_CAUSES.map((cause) => ({ labels: { cause }, value: backfill.totals.waited[cause] })),
  },
  {
    name: "pg2kinesis_backfill_tables_given_up_total",
    help: "Tables whose backfill was refused or given up; the log says why.",
    type: "counter",
    read: one(({ backfill }) => backfill.totals.tablesGivenUp),
  },
  {
    name: "pg2kinesis_backfill_malformed_messages_total",
    help: "Logical messages with the prefix of backfills that are none.",
    more: "Anyone who may execute `pg_logical_emit_message` can write them.",
    type: "counter",
    read: one(({ backfill }) => backfill.totals.malformedMessages),
  },
  {
    name: "pg2kinesis_backfill_tables_pending",
    help: "Tables of open backfills that are not finished.",
    type: "gauge",
    read: one(({ backfill }) => backfill.tablesPending),
  },
  {
    name: "pg2kinesis_backfill_rows",
    help: "Records that open backfills have published so far.",
    type: "gauge",
    read: one(({ backfill }) => backfill.rows),
  },
  {
    name: "pg2kinesis_backfill_expected_rows",
    help: "Rows that the tables of open backfills have, by the server's estimate.",
    more:
      "Left out where the number is not known (a row filter, or more rows than estimated). 0 without an open backfill.",
    type: "gauge",
    read: one(({ backfill }) => backfill.expected),
  },
  {
    name: "pg2kinesis_connected",
    help: "1 while the slot is followed, otherwise 0.",
    type: "gauge",
    read: one(({ source }) => source?.isConnected ? 1 : 0),
  },
  {
    name: "pg2kinesis_lag_bytes",
    help: "WAL from the confirmed flush LSN to the end of the server's WAL, whoever wrote it.",
    more: "See [The lag](#the-lag).",
    type: "gauge",
    read: one(({ lag }) => lag.bytes),
  },
  {
    name: "pg2kinesis_lag_seconds",
    help: "Age of the oldest commit that is not completely stored; 0 when everything is stored.",
    more: "See [The lag](#the-lag).",
    type: "gauge",
    read: one(({ lag }) => lag.seconds),
  },
  {
    name: "pg2kinesis_slot_retained_wal_bytes",
    help: "WAL that the slot keeps the server from removing.",
    more:
      "Measured from its `restart_lsn`. Long transactions hold that back too, so this can grow while the lag in bytes stays small.",
    type: "gauge",
    read: one(({ slot }) => slot?.retainedBytes),
  },
  {
    name: "pg2kinesis_slot_safe_wal_bytes",
    help: "WAL that can still be written before the slot may be lost (max_slot_wal_keep_size).",
    more:
      "The server's `safe_wal_size`. Absent without `max_slot_wal_keep_size`, nor before PostgreSQL 13.",
    type: "gauge",
    read: one(({ slot }) => slot?.safeWalBytes),
  },
  {
    name: "pg2kinesis_slot_wal_status",
    help: "1 for the server's wal_status of the slot, 0 for the others.",
    more: "`reserved`, `extended`, `unreserved` or `lost`. Absent before PostgreSQL 13.",
    type: "gauge",
    labels: ["status"],
    read: ({ slot }) =>
      slot?.walStatus === undefined ? [] : WAL_STATUSES.map((status) => ({
        labels: { status },
        value: status === slot.walStatus ? 1 : 0,
      })),
  },
  {
    name: "pg2kinesis_slot_asked_timestamp_seconds",
    help:
      "When the server last answered about the slot and the end of its WAL, in seconds since 1970.",
    type: "gauge",
    read: one(({ slot }) => slot === undefined ? undefined : slot.askedAtMs / 1000),
  },
  {
    name: "pg2kinesis_buffer_bytes",
    help: "Bytes in memory that are not published yet, by buffer.",
    more:
      "`read`: received and not decoded. `write`: handed to the writer and not acknowledged; at 4 MiB reading stops.",
    type: "gauge",
    labels: ["buffer"],
    read: ({ source, writer }) => [
      { labels: { buffer: "read" }, value: source?.waitingBytes ?? 0 },
      { labels: { buffer: "write" }, value: writer?.pendingBytes ?? 0 },
    ],
  },
  {
    name: "pg2kinesis_lanes",
    help: "Open shards; each is written to by a lane of its own.",
    type: "gauge",
    read: one(({ writer }) => writer?.shards.length ?? 0),
  },
  {
    name: "pg2kinesis_put_duration_seconds",
    help: "Time from a put to its answer.",
    more: "Puts that failed are not counted.",
    type: "histogram",
    read: ({ writer }) => writer?.putSeconds,
  },
  {
    name: "pg2kinesis_commit_to_acknowledged_seconds",
    help: "Time from a commit to Kinesis' acknowledgement of the transaction's last record.",
    more:
      "The commit's time is the server's; the difference between the clocks is measured and subtracted. Transactions without a published change are not counted.",
    type: "histogram",
    read: ({ commitSeconds }) => commitSeconds,
  },
];
