import { getLogger } from "@logtape/logtape";
import { RunError } from "../base/errors.ts";
import { askPatiently } from "../kinesis/client/ask_patiently.ts";
import type { ShardPosition, StoredRecord } from "../kinesis/client/kinesis_read_api.ts";
import type { ListedShard } from "../kinesis/client/listed_shard.ts";
import { type Shard, ShardMap } from "../kinesis/stream/shard_map.ts";
import { nounFor } from "../base/quantity.ts";
import { Permits } from "../base/permits.ts";
import { type ReadContext, readShard, type ShardEnd } from "./shard_reader.ts";
import type { TailOptions, TailStart } from "./tail_options.ts";

/** Pages of records, up to 10 MiB each, that are in memory at a time. */
export const MAX_PAGES = 8;
/** A closed shard has children; the listing may not have heard of them yet. */
const CHILDREN_RETRY_MS = 1_000;
const CHILDREN_TRIES = 10;

const log = getLogger(["pg2kinesis", "tail"]);

/** Where reading a stream begins. */
export type ReadStart = Exclude<TailStart, { readonly kind: "ago" }>;

type ReadOptions = Pick<TailOptions, "shardId" | "follow"> & {
  readonly streamName: string;
  readonly from: ReadStart;
};

/** What the readers of several streams have together. */
interface Shared {
  readonly pages: Permits;
  /** One page at a time. */
  readonly turn: Permits;
}

/** Takes the records of one shard, in their order; the next ones are read when it is done. */
export type TakeRecords = (
  shard: Shard,
  records: readonly StoredRecord[],
  parentsOf: (shard: Shard) => readonly Shard[],
) => Promise<void>;

interface KnownShard {
  readonly shard: Shard;
  readonly parents: readonly string[];
  readonly from: ShardPosition;
  state: "waiting" | "reading" | "done";
}

/**
 * Reads a stream: its shards side by side, but a shard only when its parents are read to their end.
 * `take` is called for one page at a time. Ends when all is read, or with `follow` when the signal
 * aborts.
 * @throws {RunError} what cannot be read; whatever `take` throws.
 */
export async function readStream(
  options: ReadOptions,
  context: Omit<ReadContext, "streamName" | "follow" | "pages">,
  take: TakeRecords,
  { pages, turn }: Shared = { pages: new Permits(MAX_PAGES), turn: new Permits(1) },
): Promise<void> {
  const failed = new AbortController();
  const reader = new StreamReader(
    options,
    {
      ...context,
      streamName: options.streamName,
      follow: options.follow,
      pages,
      signal: AbortSignal.any([context.signal, failed.signal]),
    },
    take,
    turn,
  );
  try {
    // A page may wait forever for somebody to read the output.
    await Promise.race([reader.run(), aborted(context.signal)]);
  } catch (error) {
    failed.abort(error);
    if (!context.signal.aborted) throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

class StreamReader {
  readonly #shards = new Map<string, KnownShard>();
  constructor(
    private readonly options: ReadOptions,
    private readonly context: ReadContext,
    private readonly take: TakeRecords,
    private readonly turn: Permits,
  ) {}

  async run(): Promise<void> {
    const listed = await this.#list();
    const { from, shardId } = this.options;
    const position: ShardPosition = from.kind === "time" ? from : { kind: from.kind };
    this.#add(listed, position);
    if (shardId !== undefined) this.#keepOnly(shardId);
    else if (from.kind === "latest") this.#passOverClosed();
    const reading = [...this.#shards.values()].filter(({ state }) => state === "waiting").length;
    const noun = nounFor(reading, "shard");
    log.info(`reading {shards} ${noun} of stream {stream} in {region}`, {
      shards: reading,
      stream: this.options.streamName,
      region: this.context.api.region,
    });
    await this.#readReady();
  }

  /** Reads all shards whose parents are read, and what becomes ready by that. */
  async #readReady(): Promise<void> {
    const ready = [...this.#shards.values()].filter((known) =>
      known.state === "waiting" &&
      known.parents.every((id) => (this.#shards.get(id)?.state ?? "done") === "done")
    );
    for (const known of ready) known.state = "reading";
    await Promise.all(ready.map((known) => this.#read(known)));
  }

  async #read(known: KnownShard): Promise<void> {
    const { shard } = known;
    const pages = readShard(this.context, shard.id, known.from, !shard.open);
    let end: ShardEnd;
    for (;;) {
      const next = await pages.next();
      if (next.done) {
        end = next.value;
        break;
      }
      await this.turn.acquire();
      try {
        this.context.signal.throwIfAborted();
        await this.take(shard, next.value, (shard) => this.#parentsOf(shard));
      } finally {
        this.turn.release();
      }
    }
    known.state = "done";
    log.debug("shard {id}: {end}", { id: shard.id, end });
    if (this.options.shardId !== undefined) {
      if (end === "closed" && this.options.follow) {
        log.info("shard {id} is closed and was read to its end", { id: shard.id });
      }
      return;
    }
    // What follows a shard that was left at its tip is younger than what was asked for.
    if (end === "closed") {
      await this.#findChildren(shard.id);
      await this.#readReady();
    }
  }

  /** Those that are still listed. */
  #parentsOf({ id }: Shard): readonly Shard[] {
    const { parents = [] } = this.#shards.get(id) ?? {};
    return parents.flatMap((parent) => this.#shards.get(parent)?.shard ?? []);
  }

  async #findChildren(id: string): Promise<void> {
    const { clock, signal } = this.context;
    const isKnown = () => [...this.#shards.values()].some(({ parents }) => parents.includes(id));
    for (let tries = 0; !isKnown() && tries < CHILDREN_TRIES; tries++) {
      if (tries > 0) await clock.sleep(CHILDREN_RETRY_MS, signal);
      this.#add(await this.#list(), { kind: "oldest" });
    }
    if (!isKnown()) {
      log.warn("shard {id} is closed, and no shard that follows it is listed", { id });
    }
  }

  #add(listed: readonly ListedShard[], from: ShardPosition): void {
    const map = ShardMap.fromListing(listed);
    for (const { ShardId, ParentShardId, AdjacentParentShardId } of listed) {
      const shard = map.byId(ShardId!)!;
      if (this.#shards.has(shard.id)) continue;
      const parents = [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined);
      this.#shards.set(shard.id, { shard, parents, from, state: "waiting" });
    }
  }

  #keepOnly(shardId: string): void {
    const wanted = this.#shards.get(shardId);
    if (wanted === undefined) {
      const { streamName } = this.options;
      const names = [...this.#shards.keys()];
      const some = names.slice(0, 5).join(", ") + (names.length > 5 ? ", …" : "");
      throw new RunError(
        `stream ${streamName} has no shard ${shardId}; --shard takes one of its ${names.length}: ${some}`,
      );
    }
    this.#shards.clear();
    this.#shards.set(shardId, wanted);
  }

  /** Nothing new can come into them. */
  #passOverClosed(): void {
    for (const known of this.#shards.values()) if (!known.shard.open) known.state = "done";
  }

  async #list(): Promise<readonly ListedShard[]> {
    const { api, streamName, clock, random, signal } = this.context;
    const asked = {
      verb: "list the shards of",
      stream: streamName,
      region: api.region,
      action: "kinesis:ListShards",
      forReading: true,
    };
    return await askPatiently(
      asked,
      () => api.listShards(streamName, signal),
      clock,
      random,
      signal,
    );
  }
}
