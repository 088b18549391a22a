import { takeApart } from "../../support/read_back.ts";
import { parentsFirst } from "../parents_first.ts";
import type { ShardState } from "../../support/fault_server/stream_state.ts";
import { type KeptTable, keyOf, rowText } from "./kept_tables.ts";

// deno-lint-ignore no-explicit-any -- a record of the JSON format
type Json = any;

interface KeptRecord {
  readonly change: Json;
  readonly hashKey: bigint;
  /** The shard's, for a TRUNCATE. */
  readonly range: readonly [bigint, bigint];
}

interface RowState {
  readonly position: string;
  /** Undefined: deleted. */
  readonly row: Json | undefined;
  readonly hashKey: bigint;
}

/** How a consumer decides whether a record is of use: the last one of a key counts, or the highest position. */
export type Rule = "last" | "position";

/** A backfill of a table that has ended. */
export interface EndRecord {
  readonly request: string;
  readonly table: string;
  readonly complete: boolean;
  readonly position: string;
}

/** All that a stream holds, as consumers built on the KCL see it. */
export class KeptStream {
  readonly #shards: { id: string; parents: readonly string[]; records: KeptRecord[] }[];
  records = 0;
  /** Each counted once, however often it was stored. */
  readonly changes = new Set<string>();
  readonly reads = { count: 0 };
  readonly ends: EndRecord[] = [];

  constructor(shards: readonly ShardState[]) {
    const ordered = parentsFirst(shards.map(({ id, parents, start, end }) => ({
      ...{ id, parents, start: String(start), end: String(end) },
    })));
    this.#shards = ordered.map(({ id }) => {
      const { start, end, parents, records } = shards.find((shard) => shard.id === id)!;
      const seen: KeptRecord[] = [];
      for (const { sequenceNumber, partitionKey, data } of records) {
        const users = takeApart({ sequenceNumber, partitionKey, data });
        // The KCL drops an aggregate with a record that lies in another shard.
        const isSeen = users.every(({ subSequence, hashKey }) =>
          subSequence === undefined || start <= hashKey && hashKey <= end
        );
        if (!isSeen) continue;
        for (const { text, hashKey } of users) {
          seen.push({ change: JSON.parse(text), hashKey, range: [start, end] });
        }
      }
      return { id, parents, records: seen };
    });
    for (const { records } of this.#shards) {
      for (const { change } of records) this.#count(change);
    }
  }

  #count(change: Json): void {
    this.records++;
    if (change.op === "backfill") {
      const { request, schema, table, complete } = change;
      const position = positionOf(change);
      this.ends.push({ request, table: `${schema}.${table}`, complete, position });
    } else if (change.op === "read") this.reads.count++;
    else if (change.op !== "message") {
      // Both halves of a key that moved are one change.
      this.changes.add(`${change.xid} ${change.seq}`);
    }
  }

  /** Where the last backfill of a table ended. */
  lastEnd(table: string): string {
    return this.ends.filter((end) => end.complete && end.table === table)
      .reduce((last, { position }) => position > last ? position : last, "");
  }

  /** A record a line, shard after shard. */
  dump(): string {
    return this.#shards.flatMap(({ id, records }) =>
      records.map(({ change }) => `${id} ${JSON.stringify(change).replaceAll(/x{2100}/g, "x")}\n`)
    ).join("");
  }

  /** The rows that a consumer has who began with none, by table and key. */
  copy(rule: Rule, tables: ReadonlyMap<string, KeptTable>): KeptCopy {
    const copy = new KeptCopy(rule, tables);
    // Parents first.
    for (const { records } of this.#shards) for (const record of records) copy.take(record);
    copy.takeRest();
    return copy;
  }
}

/** The tables as one consumer has them. */
export class KeptCopy {
  readonly #rows = new Map<string, Map<string, RowState>>();
  readonly #truncated = new Map<string, string>();
  /** What a key had that moved away, the first time that it did. */
  readonly #moved = new Map<string, Json | undefined>();
  /**
   * What a moved key had may be in another shard: a consumer that follows moved_from lets what comes for the new
   * key wait until it has come to the old one. By table and key.
   */
  readonly #waiting = new Map<string, KeptRecord[]>();
  /** The key in the same table that waits for a move. */
  readonly #waitsFor = new Map<string, string>();

  constructor(
    private readonly rule: Rule,
    private readonly tables: ReadonlyMap<string, KeptTable>,
  ) {}

  take(record: KeptRecord): void {
    const { change } = record;
    if (change.op === "backfill" || change.op === "message") return;
    const name = `${change.schema}.${change.table}`;
    const kept = this.tables.get(name);
    if (kept === undefined) return;
    if (change.op === "truncate") {
      for (const [key, waiting] of this.#waiting) {
        if (key.startsWith(`${name} `)) waiting.push(record);
      }
      return this.#apply(record, kept);
    }
    const key = keyOf(kept.keyColumns, change.key);
    const waiting = this.#waiting.get(`${name} ${key}`);
    if (waiting !== undefined) waiting.push(record);
    else this.#takeInOrder(name, key, [record], kept);
  }

