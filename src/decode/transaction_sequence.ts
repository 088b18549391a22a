import type { Lsn } from "../base/lsn.ts";
import type { XLogData } from "../base/replication_message.ts";
import { Timelines } from "../base/timelines.ts";
import { DecodeError } from "./decoder.ts";
import type { Begin, Commit, TransactionInfo } from "./event.ts";

/**
 * The order that the replication protocol promises: BEGIN, changes, COMMIT, one transaction after
 * the other. Anything else means that messages were lost or misread. Also counts the changes.
 */
export class TransactionSequence {
  #open: TransactionInfo | undefined;
  #next = 0;
  timelines = Timelines.only(1);

  constructor(private readonly plugin: string) {}

  begin(message: XLogData, begun: Omit<TransactionInfo, "timeline">): Begin {
    const { xid, commitLsn, commitTime } = begun;
    const timeline = this.timelines.at(commitLsn ?? message.walStart);
    const transaction = { xid, timeline, commitLsn, commitTime };
    if (this.#open !== undefined) {
      this.#fail(message, `transaction ${transaction.xid} begins inside ${this.#open.xid}`);
    }
    this.#open = transaction;
    this.#next = 0;
    return { kind: "begin", transaction };
  }

  /** The transaction that a change belongs to. */
  current(message: XLogData): TransactionInfo {
    return this.#open ?? this.#fail(message, "a change outside any transaction");
  }

  /** Of the open transaction; 0, which none has, outside of any. */
  get xid(): number {
    return this.#open?.xid ?? 0;
  }

  /** Of the open transaction, if the plugin sends it. */
  get commitLsn(): Lsn | undefined {
    return this.#open?.commitLsn;
  }

  /** Gives the position of a change in the transaction, and takes `count` of them. */
  take(count: number): number {
    const seq = this.#next;
    this.#next += count;
    return seq;
  }

  commit(message: XLogData, commitTime = this.#open?.commitTime): Commit {
    const transaction = this.#open ?? this.#fail(message, "a commit outside any transaction");
    this.#open = undefined;
    return { kind: "commit", transaction, endLsn: message.walStart, commitTime };
  }

  #fail(message: XLogData, what: string): never {
    throw new DecodeError(this.plugin, message.walStart, 0, what);
  }
}
