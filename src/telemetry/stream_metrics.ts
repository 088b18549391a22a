import { addUp, type FailureReason, type StreamStats } from "../base/writer_stats.ts";
import { blockingStream } from "./condition.ts";
import type { Metric, Sample } from "./metrics.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** Streams with metrics of their own; a template may create one per table. The rest are counted together. */
const MAX_STREAMS = 250;
const OTHERS = "(other)";

const FAILURE_REASONS: readonly FailureReason[] = [
  "throttled",
  "service",
  "network",
  "credentials",
  "refused",
];

/** The streams with labels of their own, and one more for all others. */
export function labelledStreams({ writer }: Pick<Snapshot, "writer">): readonly StreamStats[] {
  const streams = writer?.streams ?? [];
  if (streams.length <= MAX_STREAMS) return streams;
  const rest = streams.slice(MAX_STREAMS);
  const [failing] = rest.flatMap(({ failing }) => failing ?? [])
    .toSorted((a, b) => b.seconds - a.seconds);
  return [...streams.slice(0, MAX_STREAMS), { ...addUp(rest), stream: OTHERS, failing }];
}

const perStream = (read: (stream: StreamStats) => number) => (now: Snapshot): Sample[] =>
  labelledStreams(now).map((stats) => ({ labels: { stream: stats.stream }, value: read(stats) }));

const perShard = (read: (shard: StreamStats["shards"][number]) => number) => (now: Snapshot) =>
  labelledStreams(now).filter(({ stream }) => stream !== OTHERS).flatMap(({ shards }) =>
    shards.map((shard) => ({
      labels: { stream: shard.stream, shard: shard.shardId },
      value: read(shard),
    }))
  );

/** What is measured of each stream and its shards. */
export const STREAM_METRICS: readonly Metric[] = [
  {
    name: "pg2kinesis_streams",
    help: "Streams that have been opened.",
    more:
      "With `--route`, a stream whose name is made of a table's is opened when it is first needed.",
    type: "gauge",
    read: ({ writer }) => [{ value: writer?.streams.length ?? 0 }],
  },
  {
    name: "pg2kinesis_stream_records_total",
    help: "User records handed to the writer of a stream.",
    more:
      `The first ${MAX_STREAMS} streams of a run have a label of their own, here and below; the others ` +
      `are counted together under \`${OTHERS}\`.`,
    type: "counter",
    labels: ["stream"],
    read: perStream(({ userRecords }) => userRecords),
  },
  {
    name: "pg2kinesis_stream_puts_total",
    help: "Requests sent to a stream, including those that failed.",
    type: "counter",
    labels: ["stream"],
    read: perStream(({ puts }) => puts),
  },
  {
    name: "pg2kinesis_stream_put_bytes_total",
    help: "Bytes stored in a stream, including the partition keys.",
    type: "counter",
    labels: ["stream"],
    read: perStream(({ bytes }) => bytes),
  },
  {
    name: "pg2kinesis_stream_put_retries_total",
    help: "Puts into a stream, or parts of them, that failed and were sent again, by reason.",
    type: "counter",
    labels: ["stream", "reason"],
    read: (now) =>
      labelledStreams(now).flatMap(({ stream, failures }) =>
        FAILURE_REASONS.map((reason) => ({ labels: { stream, reason }, value: failures[reason] }))
      ),
  },
  {
    name: "pg2kinesis_stream_buffer_bytes",
    help: "Bytes that wait for a stream.",
    more: "All streams share one bound ([buffer_bytes](#every-metric)).",
    type: "gauge",
    labels: ["stream"],
    read: perStream(({ pendingBytes }) => pendingBytes),
  },
  {
    name: "pg2kinesis_stream_lanes",
    help: "Open shards of a stream.",
    type: "gauge",
    labels: ["stream"],
    read: perStream(({ shards }) => shards.length),
  },
  {
    name: "pg2kinesis_stream_failing_seconds",
    help: "For how long the puts into a stream have been failing; 0 while they do not.",
    type: "gauge",
    labels: ["stream"],
    read: perStream(({ failing }) => failing?.seconds ?? 0),
  },
  {
    name: "pg2kinesis_stream_holds_up",
    help: "1 for the stream that all others wait for, 0 for the others.",
    more: "When the memory that the streams share is full, the one that fills most of it.",
    type: "gauge",
    labels: ["stream"],
    read: (now) => {
      const cause = now.writer && blockingStream(now.writer);
      return perStream(({ stream }) => stream === cause ? 1 : 0)(now);
    },
  },
  {
    name: "pg2kinesis_shard_put_bytes_total",
    help: "Bytes stored in an open shard.",
    more: "Its rate over 1 MiB/s says how full a provisioned shard is.",
    type: "counter",
    labels: ["stream", "shard"],
    read: perShard(({ bytes }) => bytes),
  },
  {
    name: "pg2kinesis_shard_throttles_total",
    help: "Puts, or parts of puts, that an open shard refused for its throughput.",
    type: "counter",
    labels: ["stream", "shard"],
    read: perShard(({ throttled }) => throttled),
  },
  {
    name: "pg2kinesis_shard_buffer_bytes",
    help: "Bytes that wait for an open shard.",
    type: "gauge",
    labels: ["stream", "shard"],
    read: perShard(({ pendingBytes }) => pendingBytes),
  },
];
