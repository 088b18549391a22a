import type { TransactionInfo } from "../decode/event.ts";
import { LsnText } from "./lsn_text.ts";
import { Utf8Writer } from "./utf8_writer.ts";

/** Parts of the JSON format that are the same for all changes of a transaction, written once for all. */
export class TransactionText {
  readonly #parts = new Utf8Writer(256);
  readonly #lsn = new LsnText();
  #transaction: TransactionInfo | undefined;
  #xidEnd = 0;
  #commitLsnEnd = 0;

  writeXid(transaction: TransactionInfo, out: Utf8Writer): void {
    this.#prepare(transaction);
    out.copy(this.#parts.bytes, 0, this.#xidEnd);
  }

  /** Empty if the plugin does not send it before the rows. */
  writeCommitLsn(transaction: TransactionInfo, out: Utf8Writer): void {
    this.#prepare(transaction);
    out.copy(this.#parts.bytes, this.#xidEnd, this.#commitLsnEnd);
  }

  /** The timeline, and the commit's time if the plugin sends it before the rows. */
  writeTimelineAndTime(transaction: TransactionInfo, out: Utf8Writer): void {
    this.#prepare(transaction);
    out.copy(this.#parts.bytes, this.#commitLsnEnd, this.#parts.length);
  }

  #prepare(transaction: TransactionInfo): void {
    if (transaction === this.#transaction) return;
    this.#transaction = transaction;
    const { xid, timeline, commitLsn, commitTime } = transaction;
    const parts = this.#parts;
    parts.clear();
    parts.text(`,"xid":${xid}`);
    this.#xidEnd = parts.length;
    if (commitLsn !== undefined) {
      parts.text(',"commit_lsn":"');
      this.#lsn.write(commitLsn, parts);
      parts.text('"');
    }
    this.#commitLsnEnd = parts.length;
    parts.text(`,"timeline":${timeline}`);
    if (commitTime !== undefined) parts.text(`,"ts":"${formatMicroseconds(commitTime)}"`);
  }
}

const MICROS = 1_000_000n;
/** Of the last formatted time: commits of one second follow one another. */
let lastSecond = -1n;
let lastSecondText = "";

/** A time in microseconds since 1970-01-01 UTC as RFC 3339 with six decimals. */
export function formatMicroseconds(time: bigint): string {
  const second = time / MICROS;
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = new Date(Number(second) * 1000).toISOString().slice(0, -"000Z".length);
  }
  return `${lastSecondText}${String(time % MICROS).padStart(6, "0")}Z`;
}
