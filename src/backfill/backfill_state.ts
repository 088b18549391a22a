import type { Lsn } from "../base/lsn.ts";
import { keyText } from "./changed_keys.ts";
import type { Chunk, Hold } from "./chunk.ts";
import { Ledger } from "./ledger.ts";
import { NotedChanges } from "./noted_changes.ts";
import type { WaitCause, Waiting } from "./progress.ts";
import { type AgainEntry, areTooMany, type TableRead } from "./table_read.ts";

/** A message of this run that has not come back. */
export interface Sent {
  readonly number: number;
  readonly sentMs: number;
}

/** A key that a change left without values before its table was looked up. */
export interface EarlyKey {
  readonly names: readonly string[];
  readonly entry: AgainEntry;
}

/** What the stage in the stream and the reader beside it share. Both run on one thread. */
export class BackfillState {
  /** Names this run in its messages. */
  readonly run = crypto.randomUUID().slice(0, 8);
  readonly ledger = new Ledger();
  readonly noted = new NotedChanges();
  /** Of the first request, by OID, and the request that they are of; undefined before they are looked up. */
  tables: TableRead[] | undefined;
  tablesOf: string | undefined;
  /** An xid: what older transactions attached was known when they were looked up first, by whichever run. */
  since: number | undefined;
  /** By the name that the plugin gives; several partitions may have one. */
  byRelation = new Map<string, TableRead[]>();
  /** Grows when the last two change. */
  version = 0;
  /** By the name that the plugin gives; undefined: there were too many. */
  early: Map<string, EarlyKey[]> | undefined = new Map();
  #earlyCount = 0;
  chunk: Chunk | undefined;
  /** A number for each START_REPLICATION and each connection of the reader: what was known before is not. */
  epoch = 0;
  /** The ping of this epoch came back: the stream has come as far, and every mark before is known. */
  hasJoined = false;
  ping: Sent | undefined;
  /** The newest mark. */
  mark: Sent | undefined;
  /** What the last of them took to come back. */
  roundTripMs = 0;
  lastMarkMs = -Infinity;
  generation = 0;
  /** Of the last message. */
  #number = 0;
  malformed = 0;
  readonly holds: Hold[] = [];
  /** The number of the last mark that came back. */
  cameBack = 0;
  /** What all tables wait for. */
  waiting: Waiting | undefined;
  /** Tables of requests that have ended, since the run began. */
  readonly totals = { rows: 0, readAgain: 0, givenUp: 0 };
  /** Rows are on their way to the writer. */
  isPublishing = false;
  #wake: (() => void) | undefined;

  /** Whether the stream's changes must be looked at. */
  get isActive(): boolean {
    return this.ledger.requests.length > 0;
  }

  /** Whether there is anything for the reader to do. */
  get isIdle(): boolean {
    return !this.isActive && !this.ledger.hasUntaken;
  }

  /** What was known of transactions, connections and the stream's place counts no more. */
  beginEpoch(): void {
    this.epoch++;
    this.hasJoined = false;
    this.ping = undefined;
    this.noted.clear();
    this.wake();
  }

  /** The tables of another request, or none. */
  setTables(
    tables: TableRead[] | undefined,
    request: string | undefined,
    since: number | undefined = undefined,
  ): void {
    this.tables = tables;
    this.tablesOf = request;
    this.since = since;
    this.index();
  }

  index(): void {
    this.byRelation.clear();
    for (const table of this.tables ?? []) {
      const name = table.plan?.relation.qualifiedName;
      if (name === undefined) continue;
      const others = this.byRelation.get(name);
      if (others === undefined) this.byRelation.set(name, [table]);
      else others.push(table);
    }
    this.version++;
  }

  /** Keys of tables that are not looked up yet. */
  addEarly(relation: string, key: EarlyKey): void {
    if (this.early === undefined) return;
    if (areTooMany(++this.#earlyCount, keyText(key.entry.values))) {
      const { bound } = key.entry;
      // A later mark says that they are read anew.
      if (bound !== undefined) this.holdUntilNextMark(bound);
      this.early = undefined;
      return;
    }
    const keys = this.early.get(relation);
    if (keys === undefined) this.early.set(relation, [key]);
    else keys.push(key);
  }

  /** They were handed to their tables. */
  forgetEarly(): void {
    if (this.early === undefined || this.early.size > 0) this.early = new Map();
    this.#earlyCount = 0;
  }

  /** Nothing behind `lsn` is confirmed before a mark that is yet to be sent has come back. */
  holdUntilNextMark(lsn: Lsn): void {
    const number = this.#number;
    this.holds.push({ lsn, isOver: () => this.cameBack > number });
  }

  /** Nothing behind `lsn` is confirmed before everything up to `endLsn` is stored. */
  holdUntilStored(lsn: Lsn, endLsn: Lsn): void {
    this.holds.push({ lsn, isOver: (storedLsn) => storedLsn >= endLsn });
  }

  /** The server's WAL goes on from `branch` on another timeline: marks behind it are gone. */
  leaveAt(branch: Lsn): void {
    this.chunk = undefined;
    this.mark = undefined;
    this.lastMarkMs = -Infinity;
    this.holdUntilNextMark(branch);
    for (const { again } of this.tables ?? []) {
      for (const [key, entry] of again) {
        if (entry.bound !== undefined && entry.bound > branch) {
          again.set(key, { ...entry, bound: branch });
        }
      }
    }
  }

  /** Of a new message of this run: nobody can know it, and so write a mark in its name, before it is written. */
  takeNumber(): number {
    const [step] = crypto.getRandomValues(new Uint16Array(1));
    return this.#number += 1 + step!;
  }

  /** The table is read from its beginning. */
  beginAnew(table: TableRead): void {
    for (const part of this.chunk?.parts ?? []) if (part.table === table) part.isVoid = true;
    for (const { bound } of table.again.values()) {
      if (bound !== undefined) this.holdUntilNextMark(bound);
    }
    const { bound } = this.ledger;
    if (bound !== undefined) this.holdUntilNextMark(bound);
    table.beginAnew();
    table.clearedIn = -1;
  }

  /** What may be confirmed now (B8); undefined: whatever is stored. */
  bound(storedLsn: Lsn): Lsn | undefined {
    if (this.isIdle && this.mark === undefined) {
      // What has ended need not come again, and no mark would free it: the WAL would pile up for ever.
      this.holds.length = 0;
      this.forgetEarly();
      return undefined;
    }
    let least = this.ledger.bound;
    const take = (lsn: Lsn) => {
      if (least === undefined || lsn < least) least = lsn;
    };
    for (let i = this.holds.length - 1; i >= 0; i--) {
      if (this.holds[i]!.isOver(storedLsn)) this.holds.splice(i, 1);
      else take(this.holds[i]!.lsn);
    }
    for (const table of this.tables ?? []) {
      // There may be thousands without any.
      if (table.again.size === 0) continue;
      for (const { bound } of table.again.values()) if (bound !== undefined) take(bound);
    }
    for (const keys of this.early?.values() ?? []) {
      for (const { entry: { bound } } of keys) if (bound !== undefined) take(bound);
    }
    for (const table of this.tables ?? []) table.claim(storedLsn);
    return least;
  }

  /** All tables wait, or none of them any more. */
  waitFor(cause: WaitCause | undefined, wallMs: number, detail?: string): void {
    if (cause === undefined) this.waiting = undefined;
    else if (this.waiting?.cause !== cause) this.waiting = { cause, sinceMs: wallMs, detail };
  }

  /** Lets the reader look again. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves at the next `wake`, or after `ms`. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
    this.#wake = undefined;
  }
}
