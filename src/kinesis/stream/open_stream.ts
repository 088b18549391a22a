import { getLogger } from "@logtape/logtape";
import { RunError } from "../../base/errors.ts";
import type { StreamOptions } from "../../options.ts";
import type { Problem } from "../../base/problem.ts";
import { countOf, nounFor } from "../../base/quantity.ts";
import type { KinesisApi, StreamSummary } from "../client/kinesis_api.ts";
import { askPatiently } from "../client/ask_patiently.ts";
import type { Clock } from "../../base/clock.ts";
import type { ListedShard } from "../client/listed_shard.ts";
import { ShardMap } from "./shard_map.ts";

/** A reshard's listing has gaps for less than this; one that has them longer is warned of. */
const RESHARD_MS = 30_000;
/** How often that is repeated while it lasts. */
const REMINDER_MS = 60_000;
/** How often a stream that is being made, or resharded, is looked at. */
const POLL_MS = 500;

const log = getLogger(["pg2kinesis", "kinesis"]);

/** A stream that was found ready. */
export interface OpenStream {
  readonly name: string;
  readonly summary: StreamSummary;
  readonly shards: ShardMap;
}

/** Finds the stream, or makes it where `--create-stream` says so, and waits until it takes records. */
export async function openStream(
  api: KinesisApi,
  options: Pick<StreamOptions, "name" | "create" | "shardCount">,
  clock: Clock,
  random: () => number,
  signal: AbortSignal,
): Promise<OpenStream> {
  const { name } = options;
  const ask = <T>(verb: string, action: string, call: () => Promise<T>) =>
    askPatiently({ verb, stream: name, region: api.region, action }, call, clock, random, signal);
  const describe = () =>
    ask("find", "kinesis:DescribeStreamSummary", () => api.describeStream(name, signal));

  let summary: StreamSummary | undefined;
  if (options.create) summary = await describeOrCreate(api, options, describe, ask, signal);
  summary ??= await describe();
  for (let wasTold = false; summary.status === "CREATING"; wasTold = true) {
    if (!wasTold) log.info("stream {name} is being created, waiting", { name });
    await clock.sleep(POLL_MS, signal);
    signal.throwIfAborted();
    summary = await describe();
  }
  const problem = streamProblem(name, api.region, summary);
  if (problem !== undefined) throw new RunError(`${problem.found}: ${problem.advice}`);
  const list = () =>
    ask("list the shards of", "kinesis:ListShards", () => api.listShards(name, signal));
  const shards = await wholeListing(name, list, clock, signal);
  return { name, summary, shards };
}

/** That a stream is written to from now on. */
export function sayOpened({ name, summary, shards }: OpenStream, region: string): void {
  const { mode, maxRecordBytes } = summary;
  log.info(
    `stream {name} in {region}: {shards} ${nounFor(shards.open.length, "shard")}, {mode}, ` +
      "records up to {maxRecordBytes} bytes",
    { name, region, shards: shards.open.length, mode, maxRecordBytes },
  );
}

/** Whether what was thrown says that there is no such stream. */
export function isMissing(error: unknown): boolean {
  return error instanceof RunError && hasName(error.cause, "ResourceNotFoundException");
}

/** In the middle of a reshard a listing may have no shard, or two, for a key: lists until each has one. */
async function wholeListing(
  name: string,
  list: () => Promise<readonly ListedShard[]>,
  clock: Clock,
  signal: AbortSignal,
): Promise<ShardMap> {
  const sinceMs = clock.now();
  let warnAtMs = sinceMs + RESHARD_MS;
  for (let isFirst = true;; isFirst = false) {
    const shards = ShardMap.fromListing(await list());
    const gap = shards.gap();
    if (gap === undefined) return shards;
    if (isFirst) log.info("stream {name} is being resharded, waiting", { name });
    if (clock.now() >= warnAtMs) {
      warnAtMs = clock.now() + REMINDER_MS;
      log.warn(
        "the listed shards of stream {name} do not cover all keys, {seconds} s after the first listing: {gap}; " +
          "nothing is published meanwhile. Look whether a reshard of it is stuck (aws kinesis list-shards)",
        { name, seconds: Math.round((clock.now() - sinceMs) / 1000), gap },
      );
    }
    await clock.sleep(POLL_MS, signal);
    signal.throwIfAborted();
  }
}

/** Why nothing can be published to a stream that is there; undefined when it can. */
export function streamProblem(
  name: string,
  region: string,
  { status, distribution }: Pick<StreamSummary, "status" | "distribution">,
): Problem | undefined {
  if (status !== "ACTIVE" && status !== "UPDATING") {
    const advice = "wait until it is gone, then recreate it or use --create-stream";
    return {
      found: `stream ${name} (${region}) must be ACTIVE or UPDATING, found ${status}`,
      advice,
      remedy: { kind: "advice", text: advice },
    };
  }
  return distributionProblem(name, region, distribution);
}

/** Why a stream keeps no order; undefined if it does. */
export function distributionProblem(
  name: string,
  region: string,
  distribution: StreamSummary["distribution"],
): Problem | undefined {
  if (distribution !== "AUTO") return undefined;
  const advice = "use a stream whose RecordDistributionStrategy is USER_PARTITION_KEY";
  return {
    found: `stream ${name} (${region}) spreads records over its shards without regard to ` +
      "partition keys (RecordDistributionStrategy AUTO), so no order could be kept",
    advice,
    remedy: { kind: "advice", text: advice },
  };
}

type Ask = <T>(verb: string, action: string, call: () => Promise<T>) => Promise<T>;

async function describeOrCreate(
  api: KinesisApi,
  { name, shardCount }: Pick<StreamOptions, "name" | "shardCount">,
  describe: () => Promise<StreamSummary>,
  ask: Ask,
  signal: AbortSignal,
): Promise<StreamSummary | undefined> {
  try {
    return await describe();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const size = shardCount === 0 ? "in on-demand mode" : `with ${countOf(shardCount, "shard")}`;
  log.info("creating stream {name} {size}", { name, size });
  await ask("create", "kinesis:CreateStream", async () => {
    try {
      await api.createStream(name, shardCount, signal);
    } catch (error) {
      // Somebody else, or a try of ours whose answer was lost, was first.
      if (!hasName(error, "ResourceInUseException")) throw error;
    }
  });
  return undefined;
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
