import { UsageError } from "../base/errors.ts";
import { connectKinesis } from "../kinesis/client/kinesis_client.ts";
import { systemClock } from "../base/clock.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import { tail as readBack } from "../tail/tail.ts";
import type { TailOptions } from "../tail/tail_options.ts";
import { openStdout } from "./stdout.ts";
import { onStopSignal } from "../run/stop_signal.ts";

/** Kinesis refuses times in the future; clocks differ a little. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * Reads a stream back to stdout; a stop signal ends it well.
 * @throws {RunError} one line for the operator; or a `UsageError`.
 */
export async function tail(options: TailOptions): Promise<void> {
  const { from } = options;
  if (from.kind === "time" && from.atMs > systemClock.wall() + CLOCK_TOLERANCE_MS) {
    throw new UsageError(`--from ${new Date(from.atMs).toISOString()} lies in the future`);
  }
  using stop = onStopSignal();
  const { signal } = stop;
  const apis = new Map<string | undefined, Awaited<ReturnType<typeof connectKinesis>>>();
  try {
    for (const region of new Set(options.streams.map(regionOf))) {
      apis.set(region, await connectKinesis({ region, signal }));
    }
    await readBack(options, {
      apiOf: (stream) => apis.get(regionOf(stream))!,
      sink: openStdout(signal),
      clock: systemClock,
      now: systemClock.wall,
      random: Math.random,
      signal,
    });
  } catch (error) {
    // Stopped before there was anything to read.
    if (!signal.aborted || error !== signal.reason) throw error;
  } finally {
    for (const api of apis.values()) api.close();
  }
}

/** Undefined: the one of the AWS settings. */
const regionOf = (stream: string) => parseStreamArn(stream)?.region;
