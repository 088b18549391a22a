import { covers, overlap, type Shard } from "../kinesis/stream/shard_map.ts";
import { formatLsn } from "../base/lsn.ts";
import { countOf } from "../base/quantity.ts";
import { readChangeName, tableOf } from "./change_name.ts";
import { KeyHistories, type NamedChange, type OrderedChange, positionOf } from "./key_history.ts";
import { contentHash, fingerprintOfBytes, RecentFingerprints } from "./recent_fingerprints.ts";
import { type NumberRange, SequenceGaps } from "./sequence_gaps.ts";
import { lanesBefore, ShardOrder } from "./shard_order.ts";
import { TruncateOrder } from "./truncate_order.ts";
import { liesIn, type TailedRecord } from "./user_record.ts";

/** How many findings of one kind are reported one by one; the others are counted. */
const TOLD_OF_A_KIND = 20;
const RANGES_TOLD = 10;

export interface VerifierOptions {
  /** Every number of a transaction, from 0 to its greatest, must be there. */
  readonly expectAll: boolean;
  /** Gets each finding, up to twenty of a kind, as one line. */
  readonly tell: (finding: string) => void;
}

/** What was seen, in user records; `late`, `differing`, `misplaced` and `gaps` are findings. */
export interface VerifierCounts {
  /** User records of the JSON format. */
  verified: number;
  /** Records of other formats: of these only the shard is verified. */
  other: number;
  /** Messages outside of transactions, which nothing names. */
  unnamed: number;
  /** Rows that backfills read, and the ends of these. */
  ofBackfills: number;
  /** Named by (xid, seq): their order shows within a transaction only. */
  unordered: number;
  duplicates: number;
  /** Of the duplicates, those that are older than what is remembered. */
  presumedDuplicates: number;
  late: number;
  /** A name that came before, with another content. */
  differing: number;
  /** In aggregates that lie across shards, as a reshard leaves them behind, and stored again elsewhere. */
  passedOver: number;
  /** The same, but stored nowhere else. */
  misplaced: number;
  /** Transactions of which a number is missing. */
  gaps: number;
}

/**
 * Verifies what the JSON format promises (DESIGN, section 5): of one partition key the pairs
 * (commit_lsn, seq) grow, duplicates aside, and each pair has one content; that a TRUNCATE stands behind
 * what it removed; and that a consumer built on the Kinesis Client Library sees every user record. Where
 * all are expected, also that an aggregated shard as a whole is in the order of commits. Records must come shard by shard, each in its order and after its parents.
 */
export class Verifier<S extends Shard = Shard> {
  readonly counts: VerifierCounts = {
    verified: 0,
    other: 0,
    unnamed: 0,
    ofBackfills: 0,
    unordered: 0,
    duplicates: 0,
    presumedDuplicates: 0,
    late: 0,
    differing: 0,
    passedOver: 0,
    misplaced: 0,
    gaps: 0,
  };
  readonly #histories = new KeyHistories();
  /** Of the copies in each shard. */
  readonly #truncates = new KeyHistories();
  readonly #truncateOrder = new TruncateOrder();
  readonly #shardOrder: ShardOrder<S, bigint>;
  /** The first of them are reported at the end, once it is known that the records are aggregated. */
  readonly #lateInShard: string[] = [];
  #latesInShard = 0;
  #isAggregated = false;
  #parentsOf: (shard: S) => readonly S[] = () => [];
  readonly #otherRecords = new RecentFingerprints();
  /**
   * User records that were only in aggregates which a consumer built on the Kinesis Client Library drops,
   * by what shows that they are stored again.
   */
  readonly #awaited = new Map<string | number, TailedRecord>();
  /** By timeline and commit LSN, or timeline and xid, as one number. */
  readonly #gaps = new SequenceGaps<bigint>();
  readonly #gapsByXid = new SequenceGaps<number>();

  constructor(private readonly options: VerifierOptions) {
    this.#shardOrder = new ShardOrder((shard) =>
      lanesBefore(shard, (shard) => this.#parentsOf(shard), covers, overlap)
    );
  }

  /** Distinct partition keys of named changes. */
  get keys(): number {
    return this.#histories.keys;
  }

  get findings(): number {
    const { late, differing, misplaced, gaps } = this.counts;
    return late + differing + misplaced + gaps;
  }

