import type { Ticket } from "./base/record_writer.ts";
import type { Lsn } from "./base/lsn.ts";

/** One transaction, or a keepalive's WAL end, or neighbours of which all is stored; in the order of the slot. */
class Entry implements Ticket {
  previous: Entry | undefined;
  next: Entry | undefined;
  /** Nothing more is expected of it once it is resolved. */
  isClosed = false;
  pending = 0;
  /** Whether any record was expected of it. */
  hasRecords = false;
  /** When it was committed, by the server's clock; NaN: not known (yet). */
  commitMs = NaN;
  /** Set when the transaction was received whole; undefined while it is open. */
  endLsn: Lsn | undefined;

  constructor(private readonly resolved: (entry: Entry) => void) {}

  expect(records: number): void {
    this.hasRecords = true;
    this.pending += records;
  }

  acknowledge(records: number): void {
    this.pending -= records;
    if (this.pending < 0) throw new RangeError("more records acknowledged than were expected");
    if (this.pending === 0 && this.endLsn !== undefined) this.resolved(this);
  }

  get isResolved(): boolean {
    return this.endLsn !== undefined && this.pending === 0;
  }
}

/**
 * The commit watermark: from what the slot sent and what Kinesis acknowledged, the flush LSN that may
 * be confirmed. It is the end of the longest prefix of whole transactions of which every record is
 * stored; on one timeline it never falls. Transactions come in commit order and never interleave
 * (streaming of open transactions is not asked for), acknowledgements in any order.
 */
export class Checkpoint {
  #first: Entry | undefined;
  #last: Entry | undefined;
  #open: Entry | undefined;
  #flushLsn: Lsn;
  #hold: Lsn | undefined;
  #storedCommitMs = NaN;
  readonly #onAdvance: () => void;
  readonly #onStored: (commitMs: number) => void;

  /**
   * `onAdvance` is called when acknowledgements, not keepalives, moved the flush LSN; `onStored` when
   * a transaction's records are all stored, with when it was committed (NaN: not known).
   */
  constructor(
    confirmedFlushLsn: Lsn,
    onAdvance: () => void = () => {},
    onStored: (commitMs: number) => void = () => {},
  ) {
    this.#flushLsn = confirmedFlushLsn;
    this.#onAdvance = onAdvance;
    this.#onStored = onStored;
  }

  /** What may be sent to PostgreSQL as flushed. */
  get flushLsn(): Lsn {
    const hold = this.#hold;
    return hold !== undefined && hold < this.#flushLsn ? hold : this.#flushLsn;
  }

  /** Up to here everything is stored, whatever is held back. */
  get storedLsn(): Lsn {
    return this.#flushLsn;
  }

  /** Nothing behind `lsn` is confirmed, whatever is stored: it is to be sent again; undefined: no hold. */
  hold(lsn: Lsn | undefined): void {
    const before = this.flushLsn;
    this.#hold = lsn;
    if (this.flushLsn > before) this.#onAdvance();
  }

  /**
   * When the oldest transaction was committed that is not stored whole, in milliseconds of the server's
   * clock; NaN if that is not known (yet); undefined if there is none.
   */
  get oldestPendingCommitMs(): number | undefined {
    return this.#first?.commitMs;
  }

