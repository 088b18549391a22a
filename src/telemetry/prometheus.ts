import process from "node:process";
import { type Metric as PrometheusMetric, Registry } from "prom-client";
import { systemClock } from "../clock.ts";
import { VERSION } from "../cli/version.ts";
import type { Histogram } from "./histogram.ts";
import { type Metric, METRIC_PREFIX, METRICS, type Sample } from "./metrics.ts";
import type { Snapshot } from "./snapshot.ts";

/** What the library's registry asks of a metric, as its `getMetricsAsString` reads it. */
interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: Metric["type"];
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly metricName?: string;
  }[];
}

/** The text that Prometheus scrapes. */
export class PrometheusText {
  readonly #registry = new Registry();
  #now: Snapshot | undefined;

  constructor() {
    for (const metric of METRICS) {
      const name = METRIC_PREFIX + metric.name;
      this.#register(name, () => collect(name, metric, this.#now!));
    }
    for (const { name, help, type, read } of PROCESS_METRICS) {
      this.#register(name, () => ({ name, help, type, values: valuesOf(read()) }));
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(now: Snapshot): Promise<string> {
    this.#now = now;
    return this.#registry.metrics();
  }

  /** The counts are kept by the stages; the library only writes them down. */
  #register(name: string, get: () => Collected): void {
    this.#registry.registerMetric({ name, get } as unknown as PrometheusMetric);
  }
}

function collect(name: string, metric: Metric, now: Snapshot): Collected {
  const { help, type } = metric;
  if (metric.type !== "histogram") return { name, help, type, values: valuesOf(metric.read(now)) };
  const histogram = metric.read(now);
  return { name, help, type, values: histogram === undefined ? [] : bucketsOf(name, histogram) };
}

function valuesOf(samples: readonly Sample[]): Collected["values"] {
  return samples.flatMap(({ labels = {}, value }) =>
    value === undefined ? [] : [{ labels, value }]
  );
}

function bucketsOf(name: string, { bounds, counts, count, sum }: Histogram): Collected["values"] {
  let below = 0;
  const buckets = [...bounds, "+Inf"].map((le, place) => ({
    labels: { le },
    value: below += counts[place]!,
    metricName: `${name}_bucket`,
  }));
  return [
    ...buckets,
    { labels: {}, value: sum, metricName: `${name}_sum` },
    { labels: {}, value: count, metricName: `${name}_count` },
  ];
}

const STARTED_SECONDS = (systemClock.wall() - systemClock.now()) / 1000;

/** The library's own process metrics read Node's insides, which give zeros and NaN under Deno. */
const PROCESS_METRICS = [
  {
    name: "process_cpu_seconds_total",
    help: "User and system CPU time.",
    type: "counter",
    read: () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6 }];
    },
  },
  {
    name: "process_resident_memory_bytes",
    help: "Resident memory.",
    type: "gauge",
    read: () => [{ value: Deno.memoryUsage().rss }],
  },
  {
    name: "process_start_time_seconds",
    help: "Start of the process, since 1970.",
    type: "gauge",
    read: () => [{ value: STARTED_SECONDS }],
  },
  {
    name: "pg2kinesis_build_info",
    help: "1, with the version of pg2kinesis and of the runtime inside.",
    type: "gauge",
    read: () => [{ value: 1, labels: { version: VERSION, deno: Deno.version.deno } }],
  },
] as const satisfies readonly (Pick<Collected, "name" | "help" | "type"> & {
  readonly read: () => readonly Sample[];
})[];
