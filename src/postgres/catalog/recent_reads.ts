import type { TableName } from "./known_table.ts";
import type { Snapshot } from "./transaction_snapshot.ts";

/** A table that was of no use in so many readings is left out of the next. */
const MAX_IDLE_READS = 100;
/** Read together with others, at most. */
const MAX_TABLES = 2000;

interface Read {
  readonly name: TableName;
  /** Undefined before it was read. */
  snapshot: Snapshot | undefined;
  idle: number;
}

/** The tables that were read for themselves, and are read together while their changes go on. */
export class RecentReads {
  /** By `schema.table`. */
  readonly #reads = new Map<string, Read>();

  /** What was seen when it was read last. */
  snapshotOf(qualifiedName: string): Snapshot | undefined {
    return this.#reads.get(qualifiedName)?.snapshot;
  }

  isRead(qualifiedName: string, xid: number): boolean {
    const read = this.#reads.get(qualifiedName);
    if (read?.snapshot === undefined || !read.snapshot(xid)) return false;
    read.idle = 0;
    return true;
  }

  /** Lets a table be read together with the others. */
  use(name: TableName): void {
    const key = `${name.schema}.${name.table}`;
    const read = this.#reads.get(key);
    if (read !== undefined) read.idle = 0;
    else this.#reads.set(key, { name, snapshot: undefined, idle: 0 });
  }

  /** All that are in use. */
  choose(): TableName[] {
    const chosen: TableName[] = [];
    for (const [key, read] of this.#reads) {
      if (++read.idle > MAX_IDLE_READS) this.#reads.delete(key);
      else chosen.push(read.name);
    }
    return chosen;
  }

  /** What is to be read for a table: a new one by itself, any other with all that are in use. */
  chooseFor(name: TableName): TableName[] {
    const known = this.#reads.get(`${name.schema}.${name.table}`);
    if (known?.snapshot === undefined) return [name];
    known.idle = 0;
    return this.choose();
  }

  /** Of all tables that there are. */
  noteAll(snapshot: Snapshot): void {
    for (const read of this.#reads.values()) read.snapshot = snapshot;
  }

  note(names: readonly TableName[], snapshot: Snapshot): void {
    for (const name of names) {
      const key = `${name.schema}.${name.table}`;
      const read = this.#reads.get(key);
      if (read !== undefined) read.snapshot = snapshot;
      else this.#reads.set(key, { name, snapshot, idle: 0 });
    }
    for (const key of this.#reads.keys()) {
      if (this.#reads.size <= MAX_TABLES) break;
      this.#reads.delete(key);
    }
  }
}
