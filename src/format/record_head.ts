import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { TransactionInfo } from "../decode/event.ts";
import type { Change } from "./formatter.ts";
import { formatMicroseconds } from "./time_text.ts";
import { Utf8Writer } from "./utf8_writer.ts";

/** What a record of the JSON format says of its change, before the table and the row. */
export interface HeadOf {
  readonly op: Change["kind"] | "commit";
  /** Undefined: a message of no transaction. */
  readonly transaction: TransactionInfo | undefined;
  readonly lsn: Lsn;
  /** In the transaction. */
  readonly seq: number;
}

/** Of an LSN, which the next ones mostly differ in. */
const LSN_DIGITS = 4;
const MICROS_DIGITS = 6;
const DIGITS = new TextEncoder().encode("0123456789ABCDEF");

/**
 * Digits in a text, to be written over as long as a number has as many and nothing before them changes:
 * those of a whole number, or the last ones of something larger.
 */
class Digits {
  #end = 0;
  #count = 0;
  /** What the text before the digits stands for. */
  #base = 0;
  /** The numbers that fit; none if they are equal. */
  #first = 0;
  #behind = 0;

  constructor(private readonly radix: number) {}

  /** Of a whole number, which ends at `end`. */
  ofNumber(value: number, end: number): void {
    const count = String(value).length;
    this.#set(count, end, 0, count === 1 ? 0 : this.radix ** (count - 1), this.radix ** count);
  }

  /** The last `count` digits, which with their leading zeros end at `end`. */
  ofLast(count: number, value: number, end: number): void {
    const span = this.radix ** count;
    const base = Math.floor(value / span) * span;
    // Beyond 2^53 a number does not have all digits.
    this.#set(count, end, base, base, Math.min(base + span, 2 ** 53));
  }

  ofNone(): void {
    this.#behind = this.#first;
  }

  /** False, with nothing written, where more would change than the digits. */
  write(text: Uint8Array, value: number): boolean {
    if (!(value >= this.#first && value < this.#behind)) return false;
    let rest = value - this.#base;
    for (let at = this.#end - 1; at >= this.#end - this.#count; at--) {
      text[at] = DIGITS[rest % this.radix]!;
      rest = Math.floor(rest / this.radix);
    }
    return true;
  }

  #set(count: number, end: number, base: number, first: number, behind: number): void {
    this.#count = count;
    this.#end = end;
    this.#base = base;
    this.#first = first;
    this.#behind = behind;
  }
}

/**
 * Writes how a record of the JSON format begins:
 *
 *     {"v":1,"op":"update","xid":731,"lsn":"0/16B3748","commit_lsn":"0/16B3800","seq":0,
 *      "timeline":1,"ts":"2026-11-22T08:01:02.123456Z"
 *
 * Nearly all of it is as in the record before: that head is kept, and as long as everything in it has the
 * length that it had, only the digits are written over.
 */
export class RecordHead {
  #head = new Uint8Array(0);
  #op: HeadOf["op"] = "insert";
  #opStart = 0;
  #transaction: TransactionInfo | undefined;
  readonly #xid = new Digits(10);
  readonly #lsn = new Digits(16);
  readonly #commitLsn = new Digits(16);
  readonly #seq = new Digits(10);
  readonly #micros = new Digits(10);
  readonly #out = new Utf8Writer(256);

  write(change: HeadOf, out: Utf8Writer): void {
    if (!this.#writeOver(change)) this.#writeAnew(change);
    out.copy(this.#head);
  }

  /** False where the head has to be written anew, in which some of it is written over. */
  #writeOver({ op, transaction, lsn, seq }: HeadOf): boolean {
    const head = this.#head;
    if (transaction === undefined || op.length !== this.#op.length) return false;
    if (transaction !== this.#transaction && !this.#goOnTo(transaction)) return false;
    if (!this.#lsn.write(head, Number(lsn)) || !this.#seq.write(head, seq)) return false;
    if (op !== this.#op) {
      for (let i = 0; i < op.length; i++) head[this.#opStart + i] = op.charCodeAt(i);
      this.#op = op;
    }
    return true;
  }

  #goOnTo(transaction: TransactionInfo): boolean {
    const { xid, timeline, commitLsn, commitTime } = transaction;
    const head = this.#head;
    if (
      commitLsn === undefined || commitTime === undefined ||
      timeline !== this.#transaction?.timeline || !this.#xid.write(head, xid) ||
      !this.#commitLsn.write(head, Number(commitLsn)) ||
      !this.#micros.write(head, Number(commitTime))
    ) {
      return false;
    }
    this.#transaction = transaction;
    return true;
  }

  #writeAnew({ op, transaction, lsn, seq }: HeadOf): void {
    const out = this.#out;
    out.clear();
    out.text('{"v":1,"op":"');
    this.#opStart = out.length;
    out.text(`${op}"`);
    if (transaction !== undefined) {
      out.text(`,"xid":${transaction.xid}`);
      this.#xid.ofNumber(transaction.xid, out.length);
    }
    this.#writeLsn("lsn", lsn, this.#lsn);
    if (transaction !== undefined) this.#writeTransaction(transaction, seq);
    this.#op = op;
    this.#transaction = transaction;
    this.#head = out.written.slice();
  }

  /** Commit and time are not known before the rows with every plugin. */
  #writeTransaction({ timeline, commitLsn, commitTime }: TransactionInfo, seq: number): void {
    const out = this.#out;
    if (commitLsn === undefined) this.#commitLsn.ofNone();
    else this.#writeLsn("commit_lsn", commitLsn, this.#commitLsn);
    out.text(`,"seq":${seq}`);
    this.#seq.ofNumber(seq, out.length);
    out.text(`,"timeline":${timeline}`);
    if (commitTime === undefined) return this.#micros.ofNone();
    out.text(`,"ts":"${formatMicroseconds(commitTime)}"`);
    this.#micros.ofLast(MICROS_DIGITS, Number(commitTime), out.length - 'Z"'.length);
  }

  #writeLsn(name: string, lsn: Lsn, digits: Digits): void {
    const text = formatLsn(lsn);
    this.#out.text(`,"${name}":"${text}`);
    digits.ofLast(LSN_DIGITS, Number(lsn), this.#out.length);
    // Its low half has no leading zeros.
    if (text.length - text.indexOf("/") - 1 <= LSN_DIGITS) digits.ofNone();
    this.#out.text('"');
  }
}
