import type { CommittedChange } from "./committed.ts";
import type { ConfirmedSample } from "./confirmed_samples.ts";
import { isTruncate, replayForConsumers } from "./consumers.ts";
import type { DumpedShard } from "./fault_server_process.ts";
import type { PublishedChange } from "./published.ts";
import { lanesBefore, ShardOrder } from "../../src/tail/shard_order.ts";

export interface Evidence {
  /** In commit order. */
  readonly committed: readonly CommittedChange[];
  /** In the order of a consumer: parents before children. */
  readonly published: readonly PublishedChange[];
  readonly samples: readonly ConfirmedSample[];
  readonly aggregation: "kpl" | "none";
  readonly shards: readonly DumpedShard[];
  /**
   * Puts of one lane that may be ahead in a merged shard: one for each start of the program that may
   * have been given the shards from before the merge.
   */
  readonly putsPerLane: number;
  /** Whether all that is committed was confirmed at the end; else only what was promised can be lost. */
  readonly isFinished: boolean;
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
  const { committed, published, aggregation, mayDuplicate } = evidence;
  const positions = new Map(committed.map(({ name }, position) => [name, position]));
  const findings = new Findings();
  if (positions.size !== committed.length) throw new Error("two committed changes of one name");

  const begins = transactionBegins(committed);
  for (const { name, version, seq, commitLsn } of published) {
    const position = positions.get(name);
    if (position === undefined) {
      findings.add("never committed", name);
      continue;
    }
    const change = committed[position]!;
    if (version !== undefined && version !== change.version) {
      findings.add("another row", `${name}: version ${version}, not ${change.version}`);
    }
    if (seq !== undefined && seq !== change.seq) {
      findings.add("another position", `${name}: seq ${seq}, not ${change.seq}`);
    }
    if (commitLsn !== undefined && !(begins[position]! <= commitLsn && commitLsn < change.endLsn)) {
      findings.add("another position", `${name}: commit LSN ${commitLsn}`);
    }
  }

  const seen = published.filter(({ name, isSeen }) => isSeen && positions.has(name));
  const isKnown = new Set<string>();
  const firsts = seen.filter(({ name }) => !isKnown.has(name) && isKnown.add(name));
  for (const change of committed) {
    if (isKnown.has(change.name)) continue;
    const isPromised = evidence.isFinished && !change.isLost ||
      evidence.samples.some((sample) => promises(sample, change));
    if (isPromised) findings.add("lost", change.name);
  }

  const rowOf = ({ name }: PublishedChange) => committed[positions.get(name)!]!.row;
  // Of a TRUNCATE that is lost, some shards have a copy and others never will.
  const inOrder = firsts.filter((change) =>
    !(isTruncate(change) && committed[positions.get(change.name)!]!.isLost)
  );
  checkRows(inOrder, rowOf, positions, findings);
  if (aggregation === "kpl") checkShards(evidence, new Set(firsts), positions, findings);
  checkConfirmed(evidence, seen, findings);
  // What is lost is told already.
  if (evidence.isFinished && findings.count("lost") === 0) {
    for (const finding of replayForConsumers(committed, published, evidence.shards, positions)) {
      findings.add("a consumer's copy", finding);
    }
  }

  const ofRows = published.filter((change) => !isTruncate(change));
  const duplicates = ofRows.length - new Set(ofRows.map(({ name }) => name)).size;
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

/** For each change, where the transaction or message before its transaction ended, on the same timeline. */
function transactionBegins(committed: readonly CommittedChange[]): readonly bigint[] {
  let begin = 0n;
  return committed.map(({ endLsn, timeline }, position) => {
    const before = committed[position - 1];
    if (before?.timeline !== timeline) begin = 0n;
    else if (before.endLsn !== endLsn) begin = before.endLsn;
    return begin;
  });
}

/** The changes of each row first come in the order of the commits. */
function checkRows(
  firsts: readonly PublishedChange[],
  rowOf: (change: PublishedChange) => string,
  positions: ReadonlyMap<string, number>,
  findings: Findings,
): void {
  const last = new Map<string, PublishedChange>();
  for (const change of firsts) {
    const row = rowOf(change);
    const before = last.get(row);
    if (before !== undefined && positions.get(before.name)! > positions.get(change.name)!) {
      findings.add("out of order", `row ${row}: "${change.name}" after "${before.name}"`);
    } else {
      last.set(row, change);
    }
  }
}

/** So do all changes of each shard, but for one put of each lane that met a merge by it. */
function checkShards(
  { published, shards, putsPerLane }: Evidence,
  firsts: ReadonlySet<PublishedChange>,
  positions: ReadonlyMap<string, number>,
  findings: Findings,
): void {
  const ranges = new Map(
    shards.map(({ id, start, end, parents }) => [
      id,
      { id, start: BigInt(start), end: BigInt(end), parents },
    ]),
  );
  type Range = { id: string; start: bigint; end: bigint; parents: readonly string[] };
  const order = new ShardOrder<Range, number>((shard) => {
    const lanes = lanesBefore(
      shard,
      ({ parents }) => parents.map((id) => ranges.get(id)!),
      (outer, inner) => outer.start <= inner.start && inner.end <= outer.end,
      (left, right) => left.start <= right.end && right.start <= left.end,
    );
    return Array.from({ length: putsPerLane }, () => lanes).flat();
  });
  const places = new Map([...positions].map(([name, position]) => [position, name]));
  const puts = Map.groupBy(
    published,
    ({ shardId, sequenceNumber }) => `${shardId} ${sequenceNumber}`,
  );
  for (const put of puts.values()) {
    const { shardId } = put[0]!;
    const late = order.add({
      shard: ranges.get(shardId)!,
      positions: put.filter((change) => firsts.has(change) && !isTruncate(change))
        .map(({ name }) => positions.get(name)!),
      liesIn: ({ start, end }) => put.every(({ hashKey }) => start <= hashKey && hashKey <= end),
    });
    for (const position of late) {
      findings.add("out of order", `shard ${shardId}: "${places.get(position)}" after a later one`);
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
  for (const sample of samples) {
    for (; checked < committed.length; checked++) {
      const change = committed[checked]!;
      // Of what is lost nothing is promised any more.
      if (change.isLost && sample.timeline > change.timeline) continue;
      if (!promises(sample, change)) break;
      const { name } = change;
      if ((arrivedAt.get(name) ?? Infinity) > sample.seenAtMs) {
        findings.add("confirmed too early", name);
      }
    }
  }
}

/** Whether a change lies before what was confirmed, in the history that it was confirmed in. */
function promises({ timeline, lsn }: ConfirmedSample, change: CommittedChange): boolean {
  if (change.isLost && timeline !== change.timeline) return false;
  return change.timeline <= timeline && change.endLsn <= lsn;
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
