import type { Lsn } from "../base/lsn.ts";
import type { Snapshot } from "../postgres/catalog/transaction_snapshot.ts";
import { notedKey, type NotedKeys } from "./noted_changes.ts";
import type { ReadRow } from "./read_row.ts";
import type { AgainEntry, TableRead } from "./table_read.ts";

/** Rows of one table in one read. */
export interface PartRead {
  readonly table: TableRead;
  readonly rows: readonly ReadRow[];
  /** The scan went on to the end of the table. */
  readonly isScanned: boolean;
  /** These keys were read, by themselves; undefined for a part of the scan. */
  readonly again: readonly (readonly [key: string, entry: AgainEntry])[] | undefined;
  /** That of the table when the read began. */
  readonly round: number;
}

/** Rows of one table that wait for their mark. */
export class Part {
  /** By key, in the order in which they were read. */
  readonly rows = new Map<string, ReadRow>();
  readonly table: TableRead;
  readonly isScanned: boolean;
  /** The last key that was read; undefined without any, and for keys that were read by themselves. */
  readonly after: readonly string[] | undefined;
  /** Keys that were read by themselves, of which the snapshot sees the transaction. */
  readonly settled: readonly (readonly [key: string, entry: AgainEntry])[];
  readonly isAgain: boolean;
  /** Rows that go to the keys to be read again. */
  readonly unsettled = new Map<string, AgainEntry>();
  /** Something happened to the table that no key tells: it is to be read once more. */
  isVoid = false;

  /** Rows arrive (B4): one that an unseen transaction touched, which was published, is to be read again. */
  constructor(read: PartRead, snapshot: Snapshot, noted: readonly [number, NotedKeys][]) {
    const { table, rows, again } = read;
    this.table = table;
    this.isScanned = read.isScanned;
    this.isVoid = read.round !== table.round;
    this.isAgain = again !== undefined;
    this.after = this.isAgain ? undefined : rows.at(-1)?.keyValues;
    this.settled = (again ?? []).filter(([, { xid }]) => snapshot(xid));
    for (const row of rows) {
      const xid = lastOf(noted, row.key);
      if (xid === undefined) this.rows.set(row.key, row);
      else if (xid === "unknown") this.isVoid = true;
      else {
        const before = table.again.get(row.key);
        this.unsettled.set(row.key, {
          values: row.keyValues,
          xid,
          bound: before?.bound,
          step: before?.step,
        });
      }
    }
  }
}

/** The transaction that is noted of a key; of several, the last that was committed. */
function lastOf(
  noted: readonly [number, NotedKeys][],
  key: string,
): number | "unknown" | undefined {
  if (noted.length === 0) return undefined;
  const sought = notedKey(key);
  let last: number | undefined;
  for (const [xid, keys] of noted) {
    if (keys === "all") return "unknown";
    if (keys.has(sought)) last = xid;
  }
  return last;
}

/** What one read gave, until its mark comes back. */
export interface Chunk {
  /** Of its mark. */
  readonly number: number;
  readonly request: string;
  readonly snapshot: Snapshot;
  readonly parts: readonly Part[];
}

/** A part of what may not be confirmed yet. */
export interface Hold {
  readonly lsn: Lsn;
  readonly isOver: (storedLsn: Lsn) => boolean;
}