  /**
   * Takes the user records of one Kinesis record, and gives those that are not to be left out. While a
   * stream is resharded a run may store an aggregate across shards; it is not acknowledged then, and all
   * its user records are stored again. So what counts is what is not to be found elsewhere.
   *
   * @param parentsOf the shards that a shard came from, as far as they are known
   */
  take(
    records: readonly TailedRecord[],
    shard: S,
    parentsOf: (shard: S) => readonly S[] = () => [],
  ): readonly TailedRecord[] {
    if (isSeenByKcl(records, shard)) {
      this.#parentsOf = parentsOf;
      const firsts: bigint[] = [];
      const kept = records.filter((record) => this.#takeOne(record, shard, firsts));
      if (this.options.expectAll) this.#takeInOrder(records, shard, firsts);
      return kept;
    }
    this.counts.passedOver += records.length;
    for (const record of records) this.#await(record);
    return [];
  }

  /** What is new of a Kinesis record is in the order of the whole shard. */
  #takeInOrder(records: readonly TailedRecord[], shard: S, firsts: readonly bigint[]): void {
    this.#isAggregated ||= records[0]?.subSequence !== undefined;
    const late = this.#shardOrder.add({
      shard,
      positions: firsts,
      liesIn: (ancestor) => records.every((record) => liesIn(ancestor, record)),
    });
    if (late.length === 0) return;
    if (this.#latesInShard++ >= TOLD_OF_A_KIND) return;
    this.#lateInShard.push(
      `${place({ ...records[0]!, subSequence: undefined })}: ${
        countOf(late.length, "change")
      } of it come after later ` +
        "changes of the shard",
    );
  }

  /** False: the record is a duplicate. `firsts` gets the positions of rows' changes that are new. */
  #takeOne(record: TailedRecord, shard: Shard, firsts: bigint[]): boolean {
    const { counts } = this;
    const name = readChangeName(record.data);
    if (name === undefined || name.kind === "unnamed") {
      counts[name === undefined ? "other" : "unnamed"]++;
      if (name !== undefined) counts.verified++;
      const print = fingerprintOfBytes(keyOf(record), record.data);
      this.#otherRecords.add(print);
      this.#awaited.delete(print);
      return true;
    }
    counts.verified++;
    if (this.#awaited.size > 0) this.#awaited.delete(awaitedName(record, name));
    if (name.kind === "unordered") counts.unordered++;
    // Of those that a crash kept from being stored none comes again: the rows are read again.
    if (name.isRead) counts.ofBackfills++;
    else if (this.options.expectAll) this.#count(name);
    // The shards of a transaction are counted anew when it is published again.
    const content = name.isCommit ? 0 : contentHash(record.data);
    if (name.isCommit) return this.#takeCommit(record, shard, name, content);
    if (name.kind === "ordered" && name.isTruncate) {
      return this.#takeTruncate(record, shard, name, content);
    }
    const standing = this.#histories.add(group(record, shard), name, content);
    switch (standing) {
      case "new":
        if (name.kind === "ordered") this.#takeNew(record, shard, positionOf(name), firsts);
        return true;
      case "old":
        counts.presumedDuplicates++;
        counts.duplicates++;
        return false;
      case "duplicate":
        counts.duplicates++;
        return false;
      case "differing":
        this.#tellDiffering(record, name);
        return true;
      case "late":
        this.#tell(
          counts.late++,
          () =>
            `${place(record)}: ${describe(name)} of ${quote(record)} comes after a later change`,
        );
        return true;
      default:
        return standing satisfies never;
    }
  }

  #takeNew(record: TailedRecord, shard: Shard, position: bigint, firsts: bigint[]): void {
    firsts.push(position);
    if (!this.#truncateOrder.hasTruncates) return;
    const table = tableIn(record);
    if (table !== undefined) this.#truncateOrder.row(table, shard, position, record);
  }

  /** One that comes again is no duplicate where it removes rows that came behind the first. */
  #takeTruncate(
    record: TailedRecord,
    shard: Shard,
    name: OrderedChange,
    content: number,
  ): boolean {
    const table = tableIn(record);
    const position = positionOf(name);
    const removes = table !== undefined && this.#truncateOrder.truncate(table, shard, position);
    const key = keyOf(record);
    this.#truncates.add(key, name, content);
    const copies = `${key}\n${shard.id}`;
    const standing = this.#truncates.add(copies, name, content);
    if (standing === "differing") this.#tellDiffering(record, name);
    if (standing !== "duplicate") return true;
    if (!removes) this.counts.duplicates++;
    return removes;
  }

  /** One lies in each shard of its transaction. */
  #takeCommit(record: TailedRecord, shard: Shard, name: NamedChange, content: number): boolean {
    const key = keyOf(record);
    this.#truncates.add(key, name, content);
    const standing = this.#truncates.add(`${key}\n${shard.id}`, name, content);
    if (standing === "late") {
      this.#tell(
        this.counts.late++,
        () => `${place(record)}: ${describe(name)} of ${quote(record)} comes after a later change`,
      );
    }
    if (standing !== "duplicate" && standing !== "old") return true;
    this.counts.duplicates++;
    return false;
  }

  #tellDiffering(record: TailedRecord, name: NamedChange): void {
    this.#tell(
      this.counts.differing++,
      () =>
        `${place(record)}: ${describe(name)} of ${quote(record)} came before with other content`,
    );
  }

  /** Remembers a record that such a consumer did not see, unless it saw it before. */
  #await(record: TailedRecord): void {
    const name = readChangeName(record.data);
    if (name !== undefined && name.kind !== "unnamed") {
      const isInEveryShard = name.isCommit || name.kind === "ordered" && name.isTruncate;
      const histories = isInEveryShard ? this.#truncates : this.#histories;
      if (histories.has(keyOf(record), name)) return;
      this.#awaited.set(awaitedName(record, name), record);
    } else {
      const print = fingerprintOfBytes(keyOf(record), record.data);
      if (!this.#otherRecords.has(print)) this.#awaited.set(print, record);
    }
  }

  #count(name: NamedChange): void {
    const { timeline, seq } = name;
    if (name.kind === "ordered") this.#gaps.add((BigInt(timeline) << 64n) | name.commitLsn, seq);
    else this.#gapsByXid.add(timeline * 2 ** 32 + name.xid, seq);
  }

  /** To be called when all was read: looks for what is missing. */
  finish(): void {
    for (const record of this.#awaited.values()) {
      this.counts.passedOver--;
      this.#tell(
        this.counts.misplaced++,
        () =>
          `${place(record)}: the aggregate with this record of ${
            quote(record)
          } lies across shards, and ` +
          "it is stored nowhere else; a consumer built on the Kinesis Client Library never sees it",
      );
    }
    for (const { record } of this.#truncateOrder.uncovered()) {
      this.#tell(
        this.counts.late++,
        () =>
          `${place(record)}: a change of ${
            quote(record)
          } comes after a TRUNCATE of its table that is ` +
          "later than it, and that is not sent again",
      );
    }
    if (this.#isAggregated) {
      for (const finding of this.#lateInShard) this.options.tell(finding);
      this.counts.late += this.#latesInShard;
    }
    for (const { transaction, ranges } of this.#gaps.missing()) {
      const lsn = formatLsn(BigInt.asUintN(64, transaction));
      this.#tellGap(`transaction ${lsn}${onTimeline(Number(transaction >> 64n))}`, ranges);
    }
    for (const { transaction, ranges } of this.#gapsByXid.missing()) {
      const timeline = Math.floor(transaction / 2 ** 32);
      this.#tellGap(
        `transaction with xid ${transaction % 2 ** 32}${onTimeline(timeline)}`,
        ranges,
      );
    }
  }

  #tellGap(transaction: string, ranges: readonly NumberRange[]): void {
    this.#tell(this.counts.gaps++, () => {
      const told = ranges.slice(0, RANGES_TOLD)
        .map(({ first, last }) => first === last ? `${first}` : `${first} to ${last}`);
      const more = ranges.length > RANGES_TOLD ? ", …" : "";
      return `${transaction}: no change with seq ${told.join(", ")}${more}`;
    });
  }

  #tell(before: number, finding: () => string): void {
    if (before < TOLD_OF_A_KIND) this.options.tell(finding());
  }
}

