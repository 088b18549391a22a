import { assert, assertEquals, assertThrows } from "@std/assert";
import { Histogram } from "../../src/base/histogram.ts";
import { type Metric, METRICS } from "../../src/telemetry/metrics.ts";
import { metricText, prometheusText } from "../../src/telemetry/prometheus.ts";
import { parseExposition } from "../support/exposition.ts";
import { madeUpSnapshot } from "../support/made_up_snapshots.ts";

/** A run with something to say of every metric. */
const SNAPSHOT = madeUpSnapshot({
  changes: 12_345_678_901,
  bytes: 1.5,
  puts: 7,
  throttled: 3,
  retainedBytes: 2e21,
  safeWalBytes: -1,
  lag: { bytes: 17, seconds: 0.25 },
  shards: [{ bytes: 9 }, { shardId: 'a "quoted" \\ shard\nof two lines' }],
});

const hasPromtool = isThere("promtool");
if (!hasPromtool) console.warn("skipped: promtool is not installed");

Deno.test({
  name: "promtool finds no fault with prometheusText",
  ignore: !hasPromtool,
  fn: async () => {
    // Where little is known yet there are metrics without a sample.
    const early = { ...madeUpSnapshot(), source: undefined, writer: undefined };
    for (const snapshot of [SNAPSHOT, early]) {
      assertEquals(await checkMetrics(prometheusText(snapshot)), { code: 0, output: "" });
    }
    const { code } = await checkMetrics("# TYPE a counter\na 1\n");
    assertEquals(code, 3, "promtool finds a fault where there is one");
  },
});

Deno.test("prometheusText says of each metric what METRICS reads, with its labels", () => {
  const families = new Map(
    parseExposition(prometheusText(SNAPSHOT)).map((family) => [family.name, family]),
  );
  for (const metric of METRICS) {
    const family = families.get(metric.name)!;
    assertEquals([family.help, family.type], [metric.help, metric.type]);
    if (metric.type === "histogram") continue;
    const expected = metric.read(SNAPSHOT).filter(({ value }) => value !== undefined)
      .map(({ labels = {}, value }) => ({ name: metric.name, labels, value: value! }));
    assertEquals(family.samples, expected);
    assert(expected.length > 0, `${metric.name}: nothing to compare`);
    for (const { labels } of expected) {
      assertEquals(Object.keys(labels), [...metric.labels ?? []], metric.name);
    }
  }
  for (const { name, samples } of families.values()) {
    assert(samples.length > 0 && samples.every(({ value }) => !Number.isNaN(value)), name);
  }
});

Deno.test("metricText counts a histogram's buckets from below", () => {
  const histogram = new Histogram([0.5, 2]);
  for (const value of [0.25, 0.5, 1, 100]) histogram.observe(value);
  const text = metricText(
    { name: "h", help: "H.", type: "histogram", read: () => histogram },
    SNAPSHOT,
  );
  assertEquals(
    text,
    `\
# HELP h H.
# TYPE h histogram
h_bucket{le="0.5"} 2
h_bucket{le="2"} 3
h_bucket{le="+Inf"} 4
h_sum 101.75
h_count 4
`,
  );
  parseExposition(text);
});

Deno.test("metricText writes down whatever numbers and texts there are", () => {
  const values = [0, -0, 1e21, 1e-7, 0.1 + 0.2, Infinity, -Infinity, NaN, 2 ** 53];
  const texts = ["", "\\", '"', "\n", 'a\\n"b"\\\\\n', "ä€𝄞", 'x,y="z"}', "\\\\n"];
  const metric: Metric = {
    name: "m",
    help: "a \\ and a\nline \\n.",
    type: "gauge",
    read: () =>
      texts.flatMap((text) =>
        values.map((value, place) => ({ labels: { text, place: String(place) }, value }))
      ),
  };
  const [family] = parseExposition(metricText(metric, SNAPSHOT));
  assertEquals(family!.help, metric.help);
  assertEquals(
    family!.samples.map(({ labels, value }) => [labels.text, value]),
    texts.flatMap((text) => values.map((value) => [text, value === 0 ? 0 : value])),
  );
});

Deno.test("parseExposition takes no text that Prometheus would not", () => {
  const head = "# HELP a A.\n# TYPE a gauge\n";
  for (
    const wrong of [
      `${head}a 1`,
      `${head}a 1\na 2\n`,
      `${head}b 1\n`,
      `${head}a one\n`,
      `${head}a\n`,
      `${head}a{x="y" 1\n`,
      `${head}a{x=y} 1\n`,
      `${head}a{x="\\t"} 1\n`,
      `${head}a{x="y",} 1\n`,
      `${head}a{x="y",x="z"} 1\n`,
      `${head}${head}`,
      "# HELP a A.\na 1\n",
      "a 1\n",
    ]
  ) assertThrows(() => parseExposition(wrong), Error, undefined, wrong);
});

async function checkMetrics(text: string): Promise<{ code: number; output: string }> {
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [{ code, stdout, stderr }] = await Promise.all([
    child.output(),
    new Blob([text]).stream().pipeTo(child.stdin),
  ]);
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function isThere(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}
