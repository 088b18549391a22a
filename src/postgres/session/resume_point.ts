import { formatLsn, type Lsn } from "../../base/lsn.ts";
import type { MessageRole, Plugin } from "../../decode/plugin.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import type { ReplicationMessage, XLogData } from "../../base/replication_message.ts";

/**
 * Where a new session goes on after a lost one, so that nothing behind the source notices: behind the
 * last transaction that was received whole. Where the slot stands before it, as it does while something
 * is not confirmed, the server sends that transaction again. It is compared with what was received: a
 * server that was put back to an earlier state and has written other WAL since, up to the same LSNs,
 * cannot have it. So no place but the last one needs to be remembered. The open transaction comes again
 * from its beginning; the part of it that was received before is dropped, once it is known to be the
 * same.
 */
export class ResumePoint {
  #lsn: Lsn;
  /** The COMMIT message of the last transaction received whole: it has xid and time. */
  #commit: { readonly endLsn: Lsn; readonly data: Uint8Array } | undefined;
  /** What comes lies before that COMMIT message, or is it. */
  #isComparing = false;
  /** What began the open transaction: it names its xid, and with most plugins its commit. */
  #begin: Uint8Array | undefined;
  /** Arrays that are filled again: new ones for each transaction would lie outside V8's heap. */
  #beginBytes = new Uint8Array(0);
  #commitBytes = new Uint8Array(0);
  /** Messages received of the open transaction, its beginning included. */
  #received = 0;
  #last: XLogData | undefined;
  /** Messages of it that came again in this session; undefined when that is over. */
  #replayed: number | undefined;

  constructor(startLsn: Lsn, private readonly plugin: Pick<Plugin, "roleOf">) {
    this.#lsn = startLsn;
  }

  /** Everything up to here was received. */
  get lsn(): Lsn {
    return this.#lsn;
  }

  get isInTransaction(): boolean {
    return this.#begin !== undefined;
  }

  /** Whether what comes was received before. */
  get isReplaying(): boolean {
    return this.#isComparing || this.#replayed !== undefined;
  }

  /** Whether it is not known yet that the server has what was received: nothing may be confirmed. */
  get isComparing(): boolean {
    return this.#isComparing;
  }

  /** What follows `lsn` is no longer what was received; outside a transaction only. */
  rewind(lsn: Lsn): void {
    this.#lsn = lsn;
    if (this.#commit !== undefined && this.#commit.endLsn > lsn) this.#commit = undefined;
  }

  /** A new session begins, on a slot that has confirmed `slotLsn`. Gives the LSN for START_REPLICATION. */
  restart(slotLsn: Lsn): Lsn {
    this.#isComparing = this.#commit !== undefined && slotLsn < this.#commit.endLsn;
    this.#replayed = this.#begin === undefined ? undefined : 0;
    return this.#isComparing ? slotLsn : this.#lsn;
  }

  /** Of one read, what was not received before. @throws {PostgresError} as the methods below */
  freshOf(messages: ReplicationMessage[]): ReplicationMessage[] {
    if (!this.isReplaying) {
      for (const message of messages) {
        if (message.kind === "xlogdata") this.accept(message);
      }
      return messages;
    }
    return messages.filter((message) => {
      const wasComparing = this.isComparing;
      if (message.kind === "keepalive") this.reached(message.walEnd);
      const wasReplaying = this.isReplaying;
      return message.kind === "xlogdata"
        ? this.accept(message)
        : message.kind === "keepalive"
        ? !wasComparing
        : !wasReplaying;
    });
  }

  /**
   * The server has sent all that it has up to `walEnd`.
   * @throws {PostgresError} when the transaction that is waited for was not among that.
   */
  reached(walEnd: Lsn): void {
    if (this.#isComparing && walEnd > this.#commit!.endLsn) throw this.#otherHistory();
  }

  /**
   * Takes note of a message; false when it was received before.
   * @throws {PostgresError} when what comes again is something else.
   */
  accept(message: XLogData): boolean {
    const role = this.plugin.roleOf(message);
    // The decoder refuses what is not known. What comes again was known before.
    if (role === undefined && !this.isReplaying) return true;
    if (this.#isComparing) return this.#compare(message, role);
    if (this.#replayed !== undefined) return this.#acceptReplay(message, role);
    switch (role) {
      case "begin":
        this.#begin = this.#beginBytes = message.copyData(this.#beginBytes);
        this.#received = 1;
        this.#last = message;
        break;
      case "commit":
        this.#lsn = message.walStart;
        this.#commitBytes = message.copyData(this.#commitBytes);
        this.#commit = { endLsn: message.walStart, data: this.#commitBytes };
        this.#begin = undefined;
        this.#last = undefined;
        break;
      case "change":
        if (this.#begin !== undefined) {
          this.#received++;
          this.#last = message;
        } else if (message.walStart <= this.#lsn) {
          return false;
        } else {
          // A message outside any transaction is sent with the LSN of its end, where a commit may
          // begin: one byte further on, that transaction would be skipped.
          this.#lsn = message.walStart;
        }
        break;
      case "teaching":
      case undefined:
        break;
      default:
        return role satisfies never;
    }
    return true;
  }

  #compare(message: XLogData, role: MessageRole | undefined): boolean {
    if (role === "teaching") return true;
    if (role !== "commit") return false;
    const { endLsn, data } = this.#commit!;
    if (message.walStart < endLsn) return false;
    if (message.walStart > endLsn || !sameBytes(message.data, data)) throw this.#otherHistory();
    this.#isComparing = false;
    return false;
  }

  #otherHistory(): PostgresError {
    return new PostgresError(
      `the server does not have the transaction that ended at ${
        formatLsn(this.#commit!.endLsn)
      } any ` +
        "more, which was received before the connection was lost: it was restored to an earlier state " +
        "and has written other WAL since, or another server answers. The stream has changes that it " +
        "lost; compare them, let consumers that drop duplicates by position forget their positions, and " +
        "start again: the slot has not been moved",
      { transient: false },
    );
  }

  #acceptReplay(message: XLogData, role: MessageRole | undefined): boolean {
    // Each session sends its descriptions again: they are not counted, and do no harm twice.
    if (role === "teaching") return true;
    // Outside a transaction, before the one that is replayed.
    if (this.#replayed === 0 && role === "change" && message.walStart <= this.#lsn) return false;
    const place = ++this.#replayed!;
    const same = place === 1
      ? sameBytes(message.data, this.#begin!)
      : role === "change" && (place < this.#received || message.walStart === this.#last!.walStart);
    if (!same) {
      throw new PostgresError(
        `message ${place} of ${this.#received} that were received of the open transaction differs ` +
          "after the reconnect; start again: the slot continues from what was confirmed",
        { transient: false },
      );
    }
    if (place === this.#received) this.#replayed = undefined;
    return false;
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
