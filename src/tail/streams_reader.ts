import { Permits } from "../base/permits.ts";
import type { KinesisReadApi, StoredRecord } from "../kinesis/client/kinesis_read_api.ts";
import type { Shard } from "../kinesis/stream/shard_map.ts";
import { MAX_PAGES, type ReadStart, readStream } from "./stream_reader.ts";
import type { ReadContext } from "./shard_reader.ts";
import type { TailOptions } from "./tail_options.ts";

/** A shard of one of the streams that are read; `id` tells it from all others. */
export interface TailedShard extends Shard {
  /** Of several; undefined where only one is read. */
  readonly stream: string | undefined;
  /** Its id in its stream. */
  readonly name: string;
}

/** Takes the records of one shard, in their order; the next ones of any shard are read when it is done. */
export type TakePage = (
  shard: TailedShard,
  records: readonly StoredRecord[],
  parentsOf: (shard: TailedShard) => readonly TailedShard[],
) => Promise<void>;

/** By the streams' names or ARNs. */
export type ApiOf = (stream: string) => KinesisReadApi;

export type ReadParts =
  & Pick<ReadContext, "clock" | "now" | "random" | "signal">
  & { readonly apiOf: ApiOf };

/** Reads streams side by side; what one throws ends all. */
export async function readStreams(
  options: Pick<TailOptions, "streams" | "shardId" | "follow"> & { readonly from: ReadStart },
  { apiOf, ...parts }: ReadParts,
  take: TakePage,
): Promise<void> {
  const { streams } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([parts.signal, failed.signal]);
  const shared = { pages: new Permits(MAX_PAGES), turn: new Permits(1) };
  await Promise.all(streams.map(async (streamName) => {
    const stream = streams.length > 1 ? streamName : undefined;
    const named = (shard: Shard): TailedShard => ({
      ...shard,
      id: stream === undefined ? shard.id : `${stream} ${shard.id}`,
      name: shard.id,
      stream,
    });
    try {
      await readStream(
        { ...options, streamName },
        { ...parts, api: apiOf(streamName), signal },
        (shard, records, parentsOf) =>
          take(
            named(shard),
            records,
            (shard) => parentsOf({ ...shard, id: shard.name }).map(named),
          ),
        shared,
      );
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }));
}
