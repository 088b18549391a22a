import { getLogger } from "@logtape/logtape";
import type { KinesisApi } from "../client/kinesis_api.ts";
import { Backoff } from "../../base/backoff.ts";
import { keepTrying } from "../../base/keep_trying.ts";
import type { Clock } from "../../base/clock.ts";
import type { Lane } from "./lane.ts";
import { type Asked, classify, refusalError } from "../client/kinesis_failure.ts";
import { whyStale } from "./reshard.ts";
import { ShardMap } from "../stream/shard_map.ts";
import type { RequestTrouble } from "../client/request_trouble.ts";

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
  readonly trouble: RequestTrouble;
  /** Aborts when the writer closes. */
  readonly closing: AbortSignal;
}

/** A put waits no longer than this for what is only to spare a duplicate. */
const LOOK_PATIENCE_MS = 1_000;
/** Lanes that fail together look together: a stream's shards may be listed a thousand times a second. */
const LOOK_IS_FRESH_MS = 250;
/** Lanes of closed shards come to rest within a round trip; a request that takes longer is reported. */
const RESTS_SOON_MS = 5_000;

const log = getLogger(["pg2kinesis", "kinesis"]);

/** Follows splits and merges: reads the shard map until it explains what was seen, then hands it on. */
export class ShardFollower {
  #isFollowing = false;
  #isBehind = false;
  /** Resolves when the lanes are those of the open shards again. */
  #following = Promise.resolve();
  #looking: Promise<void> | undefined;
  #lookedAtMs = -Infinity;
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
    this.#following = this.#follow().catch((error) => {
      if (!this.context.closing.aborted) this.owner.broken(error);
    });
  }

  /**
   * Lists the shards once, stops the lanes of those that are closed, and follows. Resolves also when
   * nothing could be learned: within a second, or when `signal` aborts. A lane may put without, and is
   * known from the answer.
   */
  async glance(signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const patience = this.context.clock.sleep(
      LOOK_PATIENCE_MS,
      AbortSignal.any([enough.signal, signal, this.context.closing]),
    );
    await Promise.race([this.#isFollowing ? this.#following : this.#glanceOnce(), patience]);
    enough.abort();
  }

  #glanceOnce(): Promise<void> {
    if (this.#looking !== undefined) return this.#looking;
    const nowMs = this.context.clock.now();
    if (nowMs - this.#lookedAtMs < LOOK_IS_FRESH_MS) return Promise.resolve();
    this.#lookedAtMs = nowMs;
    this.#looking = this.#stopClosed().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  async #stopClosed(): Promise<void> {
    const { api, streamName, closing } = this.context;
    try {
      const map = ShardMap.fromListing(await api.listShards(streamName, closing));
      // No shard opens again, so whatever else a listing does not know yet, this is true.
      const closed = this.owner.lanes().filter(({ shard }) => map.byId(shard.id)?.open === false);
      for (const lane of closed) {
        this.#knownClosed.add(lane.shard.id);
        lane.stop();
      }
      if (closed.length > 0) this.follow();
    } catch (error) {
      log.debug("cannot list the shards of stream {streamName} now: {error}", {
        streamName,
        error: String(error),
      });
    }
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
    await this.#rest(closed);
    if (this.context.closing.aborted) return;
    if (whyStale(map, closed, this.#knownClosed) !== undefined) {
      // While the lanes came to rest the stream changed further; their last answers name newer shards.
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

  /**
   * Waits until no lane of a closed shard has a request under way: what two merged shards' lanes hold
   * can only be joined in order when nothing of it can be stored any more.
   */
  async #rest(closed: readonly Lane[]): Promise<void> {
    const { clock, closing, streamName } = this.context;
    const rested = new AbortController();
    const busy = new Set(closed);
    const all = Promise.all(
      closed.map((lane) => lane.retire().then(() => busy.delete(lane))),
    ).finally(() => rested.abort());
    await clock.sleep(RESTS_SOON_MS, AbortSignal.any([rested.signal, closing]));
    if (busy.size > 0 && !closing.aborted) {
      log.warn(
        "stream {stream} was resharded; a put into {shards} is not answered yet, and records of the " +
          "closed shards {closed} wait for it",
        {
          stream: streamName,
          shards: Array.from(busy, ({ shard }) => shard.id).join(", "),
          closed: closed.map(({ shard }) => shard.id).join(", "),
        },
      );
    }
    await all;
  }

  /** Reads the map until it can be true. */
  async #read(): Promise<ShardMap> {
    const { api, streamName, clock, random, trouble, closing } = this.context;
    const backoff = new Backoff(random);
    const what = `following stream ${streamName} to its new shards`;
    const failed = (error: unknown) => {
      if (error instanceof StaleListing) return trouble.failed(what, error.message);
      const failure = classify(error, this.#asked);
      // Of credentials the lanes decide, which put by them.
      if (failure.kind === "refused" && failure.doubt !== "credentials") {
        throw refusalError(failure, this.#asked, error);
      }
      trouble.failed(what, failure.detail);
    };
    const map = await keepTrying(async () => {
      const map = ShardMap.fromListing(await api.listShards(streamName, closing));
      const stale = whyStale(map, this.owner.lanes(), this.#knownClosed);
      if (stale !== undefined) throw new StaleListing(stale);
      return map;
    }, { clock, signal: closing, pauseMs: () => backoff.nextMs(), failed });
    trouble.over(what);
    return map;
  }
}

/** From a part of the service that has not heard of the reshard yet. */
class StaleListing extends Error {}
