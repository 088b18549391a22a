import process from "node:process";
import { VERSION } from "../base/version.ts";
import { systemClock } from "../base/clock.ts";
import type { Metric } from "./metrics.ts";

const STARTED_SECONDS = (systemClock.wall() - systemClock.now()) / 1000;

/** What is measured of the process, by the names that every Prometheus client gives it. */
export const PROCESS_METRICS: readonly Metric[] = [
  {
    name: "process_cpu_seconds_total",
    help: "User and system CPU time of the process.",
    type: "counter",
    read: () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6 }];
    },
  },
  {
    name: "process_resident_memory_bytes",
    help: "Resident memory of the process.",
    type: "gauge",
    read: () => [{ value: Deno.memoryUsage().rss }],
  },
  {
    name: "process_start_time_seconds",
    help: "When the process started, in seconds since 1970.",
    type: "gauge",
    read: () => [{ value: STARTED_SECONDS }],
  },
  {
    name: "pg2kinesis_build_info",
    help: "1, with the version of pg2kinesis and of the Deno inside.",
    type: "gauge",
    labels: ["version", "deno"],
    read: () => [{ value: 1, labels: { version: VERSION, deno: Deno.version.deno } }],
  },
];
