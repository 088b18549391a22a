import { connectKinesis } from "../kinesis/client/kinesis_client.ts";
import { callerIdentity } from "../kinesis/client/caller_identity.ts";
import { systemClock } from "../base/clock.ts";
import type { RunOptions } from "../options.ts";
import { checkAllStreams } from "./all_streams_checks.ts";
import { type Finding, Findings } from "./finding.ts";
import { checkPostgres } from "./postgres_checks.ts";
import type { StreamTables } from "./route_checks.ts";
import { checkMetricsAddress } from "./telemetry_checks.ts";

/**
 * Looks at everything that could stop a run with these options, and changes nothing. PostgreSQL's side
 * comes first, in the order in which a run would meet it.
 */
export async function findProblems(options: RunOptions, signal: AbortSignal): Promise<Finding[]> {
  const postgres = new Findings();
  const stream = new Findings();
  const host = new Findings();
  const tables = Promise.withResolvers<StreamTables>();
  await Promise.all([
    checkMetricsAddress(options.telemetry.metricsAddress, host),
    checkPostgres(options, postgres, signal, tables.resolve).finally(() =>
      tables.resolve(new Map())
    ),
    checkAllStreams(
      options,
      {
        connect: (region) => connectKinesis({ region, signal }),
        identify: callerIdentity,
        clock: systemClock,
        random: Math.random,
        signal,
      },
      tables.promise,
      stream,
    ),
  ]);
  return [...postgres.all, ...stream.all, ...host.all];
}
