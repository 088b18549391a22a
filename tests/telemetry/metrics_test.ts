import { assert, assertEquals, assertMatch } from "@std/assert";
import { renderMetricReference } from "../../src/telemetry/metric_reference.ts";
import { METRICS, type Sample } from "../../src/telemetry/metrics.ts";
import { PROCESS_METRICS } from "../../src/telemetry/process_metrics.ts";
import type { Failing, StreamStats, WriterStats } from "../../src/base/writer_stats.ts";
import type { Snapshot } from "../../src/telemetry/run_snapshot.ts";
import { labelledStreams, STREAM_METRICS } from "../../src/telemetry/stream_metrics.ts";
import { withGeneratedPart } from "../support/generated_part.ts";

const ALL = [...METRICS, ...STREAM_METRICS, ...PROCESS_METRICS];

Deno.test("METRICS are named and explained as Prometheus asks for", () => {
  assertEquals(new Set(ALL.map(({ name }) => name)).size, ALL.length);
  for (const { name, type, help } of ALL) {
    assertMatch(name, /^(pg2kinesis|process)_[a-z_]+$/);
    assertEquals(name.endsWith("_total"), type === "counter", name);
    assertMatch(help, /^[A-Z0-9].*\.$/);
    assert(!/milliseconds|_ms\b|_mb\b/.test(name), `${name}: seconds and bytes`);
  }
});

Deno.test("docs/metrics.md has the reference of METRICS, and names no other metric", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/metrics.md", import.meta.url));
  assert(
    page === withGeneratedPart(page, "metrics", renderMetricReference()),
    "docs/metrics.md is stale; run: deno run -A scripts/references.ts",
  );
  for (const [name] of page.matchAll(/\bpg2kinesis_\w+/g)) {
    const base = name.replace(/_bucket$/, "");
    assert(ALL.some((metric) => metric.name === base), `${name} is no metric`);
  }
});

Deno.test("renderMetricReference has a row for every metric, with its type and its labels", () => {
  const rows = renderMetricReference().trimEnd().split("\n").slice(2);
  assertEquals(rows.length, ALL.length);
  // A bar in a cell would break the table.
  for (const row of rows) assertEquals(row.split("|").length, 5, row);
  assert(
    rows.some((row) => row.startsWith("| `pg2kinesis_put_retries_total{reason}` | counter | ")),
  );
});

Deno.test("STREAM_METRICS: 250 streams have labels of their own, all others are counted together", () => {
  const stream = (name: string, failing?: Failing): StreamStats => ({
    ...{
      stream: name,
      userRecords: 2,
      region: "us-east-1",
      puts: 1,
      records: 1,
      bytes: 10,
      failing,
    },
    ...{ resent: 0, reshards: 0, pendingBytes: 5 },
    failures: { throttled: 1, service: 0, network: 0, credentials: 0, refused: 0 },
    shards: [{
      ...{ stream: name, shardId: "shard", pendingBytes: 5, puts: 1, bytes: 10, throttled: 1 },
    }],
  });
  const names = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
  const failing = { seconds: 7, reason: "throttled", shards: 1 };
  const streams = names.map((name) => stream(name, name === "s900" ? failing : undefined));
  const labelled = labelledStreams({ writer: { streams } as unknown as WriterStats });
  assertEquals(labelled.map(({ stream }) => stream), [...names.slice(0, 250), "(other)"]);
  assertEquals(labelled.reduce((sum, { userRecords }) => sum + userRecords, 0), 2_000);
  assertEquals(labelled.at(-1)!.failing, failing);
  for (const { name, read } of STREAM_METRICS) {
    const samples = read({ writer: { streams, shards: [] } } as unknown as Snapshot);
    if (!Array.isArray(samples)) continue;
    const labels = new Set(samples.map(({ labels }: Sample) => JSON.stringify(labels)));
    assert(labels.size <= 251 * 5, `${name} has ${labels.size}`);
    assertEquals(labels.size, samples.length, name);
  }
});
