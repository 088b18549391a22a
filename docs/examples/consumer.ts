/**
 * Reads what `pg2kinesis --message-formatter JSON` publishes with pgoutput or wal2json: takes aggregates
 * apart, drops duplicates, applies each change once, and puts transactions together. Copy or import it; it
 * needs Node.js 20, Deno or a bundler, and no package.
 *
 *     for (const record of deaggregate(data, partitionKey)) await applyOnce(record, copy);
 *
 * The rules are explained in docs/consuming.md.
 */
import { createHash } from "node:crypto";

/** One change, with the partition key that it was published under. */
export interface UserRecord {
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** Columns by name. Integers that a double cannot hold are `bigint`. */
export type Columns = Readonly<Record<string, unknown>>;

/** Where a record stands. All parts are there with pgoutput and wal2json. */
interface Place {
  readonly v: 1;
  readonly xid: number;
  readonly lsn: string;
  readonly commit_lsn: string;
  readonly seq: number;
  readonly timeline: number;
  /** RFC 3339, microseconds, UTC. */
  readonly ts: string;
}

interface OfTable {
  readonly schema: string;
  readonly table: string;
}

interface OfRow extends Place, OfTable {
  /** Whenever the table has a primary key. */
  readonly key?: Columns;
  /** The record was too large (`--on-oversize key-only`): there are no values. */
  readonly oversize?: true;
}

export interface Upsert extends OfRow {
  readonly op: "insert" | "update" | "read";
  readonly before?: Columns;
  readonly after?: Columns;
  /** Columns that keep their value and may be missing in `after`. */
  readonly unchanged?: readonly string[];
  readonly moved_from?: Columns;
  /** Of `read`: the backfill that read the row. */
  readonly request?: string;
}

export interface Delete extends OfRow {
  readonly op: "delete";
  readonly before?: Columns;
  readonly moved_to?: Columns;
}

export interface Truncate extends Place, OfTable {
  readonly op: "truncate";
}

/** A backfill has read all rows of the table. Every shard has this record. */
export interface BackfillEnd extends Place, OfTable {
  readonly op: "backfill";
  readonly request: string;
  readonly rows: number;
  readonly complete: boolean;
}

/** The end of a transaction, with `--transaction-records`. */
export interface Commit extends Place {
  readonly op: "commit";
  readonly changes: number;
  readonly tables: Readonly<Record<string, number>>;
  readonly messages?: number;
  readonly shards: number;
  readonly streams: number;
}

/** A logical message. One outside a transaction has only its `lsn`. */
export interface Message extends Partial<Omit<Place, "v" | "lsn">>, Pick<Place, "v" | "lsn"> {
  readonly op: "message";
  readonly prefix: string;
  readonly content?: string;
  readonly encoding?: "base64";
  readonly oversize?: true;
}

export type Change = Upsert | Delete | Truncate | BackfillEnd | Commit | Message;

const MAGIC = Uint8Array.of(0xf3, 0x89, 0x9a, 0xc2);
const MD5_BYTES = 16;
const utf8 = new TextDecoder();

/**
 * The user records in a Kinesis record, aggregated by the KPL's format or not.
 * https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
 */
export function deaggregate(data: Uint8Array, partitionKey: string): UserRecord[] {
  const plain = [{ partitionKey, data }];
  if (data.length < MAGIC.length + MD5_BYTES || MAGIC.some((byte, i) => data[i] !== byte)) {
    return plain;
  }
  const message = data.subarray(MAGIC.length, -MD5_BYTES);
  const md5 = createHash("md5").update(message).digest();
  if (md5.some((byte, i) => data[data.length - MD5_BYTES + i] !== byte)) return plain;
  const keys: string[] = [];
  const records: { readonly key: number; readonly data: Uint8Array }[] = [];
  for (const [field, value] of protobuf(message)) {
    if (typeof value === "number") continue;
    if (field === 1) keys.push(utf8.decode(value));
    if (field !== 3) continue;
    const parts = new Map(protobuf(value));
    records.push({ key: parts.get(1) as number, data: parts.get(3) as Uint8Array });
  }
  return records.map(({ key, data }) => ({ partitionKey: keys[key]!, data }));
}

/** The fields of a protobuf message that has only numbers and bytes. */
function* protobuf(bytes: Uint8Array): Generator<[field: number, value: number | Uint8Array]> {
  let at = 0;
  const varint = () => {
    for (let value = 0, unit = 1;; unit *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("the aggregate is cut short");
      value += (byte % 128) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    if (tag % 8 === 0) yield [tag >> 3, value];
    else if (tag % 8 === 2) yield [tag >> 3, bytes.subarray(at, at += value)];
    else throw new RangeError(`the aggregate has a field of the unknown type ${tag % 8}`);
  }
}

/** Reads a record, with every digit of its integers. */
export function parseChange(data: Uint8Array | string): Change {
  const text = typeof data === "string" ? data : utf8.decode(data);
  return JSON.parse(
    text,
    function (_name: string, value: unknown, context?: { source: string }) {
      if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
      const source = context?.source ?? "";
      return /^-?\d+$/.test(source) ? BigInt(source) : value;
    } as Parameters<typeof JSON.parse>[1],
  );
}

/**
 * `(timeline, commit_lsn, seq)` as text with the same sort order. Undefined for a message outside a
 * transaction, and for everything from test_decoding, which has no position.
 */
export function positionOf(
  { timeline, commit_lsn, seq }: Pick<Change, "timeline" | "commit_lsn" | "seq">,
): string | undefined {
  if (commit_lsn === undefined || seq === undefined) return undefined;
  const [high = "", low = ""] = commit_lsn.split("/");
  const lsn = high.padStart(8, "0") + low.padStart(8, "0");
  return `${String(timeline ?? 1).padStart(10, "0")}/${lsn}/${String(seq).padStart(16, "0")}`;
}

/** Where changes are applied: one place for all shards. */
export interface Copy {
  /** The highest position that was stored for a partition key, of deleted rows too. */
  highestPosition(partitionKey: string): Promise<string | undefined>;
  storePosition(partitionKey: string, position: string): Promise<void>;
  /**
   * Stores a row with its position. Columns that `after` lacks keep their value, of the row under
   * `moved_from` if there is none yet. An `update` with `moved_from` also removes the row there. Stores
   * nothing if the table has a TRUNCATE above the position.
   */
  upsert(change: Upsert, position: string): Promise<void>;
  /** Removes a row, if it is there. */
  remove(change: Delete, position: string): Promise<void>;
  /**
   * Removes the table's rows whose position is below, and no others; remembers the highest position. May
   * come more than once, and late.
   */
  truncate(change: Truncate, position: string): Promise<void>;
  /** What has no row: `message`, `backfill` and `commit`. May come more than once. */
  note?(change: Message | BackfillEnd | Commit, position: string | undefined): Promise<void>;
}

/**
 * Applies a change, unless it was applied. After an interruption between a row and its position the change
 * is applied again, which changes nothing. Do not call it again for the same partition key before it is done.
 */
export async function applyOnce(record: UserRecord, copy: Copy): Promise<Change> {
  const change = parseChange(record.data);
  const position = positionOf(change);
  if (change.op === "message" || change.op === "backfill" || change.op === "commit") {
    await copy.note?.(change, position);
    return change;
  }
  if (position === undefined) {
    throw new TypeError(
      "the change has no commit_lsn: use --pg-slot-output-plugin pgoutput or wal2json",
    );
  }
  // It removes what is older, whichever shard it comes from, and whenever.
  if (change.op === "truncate") {
    await copy.truncate(change, position);
    return change;
  }
  const highest = await copy.highestPosition(record.partitionKey);
  if (highest !== undefined && position <= highest) return change;
  if (change.op === "delete") await copy.remove(change, position);
  else await copy.upsert(change, position);
  await copy.storePosition(record.partitionKey, position);
  return change;
}

/** A table in memory: what a {@linkcode Copy} does, to read or to test with. */
export class MemoryCopy implements Copy {
  readonly #positions = new Map<string, string>();
  readonly #rows = new Map<string, { readonly position: string; readonly columns: Columns }>();
  readonly #truncated = new Map<string, string>();
  /** Backfills that have ended, as `REQUEST schema.table`. */
  readonly backfilled = new Set<string>();

  highestPosition(partitionKey: string): Promise<string | undefined> {
    return Promise.resolve(this.#positions.get(partitionKey));
  }

  storePosition(partitionKey: string, position: string): Promise<void> {
    this.#positions.set(partitionKey, position);
    return Promise.resolve();
  }

  upsert(change: Upsert, position: string): Promise<void> {
    const { schema, table } = change;
    const truncated = this.#truncated.get(rowName({ schema, table }));
    if (truncated !== undefined && position < truncated) return Promise.resolve();
    const name = rowName(change);
    const oldName = change.moved_from && rowName({ ...change, key: change.moved_from });
    const old = this.#rows.get(name) ?? this.#rows.get(oldName ?? name);
    if (change.op === "update" && oldName !== undefined) this.#rows.delete(oldName);
    this.#rows.set(name, { position, columns: { ...old?.columns, ...change.after } });
    return Promise.resolve();
  }

  remove(change: Delete): Promise<void> {
    this.#rows.delete(rowName(change));
    return Promise.resolve();
  }

  truncate(change: Truncate, position: string): Promise<void> {
    const table = rowName(change);
    // Lambda may deliver what comes before it in the same shard beside it.
    if (position > (this.#truncated.get(table) ?? "")) this.#truncated.set(table, position);
    for (const [name, row] of this.#rows) {
      if (name.startsWith(table) && row.position < position) this.#rows.delete(name);
    }
    return Promise.resolve();
  }

  note(change: Message | BackfillEnd | Commit): Promise<void> {
    if (change.op === "backfill" && change.complete) {
      this.backfilled.add(`${change.request} ${change.schema}.${change.table}`);
    }
    return Promise.resolve();
  }

  /** The rows of a table, in no order. */
  rows(schema: string, table: string): Columns[] {
    const prefix = rowName({ schema, table });
    return [...this.#rows].filter(([name]) => name.startsWith(prefix)).map(([, row]) =>
      row.columns
    );
  }
}

const withoutLosses = (_name: string, value: unknown) =>
  typeof value === "bigint" ? { integer: String(value) } : value;

/** The table's part comes first, and ends with a line break. */
const rowName = ({ schema, table, key }: OfTable & { readonly key?: Columns }) =>
  `${JSON.stringify([schema, table])}\n${key ? JSON.stringify(key, withoutLosses) : ""}`;

export interface Transaction {
  readonly commit: Commit;
  /** In the order in which they were made. */
  readonly changes: readonly Exclude<Change, Commit | BackfillEnd>[];
}

/** Transactions that are not given again when parts of them are repeated. */
const REMEMBERED = 100_000;

/**
 * Puts transactions together from the records of all shards (`--transaction-records`). A transaction is
 * given when all its changes are there, in whatever order its shards are read, duplicates included. It is
 * given again after a restart, or when it comes again after many others. `read` and `backfill` are no part of
 * one.
 */
export class Transactions {
  readonly #open = new Map<string, OpenTransaction>();
  /** Those that were given last. */
  readonly #given = new Set<string>();

  /** Those of which a change has been read and that are not complete. */
  get open(): number {
    return this.#open.size;
  }

  /** Gives the transaction that the change completes. */
  add(change: Change): Transaction | undefined {
    if (change.op === "read" || change.op === "backfill") return undefined;
    const { timeline, commit_lsn, seq } = change;
    if (commit_lsn === undefined || seq === undefined) return undefined;
    const name = `${timeline} ${commit_lsn}`;
    if (this.#given.has(name)) return undefined;
    let transaction = this.#open.get(name);
    if (transaction === undefined) {
      transaction = { commit: undefined, changes: new Map(), halves: new Map() };
      this.#open.set(name, transaction);
    }
    const { changes, halves } = transaction;
    if (change.op === "commit") transaction.commit = change;
    else {
      // An update of the key is two records with one seq.
      const isHalf = change.op === "delete" && change.moved_to !== undefined ||
        change.op === "insert" && change.moved_from !== undefined;
      changes.set(`${seq} ${isHalf ? change.op : ""}`, change);
      if (isHalf) halves.set(seq, (halves.get(seq) ?? new Set()).add(change.op));
    }
    const { commit } = transaction;
    if (commit === undefined || [...halves.values()].some(({ size }) => size < 2)) return undefined;
    if (changes.size - halves.size < commit.changes) return undefined;
    this.#open.delete(name);
    this.#given.add(name);
    if (this.#given.size > REMEMBERED) this.#given.delete(this.#given.values().next().value!);
    // A delete of the old key comes before the insert of the new one.
    const sorted = [...changes.values()].sort((a, b) =>
      a.seq! - b.seq! || (a.op === "delete" ? -1 : 1)
    );
    return { commit, changes: sorted };
  }
}

interface OpenTransaction {
  commit: Commit | undefined;
  readonly changes: Map<string, Transaction["changes"][number]>;
  /** Of updates of the key: the operations that are there, by seq. */
  readonly halves: Map<number, Set<string>>;
}