  /** What is remembered: transactions that are not stored whole, and what lies between them. */
  get size(): number {
    let size = 0;
    for (let entry = this.#first; entry; entry = entry.next) size++;
    return size;
  }

  /** Commit time of the last transaction that the flush LSN covers; NaN: not known. */
  get storedCommitMs(): number {
    return this.#storedCommitMs;
  }

  /** A transaction begins; its records go by the ticket. `commitMs`: when it was committed, if known. */
  begin(commitMs = NaN): Ticket {
    if (this.#open !== undefined) throw new Error("a transaction is already open");
    this.#open = new Entry(this.#advance);
    this.#open.commitMs = commitMs;
    this.#push(this.#open);
    return this.#open;
  }

  /**
   * The open transaction was received whole; `endLsn` is where its COMMIT message starts. `commitMs` is
   * for plugins that send the time only now.
   */
  commit(endLsn: Lsn, commitMs = NaN): void {
    const entry = this.#open;
    if (entry === undefined) throw new Error("no transaction is open");
    this.#open = undefined;
    if (!Number.isNaN(commitMs)) entry.commitMs = commitMs;
    if (entry.pending > 0) {
      entry.endLsn = endLsn;
      return;
    }
    if (entry.hasRecords) this.#onStored(entry.commitMs);
    this.#remove(entry);
    if (this.#first === undefined) this.#noteStored(entry.commitMs);
    const before = this.#flushLsn;
    this.mark(endLsn);
    if (this.#flushLsn > before) this.#onAdvance();
  }

  /** A record outside any transaction: nothing behind it is confirmed until it is stored. */
  standalone(): Ticket {
    const entry = new Entry(this.#advance);
    // Its own position is confirmed by what follows it.
    entry.endLsn = this.#flushLsn;
    this.#push(entry);
    return entry;
  }

  /**
   * The server's decoding has come as far as `walEnd` with nothing to send. Inside a transaction that
   * says nothing; otherwise it may be confirmed once everything before it is stored.
   */
  mark(walEnd: Lsn): void {
    if (this.#open !== undefined) return;
    const last = this.#last;
    if (last?.isResolved) {
      // Whatever waits at the end waits for the same records before it: one entry is enough.
      if (walEnd > last.endLsn!) last.endLsn = walEnd;
    } else {
      const entry = new Entry(this.#advance);
      entry.endLsn = walEnd;
      this.#push(entry);
    }
    this.#popResolved();
  }

  /**
   * The server goes on with another timeline, which left the one before at `branch`. An LSN behind
   * that is another's there: nothing known so far confirms more than the branch.
   */
  leaveAt(branch: Lsn): void {
    for (let entry = this.#first; entry; entry = entry.next) {
      if (entry.endLsn !== undefined && entry.endLsn > branch) entry.endLsn = branch;
    }
    if (this.#flushLsn > branch) this.#flushLsn = branch;
    if (this.#hold !== undefined && this.#hold > branch) this.#hold = branch;
  }

  readonly #advance = (entry: Entry): void => {
    if (entry.hasRecords) this.#onStored(entry.commitMs);
    if (entry !== this.#first) {
      // Behind a record that is not stored for days there may be millions.
      entry.isClosed = true;
      this.#join(entry, entry.next);
      this.#join(entry.previous, entry);
    }
    const before = this.#flushLsn;
    this.#popResolved();
    if (this.#flushLsn > before) this.#onAdvance();
  };

  #popResolved(): void {
    let first = this.#first;
    while (first?.isResolved) {
      if (first.endLsn! > this.#flushLsn) this.#flushLsn = first.endLsn!;
      this.#noteStored(first.commitMs);
      this.#remove(first);
      first = this.#first;
    }
  }

  #push(entry: Entry): void {
    const last = this.#last;
    if (last === undefined) this.#first = entry;
    else {
      // What was handed out before is worked off.
      last.isClosed = true;
      this.#join(last.previous, last);
      entry.previous = this.#last;
      this.#last!.next = entry;
    }
    this.#last = entry;
  }

  #remove(entry: Entry): void {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    entry.previous = entry.next = undefined;
  }

  /** Makes one entry of two neighbours that wait for the same records before them. The first one stays. */
  #join(entry: Entry | undefined, next: Entry | undefined): void {
    if (!entry?.isClosed || !next?.isClosed || !entry.isResolved || !next.isResolved) return;
    if (next.endLsn! > entry.endLsn!) entry.endLsn = next.endLsn;
    if (!(entry.commitMs > next.commitMs)) {
      entry.commitMs = Number.isNaN(next.commitMs) ? entry.commitMs : next.commitMs;
    }
    this.#remove(next);
  }

  /** Commits may arrive slightly out of the order of their times. */
  #noteStored(commitMs: number): void {
    if (commitMs > this.#storedCommitMs || Number.isNaN(this.#storedCommitMs)) {
      this.#storedCommitMs = commitMs;
    }
  }
}
