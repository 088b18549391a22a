import { assert, assertEquals, assertMatch } from "@std/assert";
import { renderMetricReference } from "../../src/telemetry/metric_reference.ts";
import { METRICS } from "../../src/telemetry/metrics.ts";
import { PROCESS_METRICS } from "../../src/telemetry/process_metrics.ts";
import { STREAM_METRICS } from "../../src/telemetry/stream_metrics.ts";
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
