import { UsageError } from "../base/errors.ts";
import type { TailOptions, TailStart } from "../tail/tail_options.ts";
import type { Settings } from "./build_run_options.ts";

/** Fits the flags of `tail` to each other. */
export function buildTailOptions({ values, originOf }: Settings): TailOptions {
  const { since, lines, follow, shard, verify, expectAll } = values;
  const isFromGiven = originOf("from") !== "default";
  if (since !== undefined && originOf("from") === "argument") {
    throw new UsageError("--since and --from exclude each other: both say where reading begins");
  }
  const from: TailStart = since === undefined ? values.from : { kind: "ago", ms: since };
  if (from.kind === "latest" && !follow) {
    throw new UsageError("--from latest gives nothing without --follow: nothing is newer than now");
  }
  if (lines !== undefined) {
    if (verify) {
      throw new UsageError(
        "--lines cannot be combined with --verify, which reads everything from the start",
      );
    }
    if (from.kind === "latest") {
      throw new UsageError(
        "--lines has no effect with --from latest, which passes over what is there",
      );
    }
  }
  if (expectAll) {
    if (!verify) throw new UsageError("--expect-all has no effect without --verify");
    const without = from.kind !== "oldest"
      ? `${
        since === undefined ? "--from" : "--since"
      }: its first transactions would lie outside in part`
      : follow
      ? "--follow: a transaction may not be in the stream as a whole yet"
      : shard !== undefined
      ? "--shard: a transaction's changes lie in several"
      : undefined;
    if (without !== undefined) {
      throw new UsageError(`--expect-all cannot be combined with ${without}`);
    }
  }
  const streams = [...new Set(values.streamName)];
  if (shard !== undefined && streams.length > 1) {
    throw new UsageError("--shard cannot be combined with several streams: it is a shard of one");
  }
  return {
    streams,
    from,
    last: lines === undefined
      ? undefined
      : { records: lines, isStartGiven: isFromGiven || since !== undefined },
    follow,
    shardId: shard,
    json: values.json,
    verify,
    expectAll,
    log: { format: values.logFormat, level: values.logLevel },
  };
}
