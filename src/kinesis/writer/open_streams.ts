import { systemClock } from "../../base/clock.ts";
import type { StreamOptions } from "../../options.ts";
import { connectKinesis } from "../client/kinesis_client.ts";
import { StreamSet } from "./stream_set.ts";

/** The streams of a run on Kinesis itself; none is opened yet. */
export function openStreams(
  options: StreamOptions,
  signal: AbortSignal,
  mayPut: () => boolean,
): StreamSet {
  const { wire } = options;
  return new StreamSet({
    streams: options,
    connect: (region) => connectKinesis({ region, wire, signal }),
    clock: systemClock,
    random: Math.random,
    ...{ signal, mayPut },
  });
}
