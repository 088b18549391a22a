import type { KinesisApi } from "./api.ts";
import { Backoff } from "./backoff.ts";
import type { Clock } from "../clock.ts";
import type { Lane } from "./lane.ts";
import { type Asked, classify, refusalError } from "./put_error.ts";
import { whyStale } from "./reshard.ts";
import { ShardMap } from "./shard_map.ts";
import type { Trouble } from "./trouble.ts";

/** Whose lanes follow the shards. */
export interface FollowerOwner {
  lanes(): readonly Lane[];
  /**
   * The lanes `closed` have come to rest: what they hold goes to the shards of `map`. Their shards are
   * closed, or still open where another one took a put for no reason that the map gives.
   */
  switchTo(map: ShardMap, closed: readonly Lane[]): void;
  broken(error: unknown): void;
}

export interface FollowerContext {
  readonly api: KinesisApi;
  readonly streamName: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly trouble: Trouble;
  /** Aborts when the writer closes. */
  readonly closing: AbortSignal;
}

/** Follows splits and merges: reads the shard map until it explains what was seen, then hands it on. */
export class ShardFollower {
  #isFollowing = false;
  #isBehind = false;
  readonly #knownClosed = new Set<string>();
  /** Between puts that land in a shard that the map does not explain. */
  readonly #misplaced: Backoff;
  readonly #asked: Asked;

  constructor(private readonly owner: FollowerOwner, private readonly context: FollowerContext) {
    this.#misplaced = new Backoff(context.random);
    this.#asked = {
      verb: "list the shards of",
      stream: context.streamName,
      region: context.api.region,
      action: "kinesis:ListShards",
      whileRunning: true,
    };
  }

  /** The lanes are no longer those of the open shards. */
  follow(): void {
    this.#isBehind = true;
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    this.#follow().catch((error) => {
      if (!this.context.closing.aborted) this.owner.broken(error);
    });
  }

  /** Looks whether a lane's shard is closed, and if so follows. */
  async look(lane: Lane): Promise<void> {
    const map = await this.#read();
    if (!map.byId(lane.shard.id)?.open) this.follow();
  }

  async #follow(): Promise<void> {
    try {
      while (this.#isBehind && !this.context.closing.aborted) {
        this.#isBehind = false;
        await this.#followOnce();
      }
    } finally {
      // With the last look at `#isBehind`, so that no call falls in between.
      this.#isFollowing = false;
    }
  }

  async #followOnce(): Promise<void> {
    const map = await this.#read();
    const isOpen = (lane: Lane) => map.byId(lane.shard.id)?.open === true;
    const closed = this.owner.lanes().filter((lane) => !isOpen(lane) || lane.movedTo !== undefined);
    await Promise.all(closed.map((lane) => lane.retire()));
    if (this.context.closing.aborted) return;
    if (whyStale(map, closed, this.#knownClosed) !== undefined) {
      // While the lanes came to rest the stream went on; their last answers tell of newer shards.
      this.#isBehind = true;
      return;
    }
    if (closed.some(isOpen)) {
      await this.context.clock.sleep(this.#misplaced.nextMs(), this.context.closing);
      if (this.context.closing.aborted) return;
    } else {
      this.#misplaced.reset();
    }
    for (const lane of closed) if (!isOpen(lane)) this.#knownClosed.add(lane.shard.id);
    if (closed.length > 0) this.owner.switchTo(map, closed);
  }

  /** Reads the map until it can be true. */
  async #read(): Promise<ShardMap> {
    const { api, streamName, clock, random, trouble, closing } = this.context;
    const backoff = new Backoff(random);
    const what = `following stream ${streamName} to its new shards`;
    for (;;) {
      let reason: string;
      try {
        const listed = await api.listShards(streamName, closing);
        const map = ShardMap.fromListing(listed);
        const stale = whyStale(map, this.owner.lanes(), this.#knownClosed);
        if (stale === undefined) {
          trouble.over(clock.now(), what);
          return map;
        }
        reason = stale;
      } catch (error) {
        closing.throwIfAborted();
        const failure = classify(error, this.#asked);
        if (failure.kind === "refused") throw refusalError(failure, this.#asked, error);
        reason = failure.detail;
      }
      trouble.failed(clock.now(), what, reason);
      await clock.sleep(backoff.nextMs(), closing);
      closing.throwIfAborted();
    }
  }
}
