import type { Histogram } from "../base/histogram.ts";
import { type Metric, METRICS, type Sample } from "./metrics.ts";
import { PROCESS_METRICS } from "./process_metrics.ts";
import { STREAM_METRICS } from "./stream_metrics.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** Of the text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The text that Prometheus scrapes. */
export function prometheusText(now: Snapshot): string {
  return [...METRICS, ...STREAM_METRICS, ...PROCESS_METRICS].map((metric) =>
    metricText(metric, now)
  ).join("");
}

/** A metric's lines: help, type and a line for each sample whose value is known. */
export function metricText(metric: Metric, now: Snapshot): string {
  const { name, help, type } = metric;
  const samples = metric.type === "histogram"
    ? histogramLines(name, metric.read(now))
    : metric.read(now).map((sample) => sampleLine(name, sample));
  return `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n` +
    samples.join("");
}

function histogramLines(name: string, histogram: Histogram | undefined): string[] {
  if (histogram === undefined) return [];
  const { bounds, counts, count, sum } = histogram;
  let below = 0;
  return [
    ...[...bounds, Infinity].map((bound, place) =>
      sampleLine(`${name}_bucket`, {
        labels: { le: numberText(bound) },
        value: below += counts[place]!,
      })
    ),
    sampleLine(`${name}_sum`, { value: sum }),
    sampleLine(`${name}_count`, { value: count }),
  ];
}

function sampleLine(name: string, { labels = {}, value }: Sample): string {
  if (value === undefined) return "";
  const pairs = Object.entries(labels).map(([label, text]) =>
    `${label}="${text.replace(/[\\"\n]/g, escaped)}"`
  );
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberText(value)}\n`;
}

const escaped = (char: string) => char === "\n" ? "\\n" : `\\${char}`;

/** As Go's ParseFloat reads it. */
const numberText = (value: number): string =>
  Math.abs(value) === Infinity ? (value > 0 ? "+Inf" : "-Inf") : String(value);
