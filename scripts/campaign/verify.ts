import type { CommittedChange } from "./committed.ts";
import type { ConfirmedSample } from "./confirmed_samples.ts";
import type { PublishedChange } from "./published.ts";

export interface Evidence {
  /** In commit order. */
  readonly committed: readonly CommittedChange[];
  /** In the order of a consumer: parents before children. */
  readonly published: readonly PublishedChange[];
  readonly samples: readonly ConfirmedSample[];
  readonly aggregation: "kpl" | "none";
  /** Shards in which a merge never joined two lanes: all of their records keep commit order. */
  readonly unmergedShards: ReadonlySet<string>;
  /** Whether anything happened that may make a record come again. */
  readonly mayDuplicate: boolean;
}

export interface Verdict {
  /** Each a broken promise; at most a few of a kind are told. */
  readonly findings: readonly string[];
  readonly lost: number;
  readonly outOfOrder: number;
  /** User records beyond the first of each change. */
  readonly duplicates: number;
}

const TOLD_OF_A_KIND = 3;

/** Holds what is in the stream against what PostgreSQL says was committed. */
export function verify(evidence: Evidence): Verdict {
  const { committed, published, aggregation, unmergedShards, mayDuplicate } = evidence;
  const positions = new Map(committed.map(({ name }, position) => [name, position]));
  const findings = new Findings();
  if (positions.size !== committed.length) throw new Error("two committed changes of one name");

  for (const { name, version } of published) {
    const position = positions.get(name);
    if (position === undefined) {
      findings.add("never committed", name);
    } else if (version !== undefined && version !== committed[position]!.version) {
      findings.add(
        "another row",
        `${name}: version ${version}, not ${committed[position]!.version}`,
      );
    }
  }

  const seen = published.filter(({ name, isSeen }) => isSeen && positions.has(name));
  const isKnown = new Set<string>();
  const firsts = seen.filter(({ name }) => !isKnown.has(name) && isKnown.add(name));
  for (const { name } of committed) if (!isKnown.has(name)) findings.add("lost", name);

  const rowOf = ({ name }: PublishedChange) => committed[positions.get(name)!]!.row;
  checkOrder(firsts, rowOf, positions, findings, "row");
  // One request of each lane may be under way when shards are merged, and nobody can call it back.
  if (aggregation === "kpl") {
    const inOneLane = firsts.filter(({ shardId }) => unmergedShards.has(shardId));
    checkOrder(inOneLane, ({ shardId }) => shardId, positions, findings, "shard");
  }
  checkConfirmed(evidence, seen, findings);

  const duplicates = published.length - new Set(published.map(({ name }) => name)).size;
  if (duplicates > 0 && !mayDuplicate) {
    findings.add("duplicate", `${duplicates} without a fault that explains them`);
  }
  return {
    findings: findings.told,
    lost: findings.count("lost"),
    outOfOrder: findings.count("out of order"),
    duplicates,
  };
}

/** What belongs together comes in the order of the commits. */
function checkOrder(
  firsts: readonly PublishedChange[],
  groupOf: (change: PublishedChange) => string,
  positions: ReadonlyMap<string, number>,
  findings: Findings,
  what: string,
): void {
  const last = new Map<string, PublishedChange>();
  for (const change of firsts) {
    const group = groupOf(change);
    const before = last.get(group);
    if (before !== undefined && positions.get(before.name)! > positions.get(change.name)!) {
      findings.add("out of order", `${what} ${group}: "${change.name}" after "${before.name}"`);
    } else {
      last.set(group, change);
    }
  }
}

/** Whatever a confirmed LSN promises was in the stream when it was seen. */
function checkConfirmed(
  { committed, samples }: Evidence,
  seen: readonly PublishedChange[],
  findings: Findings,
): void {
  const arrivedAt = new Map<string, number>();
  for (const { name, arrivedAtMs } of seen) {
    arrivedAt.set(name, Math.min(arrivedAtMs, arrivedAt.get(name) ?? Infinity));
  }
  // Positions whose promise was checked; a later sample promises at least as much.
  let checked = 0;
  for (const { lsn, seenAtMs } of samples) {
    for (; checked < committed.length && committed[checked]!.endLsn <= lsn; checked++) {
      const { name } = committed[checked]!;
      if ((arrivedAt.get(name) ?? Infinity) > seenAtMs) findings.add("confirmed too early", name);
    }
  }
}

class Findings {
  readonly #counts = new Map<string, number>();
  readonly #texts: string[] = [];

  add(kind: string, text: string): void {
    const count = this.count(kind) + 1;
    this.#counts.set(kind, count);
    if (count <= TOLD_OF_A_KIND) this.#texts.push(`${kind}: ${text}`);
  }

  count(kind: string): number {
    return this.#counts.get(kind) ?? 0;
  }

  get told(): string[] {
    const more = [...this.#counts].filter(([, count]) => count > TOLD_OF_A_KIND)
      .map(([kind, count]) => `${kind}: ${count} in all`);
    return [...this.#texts, ...more];
  }
}