/**
 * What is in order with what: a partition key. A record that is away from its key's own shard, by an
 * explicit hash key, is in order with that shard alone.
 */
function group(record: TailedRecord, shard: Shard): string {
  const { partitionKey } = record;
  const key = keyOf(record);
  return liesIn(shard, { partitionKey, explicitHashKey: undefined }) ? key : `${key}\n${shard.id}`;
}

/** A partition key is in order within its stream. */
function keyOf({ stream, partitionKey }: TailedRecord): string {
  return stream === undefined ? partitionKey : `${stream}\n${partitionKey}`;
}

/** A table's TRUNCATE removes what lies in its stream. */
function tableIn({ stream, data }: TailedRecord): string | undefined {
  const table = tableOf(data);
  return stream === undefined || table === undefined ? table : `${stream}\n${table}`;
}

/**
 * A consumer built on the Kinesis Client Library drops an aggregate when one of its user records hashes
 * outside of the shard that holds it. Where a plain record belongs was settled by Kinesis, which does not
 * tell its explicit hash key.
 */
function isSeenByKcl(records: readonly TailedRecord[], shard: Shard): boolean {
  return records.every((record) => record.subSequence === undefined || liesIn(shard, record));
}

function awaitedName(record: TailedRecord, name: NamedChange): string {
  return `${describe(name)} ${keyOf(record)}`;
}

function place({ stream, shardId, sequenceNumber, subSequence }: TailedRecord): string {
  const shard = stream === undefined ? shardId : `stream ${stream}, ${shardId}`;
  return `${shard} ${sequenceNumber}${subSequence === undefined ? "" : `/${subSequence}`}`;
}

const quote = ({ partitionKey }: TailedRecord) => JSON.stringify(partitionKey);

function describe(name: NamedChange): string {
  const where = onTimeline(name.timeline);
  return name.kind === "ordered"
    ? `the pair (${formatLsn(name.commitLsn)}, ${name.seq})${where}`
    : `(xid ${name.xid}, seq ${name.seq})${where}`;
}

/** Nearly all databases are on their first one. */
const onTimeline = (timeline: number) => timeline === 1 ? "" : ` on timeline ${timeline}`;
