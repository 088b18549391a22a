import type { ChangeName } from "./change_name.ts";
import { fingerprint, RecentFingerprints } from "./recent_fingerprints.ts";

/** What a record is to those of its partition key that came before it. */
export type Standing =
  | "new"
  /** It came before. */
  | "duplicate"
  /** It came before, with another content. */
  | "differing"
  /** Older than what is remembered: a duplicate, as far as anyone can tell. */
  | "old"
  /** It never came before, and a greater one did: a consumer that drops duplicates loses it. */
  | "late";

/** A change that has a name. */
export type NamedChange = Exclude<ChangeName, { readonly kind: "unnamed" }>;

/** Named so that all of one partition key have an order. */
export type OrderedChange = Extract<ChangeName, { readonly kind: "ordered" }>;

/** The greatest pair of a key, or the transaction that it was in last. */
type Latest =
  | { readonly kind: "ordered"; pair: bigint }
  | { readonly kind: "unordered"; timeline: number; xid: number; seq: number };

/**
 * Tells of each change whether it is new, late or a duplicate among those of its key: by the greatest
 * pair of each key (about 300 bytes for a key) and by the last millions of changes.
 */
export class KeyHistories {
  /** The greatest pair of what is no longer remembered. */
  #forgotten = -1n;
  #greatestOfOlder = -1n;
  #greatest = -1n;
  readonly #latest = new Map<string, Latest>();
  readonly #recent: RecentFingerprints;

  /** `generation` changes at least are remembered. */
  constructor(generation?: number) {
    this.#recent = new RecentFingerprints(() => {
      this.#forgotten = this.#greatestOfOlder;
      this.#greatestOfOlder = this.#greatest;
    }, generation);
  }

  get keys(): number {
    return this.#latest.size;
  }

  /** Whether the change came, and is still remembered. */
  has(key: string, name: NamedChange): boolean {
    return this.#recent.has(fingerprintOf(key, name));
  }

  /** `content`: 32 bits that stand for all of the record. */
  add(key: string, name: NamedChange, content = 0): Standing {
    const latest = this.#latest.get(key);
    const print = fingerprintOf(key, name);
    const known = this.#recent.get(print);
    if (known !== undefined) return known === content ? "duplicate" : "differing";
    if (name.kind === "unordered") return this.#addUnordered(key, name, latest, print, content);

    const pair = positionOf(name);
    if (latest?.kind !== "ordered") {
      this.#latest.set(key, { kind: "ordered", pair });
    } else if (pair > latest.pair) {
      latest.pair = pair;
    } else {
      const isOld = pair <= this.#forgotten;
      this.#remember(print, pair, content);
      return isOld ? "old" : "late";
    }
    this.#remember(print, pair, content);
    return "new";
  }

  /** Order shows within a transaction only. */
  #addUnordered(
    key: string,
    { timeline, xid, seq }: Extract<NamedChange, { kind: "unordered" }>,
    latest: Latest | undefined,
    print: number,
    content: number,
  ): Standing {
    this.#recent.add(print, content);
    if (latest?.kind !== "unordered") {
      this.#latest.set(key, { kind: "unordered", timeline, xid, seq });
      return "new";
    }
    const isSameTransaction = timeline === latest.timeline && xid === latest.xid;
    if (isSameTransaction && seq < latest.seq) return "late";
    latest.timeline = timeline;
    latest.xid = xid;
    latest.seq = seq;
    return "new";
  }

  #remember(print: number, pair: bigint, content: number): void {
    this.#recent.add(print, content);
    if (pair > this.#greatest) this.#greatest = pair;
  }
}

function fingerprintOf(key: string, name: NamedChange): number {
  const major = name.kind === "ordered" ? name.commitLsn : `xid ${name.xid}`;
  return fingerprint(`${name.timeline} ${major} ${name.seq} ${key}`);
}

/** Timeline, LSN and number as one, which compares as the three do. */
export function positionOf(
  { timeline, commitLsn, seq }: OrderedChange,
): bigint {
  return (((BigInt(timeline) << 64n) | commitLsn) << 53n) | BigInt(seq);
}
