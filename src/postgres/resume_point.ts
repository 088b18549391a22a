import type { Lsn } from "../lsn.ts";
import type { OutputPlugin } from "../options.ts";
import { PostgresError } from "./postgres_error.ts";
import type { XLogData } from "./replication_message.ts";

/** What a message means for the place to resume at. */
type Role = "begin" | "commit" | "change" | "teaching";

/**
 * Where a new session goes on after a lost one, so that nothing behind the source notices: from the
 * end of the last transaction that was received whole. The server then sends the open transaction
 * again from its beginning; the part of it that was received before is dropped, once it is known to
 * be the same.
 */
export class ResumePoint {
  #lsn: Lsn;
  /** What began the open transaction: it names its xid, and with most plugins its commit. */
  #begin: Uint8Array | undefined;
  /** Messages received of the open transaction, its beginning included. */
  #received = 0;
  #last: XLogData | undefined;
  /** Messages of it that came again in this session; undefined when that is over. */
  #replayed: number | undefined;

  constructor(startLsn: Lsn, private readonly plugin: OutputPlugin) {
    this.#lsn = startLsn;
  }

  /** To be given to START_REPLICATION. */
  get lsn(): Lsn {
    return this.#lsn;
  }

  get isInTransaction(): boolean {
    return this.#begin !== undefined;
  }

  /** Whether what comes was received before. */
  get isReplaying(): boolean {
    return this.#replayed !== undefined;
  }

  /** What follows `lsn` is no longer what was received; outside a transaction only. */
  rewind(lsn: Lsn): void {
    this.#lsn = lsn;
  }

  /** A new session starts at {@linkcode lsn}. */
  restart(): void {
    this.#replayed = this.#begin === undefined ? undefined : 0;
  }

  /**
   * Takes note of a message; false when it was received before.
   * @throws {PostgresError} when what comes again is something else.
   */
  accept(message: XLogData): boolean {
    const role = this.#roleOf(message);
    if (this.#replayed !== undefined) return this.#acceptReplay(message, role);
    switch (role) {
      case "begin":
        this.#begin = message.data.slice();
        this.#received = 1;
        this.#last = message;
        break;
      case "commit":
        this.#lsn = message.walStart;
        this.#begin = undefined;
        this.#last = undefined;
        break;
      case "change":
        if (this.#begin !== undefined) {
          this.#received++;
          this.#last = message;
        } else {
          // A message outside any transaction is sent with the LSN of its end, where a commit may
          // begin: one byte further on, that transaction would be skipped.
          this.#lsn = message.walStart;
        }
        break;
      case "teaching":
        break;
      default:
        return role satisfies never;
    }
    return true;
  }

  #acceptReplay(message: XLogData, role: Role): boolean {
    // A session teaches what it needs anew: it is not counted, and is no harm twice.
    if (role === "teaching") return true;
    const place = ++this.#replayed!;
    const same = place === 1
      ? sameBytes(message.data, this.#begin!)
      : role === "change" && (place < this.#received || message.walStart === this.#last!.walStart);
    if (!same) {
      throw new PostgresError(
        `message ${place} of ${this.#received} that were received of the open transaction came as ` +
          "another one after the reconnect; start again: the slot goes on from what was confirmed",
        { transient: false },
      );
    }
    if (place === this.#received) this.#replayed = undefined;
    return false;
  }

  #roleOf(message: XLogData): Role {
    const first = message.dataAt(0);
    switch (this.plugin) {
      // BEGIN, COMMIT, table, message
      case "test_decoding":
        return roleOfLetter(first);
      // {"action":"B"
      case "wal2json":
        return roleOfLetter(message.dataAt(11));
      case "pgoutput":
        return first === RELATION || first === TYPE ? "teaching" : roleOfLetter(first);
      default:
        return this.plugin satisfies never;
    }
  }
}

const RELATION = "R".charCodeAt(0);
const TYPE = "Y".charCodeAt(0);
const BEGIN = "B".charCodeAt(0);
const COMMIT = "C".charCodeAt(0);

function roleOfLetter(letter: number | undefined): Role {
  return letter === BEGIN ? "begin" : letter === COMMIT ? "commit" : "change";
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
