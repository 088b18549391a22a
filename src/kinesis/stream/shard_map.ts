import { badAnswer } from "../client/bad_answer.ts";
import type { ListedShard } from "../client/listed_shard.ts";
import { compareHashKeys, type HashKey, hashKeyToBigInt, parseHashKey } from "./hash_key.ts";

/** A shard from ListShards. Its range never changes; it closes when it is split or merged. */
export interface Shard {
  readonly id: string;
  /** First hash key of its range. */
  readonly start: HashKey;
  /** Last hash key of its range, included. */
  readonly end: HashKey;
  /** `start` as the API writes it: an explicit hash key that always lies in the shard. */
  readonly startText: string;
  readonly open: boolean;
}

/** Which shard holds which hash keys, at the moment of one ListShards. */
export class ShardMap {
  /** The open shards by their place in the hash space. */
  readonly open: readonly Shard[];
  readonly #byId: ReadonlyMap<string, Shard>;
  /** The highest words of the open shards' starts: one comparison settles nearly every lookup. */
  readonly #highWords: Uint32Array;

  constructor(shards: Iterable<Shard>) {
    this.#byId = new Map(Array.from(shards, (shard) => [shard.id, shard]));
    this.open = [...this.#byId.values()].filter((shard) => shard.open)
      .sort((left, right) => compareHashKeys(left.start, right.start));
    this.#highWords = Uint32Array.from(this.open, (shard) => shard.start[0]!);
  }

  static fromListing(listed: Iterable<ListedShard>): ShardMap {
    return new ShardMap(Array.from(listed, readShard));
  }

  /** Any shard, open or closed. */
  byId(id: string): Shard | undefined {
    return this.#byId.get(id);
  }

  get ids(): Iterable<string> {
    return this.#byId.keys();
  }

  /** Place in `open` of the shard that holds a hash key: the last one that starts at or before it. */
  indexOf(hashKey: HashKey): number {
    const words = this.#highWords;
    const high = hashKey[0]!;
    let first = 0, last = words.length - 1;
    while (first < last) {
      const middle = (first + last + 1) >>> 1;
      const word = words[middle]!;
      const startsAfter = word === high
        ? compareHashKeys(this.open[middle]!.start, hashKey) > 0
        : word > high;
      if (startsAfter) last = middle - 1;
      else first = middle;
    }
    return first;
  }

  /**
   * Why the open shards are not the whole hash space, each key once; undefined when they are. A
   * listing taken in the middle of a reshard can have gaps.
   */
  gap(): string | undefined {
    let next = 0n;
    for (const shard of this.open) {
      const start = hashKeyToBigInt(shard.start);
      if (start !== next) return `shard ${shard.id} starts at ${start}, not at ${next}`;
      next = hashKeyToBigInt(shard.end) + 1n;
    }
    return next === 1n << 128n ? undefined : `no open shard holds hash key ${next}`;
  }
}

/** True when every hash key of `inner` lies in `outer`. */
export function covers(outer: Shard, inner: Shard): boolean {
  return holds(outer, inner.start) && holds(outer, inner.end);
}

export function holds(shard: Shard, hashKey: HashKey): boolean {
  return compareHashKeys(hashKey, shard.start) >= 0 && compareHashKeys(hashKey, shard.end) <= 0;
}

export function overlap(left: Shard, right: Shard): boolean {
  return holds(left, right.start) || holds(right, left.start);
}

function readShard(listed: ListedShard): Shard {
  const { ShardId: id, HashKeyRange: range } = Object(listed) as ListedShard;
  if (id === undefined || !range?.StartingHashKey || !range.EndingHashKey) {
    throw badAnswer("ListShards", `a shard without its id or range: ${JSON.stringify(listed)}`);
  }
  return {
    id,
    start: parseHashKey(range.StartingHashKey),
    end: parseHashKey(range.EndingHashKey),
    startText: range.StartingHashKey,
    open: listed.SequenceNumberRange?.EndingSequenceNumber == undefined,
  };
}
