import type { RecordWriter } from "../../base/record_writer.ts";
import type { StreamOptions } from "../../options.ts";
import { connectKinesis } from "../client/kinesis_client.ts";
import { systemClock } from "../../base/clock.ts";
import { openStream } from "../stream/open_stream.ts";
import { parseStreamArn } from "../client/stream_arn.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Connects to Kinesis, finds or makes the stream, and opens a writer on it. */
export async function openWriter(
  options: StreamOptions,
  signal: AbortSignal,
  mayPut: () => boolean = () => true,
): Promise<RecordWriter> {
  const api = await connectKinesis({
    region: parseStreamArn(options.name)?.region,
    wire: options.wire,
    signal,
  });
  try {
    const stream = await openStream(api, options, systemClock, Math.random, signal);
    const { aggregation, lingerMs } = options;
    return new StreamWriter({
      ...{ api, stream, aggregation, lingerMs, mayPut },
      clock: systemClock,
      random: Math.random,
    });
  } catch (error) {
    api.close();
    throw error;
  }
}
