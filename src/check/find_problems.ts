import { connectKinesis } from "../kinesis/client/kinesis_client.ts";
import { callerIdentity } from "../kinesis/client/caller_identity.ts";
import { systemClock } from "../base/clock.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import type { RunOptions } from "../options.ts";
import { type Finding, Findings } from "./finding.ts";
import { checkPostgres } from "./postgres_checks.ts";
import { checkStream } from "./stream_checks.ts";
import { checkMetricsAddress } from "./telemetry_checks.ts";

/**
 * Looks at everything that could stop a run with these options, and changes nothing. PostgreSQL's side
 * comes first, in the order in which a run would meet it.
 */
export async function findProblems(options: RunOptions, signal: AbortSignal): Promise<Finding[]> {
  const postgres = new Findings();
  const stream = new Findings();
  const host = new Findings();
  await Promise.all([
    checkMetricsAddress(options.telemetry.metricsAddress, host),
    checkPostgres(options, postgres, signal),
    checkStream(options.stream, {
      connect: () =>
        connectKinesis({ region: parseStreamArn(options.stream.name)?.region, signal }),
      identify: callerIdentity,
      clock: systemClock,
      random: Math.random,
      signal,
    }, stream),
  ]);
  return [...postgres.all, ...stream.all, ...host.all];
}