  /** Records of one key, until one has to wait. */
  #takeInOrder(name: string, key: string, records: readonly KeptRecord[], kept: KeptTable): void {
    for (const [index, record] of records.entries()) {
      const { change } = record;
      const from = change.moved_from && moveOf(change, change.moved_from);
      if (from !== undefined && !this.#moved.has(from)) {
        this.#waiting.set(`${name} ${key}`, records.slice(index));
        this.#waitsFor.set(from, key);
        return;
      }
      this.#apply(record, kept, key);
      const freed = change.moved_to && this.#waitsFor.get(moveOf(change, change.key));
      if (freed !== undefined) {
        this.#waitsFor.delete(moveOf(change, change.key));
        const rest = this.#waiting.get(`${name} ${freed}`)!;
        this.#waiting.delete(`${name} ${freed}`);
        this.#takeInOrder(name, freed, rest, kept);
      }
    }
  }

  /** Nothing more comes. */
  takeRest(): void {
    for (const records of this.#waiting.values()) {
      const { schema, table } = records[0]!.change;
      const kept = this.tables.get(`${schema}.${table}`)!;
      const key = keyOf(kept.keyColumns, records[0]!.change.key);
      for (const record of records) this.#apply(record, kept, key);
    }
    this.#waiting.clear();
  }

  /** `only`: the key for which a TRUNCATE that had to wait is meant; it has been applied to all others. */
  #apply({ change, hashKey, range }: KeptRecord, kept: KeptTable, only?: string): void {
    const name = `${change.schema}.${change.table}`;
    let rows = this.#rows.get(name);
    if (rows === undefined) this.#rows.set(name, rows = new Map());
    const position = positionOf(change);
    const byPosition = this.rule === "position";
    if (change.op === "truncate") {
      for (const [key, state] of rows) {
        const isOlder = byPosition
          ? state.position < position
          : range[0] <= state.hashKey && state.hashKey <= range[1];
        if (!isOlder || key !== (only ?? key)) continue;
        rows.set(key, { position, row: undefined, hashKey: state.hashKey });
      }
      if (byPosition && position > (this.#truncated.get(name) ?? "")) {
        this.#truncated.set(name, position);
      }
      return;
    }
    const key = keyOf(kept.keyColumns, change.key);
    const state = rows.get(key);
    if (change.moved_to !== undefined) {
      const move = moveOf(change, change.key);
      if (!this.#moved.has(move)) this.#moved.set(move, state?.row);
    }
    if (byPosition) {
      if (state !== undefined && state.position >= position) return;
      if ((this.#truncated.get(name) ?? "") > position) return;
    }
    if (change.op === "delete") {
      rows.set(key, { position, row: undefined, hashKey });
      return;
    }
    const from = change.moved_from && this.#moved.get(moveOf(change, change.moved_from));
    const before = change.op === "update" || change.moved_from !== undefined
      ? from ?? state?.row
      : undefined;
    // What enters a row filter comes as an insert, without what is in TOAST.
    const entered = change.op === "insert" && change.moved_from === undefined &&
        change.after.big === undefined
      ? { entered: position }
      : {};
    rows.set(key, { position, row: { ...before, ...entered, ...change.after }, hashKey });
  }

  /** Where a row entered its table's row filter without all its values; undefined: it did not. */
  entered(name: string, key: string): string | undefined {
    return this.#rows.get(name)?.get(key)?.row?.entered;
  }

  /** Rows of a table as text, by key. */
  rows(name: string): ReadonlyMap<string, string> {
    const { keyColumns } = this.tables.get(name)!;
    const columns = [...keyColumns, "n", "v", "big"];
    const present = new Map<string, string>();
    for (const [key, { row }] of this.#rows.get(name) ?? []) {
      if (row !== undefined) present.set(key, rowText(columns, row));
    }
    return present;
  }
}

/** Names a change that moved a row away from a key. */
function moveOf({ xid, seq, schema, table }: Json, key: Json): string {
  return `${xid} ${seq} ${schema}.${table} ${JSON.stringify(key)}`;
}

/** Compares as text as it does as positions: timeline, commit, place in the transaction. */
function positionOf({ timeline = 1, commit_lsn = "0/0", seq }: Json): string {
  const [high, low] = String(commit_lsn).split("/");
  return `${String(timeline).padStart(4, "0")} ${high!.padStart(8, "0")} ${low!.padStart(8, "0")} ${
    String(seq ?? 0).padStart(10, "0")
  }`;
}
