import { UsageError } from "../base/errors.ts";
import type { Settings } from "./build_run_options.ts";
import type { ListenAddress, LogOptions } from "../options.ts";

/** What `pg2kinesis health` was asked for. */
export interface HealthOptions {
  readonly address: ListenAddress;
  /** Whether it is to be ready too, not only alive. */
  readonly ready: boolean;
  readonly log: LogOptions;
}

/** Fits the flags of `health` to each other. */
export function buildHealthOptions({ values, nameOf }: Settings): HealthOptions {
  const { metricsAddr: address, ready } = values;
  if (address === undefined) {
    throw new UsageError(
      "pg2kinesis health needs --metrics-addr HOST:PORT, as the run has it; it may be in " +
        "PG2KINESIS_METRICS_ADDR or in the --config file",
    );
  }
  if (address.port === 0) {
    throw new UsageError(
      `${
        nameOf("metricsAddr")
      }: with port 0 the run takes any free port, which health cannot know; ` +
        "give the run a port",
    );
  }
  return { address, ready, log: { format: values.logFormat, level: values.logLevel } };
}
