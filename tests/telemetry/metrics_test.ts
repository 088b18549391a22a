import { assert, assertEquals, assertMatch } from "@std/assert";
import { METRIC_PREFIX, METRICS } from "../../src/telemetry/metrics.ts";

Deno.test("METRICS are named and explained as Prometheus asks for", () => {
  assertEquals(new Set(METRICS.map(({ name }) => name)).size, METRICS.length);
  for (const { name, type, help } of METRICS) {
    assertMatch(name, /^[a-z][a-z_]+$/);
    assertEquals(name.endsWith("_total"), type === "counter", name);
    assertMatch(help, /^[A-Z0-9].*\.$/);
    assert(!/milliseconds|_ms\b|_mb\b/.test(name), `${name}: seconds and bytes`);
  }
});

Deno.test("docs/metrics.md explains each metric, with its type, and no other", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/metrics.md", import.meta.url));
  const table = text.slice(text.indexOf("## Every metric"), text.indexOf("Beside them"));
  const documented = [...table.matchAll(/^\| `(\w+)(?:\{[\w,]+\})?` +\| (\w+) +\|/gm)]
    .map(([, name, type]) => `${type} ${name}`);
  const known = METRICS.map(({ name, type }) => `${type} ${name}`);
  assertEquals(documented.sort(), [...known, "gauge build_info"].sort());
  for (const [, name] of text.matchAll(/\bpg2kinesis_(\w+)/g)) {
    const base = name!.replace(/_bucket$/, "");
    assert(METRICS.some((metric) => metric.name === base), `${METRIC_PREFIX}${name} is no metric`);
  }
});
