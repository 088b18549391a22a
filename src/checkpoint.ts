import { Deque as UntypedDeque } from "@std/data-structures/deque";
import type { Ticket } from "./kinesis/writer.ts";
import type { Lsn } from "./lsn.ts";

/** The part of `@std/data-structures`' Deque used here; deno-std on npm comes without types. */
interface Deque<T> {
  pushBack(value: T): unknown;
  popFront(): T | undefined;
  popBack(): T | undefined;
  peekFront(): T | undefined;
  peekBack(): T | undefined;
}
const Deque = UntypedDeque as new <T>() => Deque<T>;

/** One transaction, or a keepalive's WAL end, in the order of the slot. */
class Entry implements Ticket {
  pending = 0;
  /** Whether any record was expected of it. */
  hasRecords = false;
  /** When it was committed, by the server's clock; NaN: not told (yet). */
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
  readonly #entries: Deque<Entry> = new Deque<Entry>();
  #open: Entry | undefined;
  #flushLsn: Lsn;
  #storedCommitMs = NaN;
  readonly #onAdvance: () => void;
  readonly #onStored: (commitMs: number) => void;

  /**
   * `onAdvance` is called when acknowledgements, not keepalives, moved the flush LSN; `onStored` when
   * a transaction's records are all stored, with when it was committed (NaN: not told).
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
    return this.#flushLsn;
  }

  /**
   * When the oldest transaction was committed that is not stored whole, in milliseconds of the server's
   * clock; NaN where that is not told (yet); undefined when there is none.
   */
  get oldestPendingCommitMs(): number | undefined {
    return this.#entries.peekFront()?.commitMs;
  }

  /** When the last transaction was committed that the flush LSN lies behind; NaN: not told. */
  get storedCommitMs(): number {
    return this.#storedCommitMs;
  }

  /** A transaction begins; its records go by the ticket. `commitMs`: when it was committed, if told. */
  begin(commitMs = NaN): Ticket {
    if (this.#open !== undefined) throw new Error("a transaction is already open");
    this.#open = new Entry(this.#advance);
    this.#open.commitMs = commitMs;
    this.#entries.pushBack(this.#open);
    return this.#open;
  }

  /**
   * The open transaction was received whole; `endLsn` is where its COMMIT message starts. `commitMs` is
   * for plugins that tell the time only now.
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
    this.#entries.popBack();
    if (this.#entries.peekFront() === undefined) this.#noteStored(entry.commitMs);
    const before = this.#flushLsn;
    this.mark(endLsn);
    if (this.#flushLsn > before) this.#onAdvance();
  }

  /** A record outside any transaction: nothing behind it is confirmed until it is stored. */
  standalone(): Ticket {
    const entry = new Entry(this.#advance);
    // Its own position is confirmed by what follows it.
    entry.endLsn = this.#flushLsn;
    this.#entries.pushBack(entry);
    return entry;
  }

  /**
   * The server's decoding has come as far as `walEnd` with nothing to send. Inside a transaction that
   * says nothing; otherwise it may be confirmed once everything before it is stored.
   */
  mark(walEnd: Lsn): void {
    if (this.#open !== undefined) return;
    const last = this.#entries.peekBack();
    if (last?.isResolved) {
      // Whatever waits at the end waits for the same records before it: one entry is enough.
      if (walEnd > last.endLsn!) last.endLsn = walEnd;
    } else {
      const entry = new Entry(this.#advance);
      entry.endLsn = walEnd;
      this.#entries.pushBack(entry);
    }
    this.#popResolved();
  }

  /**
   * The server goes on with another timeline, which left the one before at `branch`. An LSN behind
   * that is another's there: nothing known so far confirms more than the branch.
   */
  leaveAt(branch: Lsn): void {
    const kept: Entry[] = [];
    for (let entry = this.#entries.popFront(); entry; entry = this.#entries.popFront()) {
      if (entry.endLsn !== undefined && entry.endLsn > branch) entry.endLsn = branch;
      kept.push(entry);
    }
    for (const entry of kept) this.#entries.pushBack(entry);
    if (this.#flushLsn > branch) this.#flushLsn = branch;
  }

  readonly #advance = (entry: Entry): void => {
    if (entry.hasRecords) this.#onStored(entry.commitMs);
    const before = this.#flushLsn;
    this.#popResolved();
    if (this.#flushLsn > before) this.#onAdvance();
  };

  #popResolved(): void {
    let first = this.#entries.peekFront();
    while (first?.isResolved) {
      if (first.endLsn! > this.#flushLsn) this.#flushLsn = first.endLsn!;
      this.#noteStored(first.commitMs);
      this.#entries.popFront();
      first = this.#entries.peekFront();
    }
  }

  /** Commits may be told a little out of the order of their times. */
  #noteStored(commitMs: number): void {
    if (commitMs > this.#storedCommitMs || Number.isNaN(this.#storedCommitMs)) {
      this.#storedCommitMs = commitMs;
    }
  }
}
