import type { TransactionInfo } from "../decode/event.ts";
import { formatLsn } from "../lsn.ts";

/** Parts of the JSON format that are the same for all changes of a transaction, as UTF-8. */
export interface TransactionParts {
  readonly xid: Uint8Array;
  /** Empty where the plugin does not tell it before the rows. */
  readonly commitLsn: Uint8Array;
  readonly time: Uint8Array;
}

const encoder = new TextEncoder();
const MICROS = 1_000_000n;
const NOTHING = new Uint8Array(0);

/** Writes them once for each transaction. */
export class TransactionText {
  #transaction: TransactionInfo | undefined;
  #parts: TransactionParts = { xid: NOTHING, commitLsn: NOTHING, time: NOTHING };

  of(transaction: TransactionInfo): TransactionParts {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      const { xid, commitLsn, commitTime } = transaction;
      this.#parts = {
        xid: encoder.encode(`,"xid":${xid}`),
        commitLsn: commitLsn === undefined
          ? NOTHING
          : encoder.encode(`,"commit_lsn":"${formatLsn(commitLsn)}"`),
        time: commitTime === undefined
          ? NOTHING
          : encoder.encode(`,"ts":"${formatMicroseconds(commitTime)}"`),
      };
    }
    return this.#parts;
  }
}

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
