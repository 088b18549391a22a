import { createHash } from "node:crypto";
import type { Snapshot } from "../postgres/catalog/transaction_snapshot.ts";

/** Keys noted of one transaction in one table; "all": too many, or not known which. */
export type NotedKeys = ReadonlySet<string> | "all";

/** Of one transaction in one table; more stand for the whole table. */
const MAX_KEYS_OF_XID = 64 * 1024;
/** Of all; beyond it a snapshot is due. */
const MANY_KEYS = 64 * 1024;
/** Of all: a run that cannot take a snapshot must not fill the memory. */
const MAX_KEYS = 512 * 1024;

/** Units of a key that is noted as it is. */
const SHORT_KEY = 256;

/**
 * What is noted of a key. A text that compresses well may be long and a key all the same, and whoever writes
 * such keys must not fill the memory. Two of one digest would only be read again.
 */
export function notedKey(key: string): string {
  return key.length <= SHORT_KEY ? key : createHash("sha256").update(key).digest("base64");
}

/**
 * The keys that were touched by changes that were published and that no snapshot has seen yet: a read may
 * still give the rows as they were before. A transaction whose commit waits for a synchronous standby is
 * decoded long before it can be seen.
 */
export class NotedChanges {
  readonly #byXid = new Map<number, Map<string, Set<string> | "all">>();
  #count = 0;
  #snapshot: Snapshot | undefined;

  /** A snapshot is to be taken soon, to forget what it sees. */
  get areMany(): boolean {
    return this.#count >= MANY_KEYS;
  }

  /** Nothing may be noted any more: whoever reads must begin as after a start. */
  get areTooMany(): boolean {
    return this.#count >= MAX_KEYS;
  }

  note(xid: number, table: string, keys: readonly string[]): void {
    if (this.#snapshot?.(xid)) return;
    const tables = this.#of(xid);
    let noted = tables.get(table);
    if (noted === "all") return;
    if (noted === undefined) tables.set(table, noted = new Set());
    const before = noted.size;
    for (const key of keys) noted.add(notedKey(key));
    this.#count += noted.size - before;
    if (noted.size > MAX_KEYS_OF_XID) this.noteAll(xid, table);
  }

  noteAll(xid: number, table: string): void {
    if (this.#snapshot?.(xid)) return;
    const tables = this.#of(xid);
    const noted = tables.get(table);
    if (noted === "all") return;
    this.#count += 1 - (noted?.size ?? 0);
    tables.set(table, "all");
  }

  /** What later snapshots see as well is forgotten. */
  forget(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    for (const [xid, tables] of this.#byXid) {
      if (!snapshot(xid)) continue;
      for (const noted of tables.values()) this.#count -= noted === "all" ? 1 : noted.size;
      this.#count--;
      this.#byXid.delete(xid);
    }
  }

  /** What is noted of a table, by xid: of transactions that the last snapshot does not see. */
  of(table: string): [xid: number, keys: NotedKeys][] {
    const found: [number, NotedKeys][] = [];
    for (const [xid, tables] of this.#byXid) {
      const noted = tables.get(table);
      if (noted !== undefined) found.push([xid, noted]);
    }
    return found;
  }

  clear(): void {
    this.#byXid.clear();
    this.#count = 0;
    this.#snapshot = undefined;
  }

  #of(xid: number): Map<string, Set<string> | "all"> {
    let tables = this.#byXid.get(xid);
    if (tables === undefined) {
      this.#byXid.set(xid, tables = new Map());
      this.#count++;
    }
    return tables;
  }
}
