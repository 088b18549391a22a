import { RecentNames } from "./recent_names.ts";

/** Pairs in a generation of {@linkcode RecentPairs}. */
const GENERATION = 10_000;

/** What a record is to those of its partition key that came before it. */
export type Standing =
  | "new"
  /** It came before. */
  | "duplicate"
  /** Older than what is remembered of the key: a duplicate, as far as anyone can tell. */
  | "old"
  /** It never came before, and a greater one did: a consumer that drops duplicates loses it. */
  | "late";

/**
 * The changes of one partition key: the greatest pair, and the last 10,000 to 20,000. About 200 bytes
 * for a key, and 70 for each pair that is remembered, from the second on.
 */
export class KeyHistory {
  #highest: bigint;
  #recent: RecentPairs | undefined;

  constructor(first: bigint) {
    this.#highest = first;
  }

  /** `pair` is commit LSN and sequence number, packed so that they compare as the pair does. */
  add(pair: bigint): Standing {
    if (pair === this.#highest) return "duplicate";
    if (this.#recent === undefined) {
      this.#recent = new RecentPairs();
      this.#recent.add(this.#highest);
    }
    if (pair > this.#highest) {
      this.#highest = pair;
      this.#recent.add(pair);
      return "new";
    }
    if (this.#recent.has(pair)) return "duplicate";
    if (pair <= this.#recent.forgotten) return "old";
    this.#recent.add(pair);
    return "late";
  }
}

/** The same for changes whose order only shows within a transaction. */
export class UnorderedHistory {
  readonly #recent = new RecentPairs();
  #xid: number;
  #highestSeq: number;

  constructor(xid: number, seq: number) {
    this.#xid = xid;
    this.#highestSeq = seq;
    this.#recent.add(packPair(BigInt(xid), seq));
  }

  add(xid: number, seq: number): Standing {
    const name = packPair(BigInt(xid), seq);
    if (this.#recent.has(name)) return "duplicate";
    this.#recent.add(name);
    const isLate = xid === this.#xid && seq < this.#highestSeq;
    if (isLate) return "late";
    this.#xid = xid;
    this.#highestSeq = seq;
    return "new";
  }
}

/** Two numbers as one, which compares as the pair does. */
export function packPair(major: bigint, minor: number): bigint {
  return (major << 53n) | BigInt(minor);
}

/** Pairs, of which the greatest that was forgotten is known. */
class RecentPairs {
  forgotten = -1n;
  readonly #pairs = new RecentNames<bigint>(GENERATION, () => {
    this.forgotten = this.#greatestOfOlder;
    this.#greatestOfOlder = this.#greatest;
  });
  #greatest = -1n;
  #greatestOfOlder = -1n;

  has(pair: bigint): boolean {
    return this.#pairs.has(pair);
  }

  add(pair: bigint): void {
    this.#pairs.add(pair);
    if (pair > this.#greatest) this.#greatest = pair;
  }
}
