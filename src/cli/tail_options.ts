import { UsageError } from "../errors.ts";
import type { TailOptions } from "../tail/tail_options.ts";
import type { Settings } from "./run_options.ts";

/** Fits the flags of `tail` to each other. */
export function buildTailOptions({ values }: Settings): TailOptions {
  const { from, follow, shard, verify, expectAll } = values;
  if (from.kind === "latest" && !follow) {
    throw new UsageError("--from latest gives nothing without --follow: nothing is newer than now");
  }
  if (expectAll) {
    if (!verify) throw new UsageError("--expect-all has no effect without --verify");
    const without = from.kind !== "oldest"
      ? "--from: its first transactions would lie outside in part"
      : follow
      ? "--follow: a transaction may not be in the stream as a whole yet"
      : shard !== undefined
      ? "--shard: a transaction's changes lie in several"
      : undefined;
    if (without !== undefined) throw new UsageError(`--expect-all does not go with ${without}`);
  }
  return {
    streamName: values.streamName,
    from,
    follow,
    shardId: shard,
    json: values.json,
    verify,
    expectAll,
    log: { format: values.logFormat, level: values.logLevel },
  };
}
