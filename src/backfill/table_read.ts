import type { Lsn } from "../base/lsn.ts";
import type { OpenTable } from "./control_message.ts";
import type { Waiting } from "./progress.ts";
import type { PlanOutline } from "./read_plan.ts";

/** A key that is to be read by itself. */
export interface AgainEntry {
  /** In key order. */
  readonly values: readonly string[];
  /** A snapshot must see this transaction before the key is struck off. */
  readonly xid: number;
  /** What may be confirmed at most until it is stored; undefined for a row that no mark claims yet. */
  readonly bound: Lsn | undefined;
  /** The step whose row it is. */
  readonly step: Step | undefined;
}

/** A part of the table that was read and came back with its mark. */
export interface Step {
  readonly after: readonly string[];
  readonly rows: number;
  /** Where the last transaction ends that has rows of it. */
  endLsn: Lsn;
  /** Rows of it that are to be read again. */
  readonly again: Set<string>;
}

/** How a table's backfill ended. */
export interface Outcome {
  readonly complete: boolean;
  /** Why it was given up. */
  readonly reason: string | undefined;
  /** Where the transaction ends that has its end record; undefined before that is published. */
  endLsn: Lsn | undefined;
}

/** An estimate that is too low by this share of the rows counts as good. */
export const ESTIMATE_TOLERANCE = 0.01;
const AGAIN_AT_ONCE = 400;
export const FIRST_TIMEOUT_MS = 5_000;
/** Before a table is looked at again that could not be read. */
export const TRY_AGAIN_MS = 1_000;
/** Keys to be read again; beyond it the table is read anew. */
const MAX_AGAIN = 64 * 1024;
/** Of all of them, if each were as long as the one at hand. */
const MAX_AGAIN_UNITS = 16 * 1024 * 1024;

/** Whether with one more key there are too many of them to be kept; long ones sooner. */
export function areTooMany(count: number, key: string): boolean {
  return count > MAX_AGAIN || count * key.length > MAX_AGAIN_UNITS;
}

/** How far the backfill of one table has come. */
export class TableRead {
  /** As it was at the last look. */
  plan: PlanOutline | undefined;
  /** The last key that was read. */
  after: readonly string[] | undefined;
  /** Up to which a mark may say that everything is stored. */
  claimed: { readonly after: readonly string[] | undefined; readonly rows: number };
  /** No row lies behind `after`. */
  isScanned = false;
  readonly again = new Map<string, AgainEntry>();
  readonly steps: Step[] = [];
  rows: number;
  readAgain = 0;
  /** By the server's estimate, of all reads of it; undefined: not known. */
  expected: number | undefined;
  /** Rows of the reads before it was begun anew. */
  #rowsBefore = 0;
  outcome: Outcome | undefined;
  beganMs: number | undefined;
  waiting: Waiting | undefined;
  /** Those who wrote to it are gone, in this epoch. */
  clearedIn = -1;
  /** Transactions that held a lock for writing at the first look of the epoch. */
  writers:
    | { readonly epoch: number; readonly holders: Map<string, string | null | undefined> }
    | undefined;
  /** Rows of one read, at most. */
  maxRows = Infinity;
  /** Since the last read that went well. */
  lostReads = 0;
  /** The next row of the scan, or the key that is read by itself next, has a row that is too large to be read. */
  largeRow: "next" | "again" | undefined;
  /** Keys that are read by themselves at a time. */
  againAtOnce = AGAIN_AT_ONCE;
  /** How often it was begun anew. */
  round = 0;
  timeoutMs = FIRST_TIMEOUT_MS;
  notBeforeMs = -Infinity;
  /** When keys were last read by themselves. */
  readAgainMs = -Infinity;
  /** None of those was struck off: they wait for transactions that no snapshot sees yet. */
  isAgainStuck = false;

  constructor(
    readonly oid: number,
    public name: string,
    open: OpenTable | undefined,
  ) {
    const isSame = open !== undefined && open.name === name;
    this.after = isSame ? open.after : undefined;
    this.rows = isSame ? open.rows : 0;
    this.claimed = { after: this.after, rows: this.rows };
  }

  /** Reads it from the beginning. */
  beginAnew(): void {
    this.round++;
    this.expected = undefined;
    this.#rowsBefore = this.rows;
    this.after = undefined;
    this.claimed = { after: undefined, rows: this.rows };
    this.isScanned = false;
    this.again.clear();
    this.steps.length = 0;
  }

  end(complete: boolean, reason?: string): void {
    this.outcome ??= { complete, reason, endLsn: undefined };
    this.waiting = undefined;
    this.again.clear();
  }

  /** What the server says how many rows it has now. */
  expect(rows: number): void {
    this.expected = this.#rowsBefore + rows;
  }

  /** It grew, or the estimate was too low; rows that were read again do not count. */
  get hasMoreThanExpected(): boolean {
    return this.expected !== undefined &&
      this.rows - this.readAgain > this.expected * (1 + ESTIMATE_TOLERANCE);
  }

  get keyNames(): readonly string[] | undefined {
    return this.plan?.key.map(({ name }) => name);
  }

  /** What is stored up to `storedLsn` may be claimed. */
  claim(storedLsn: Lsn): void {
    while (this.steps.length > 0) {
      const step = this.steps[0]!;
      if (step.again.size > 0 || step.endLsn > storedLsn) return;
      this.claimed = { after: step.after, rows: step.rows };
      this.steps.shift();
    }
  }

  /** Whether a mark may say that it has ended. */
  hasEndedBy(storedLsn: Lsn): boolean {
    const { endLsn } = this.outcome ?? {};
    return endLsn !== undefined && endLsn <= storedLsn;
  }
}
