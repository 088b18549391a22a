import type { TransactionInfo } from "../decode/event.ts";
import { formatLsn } from "../lsn.ts";

/** Parts of the JSON format that are the same for all changes of a transaction. */
export interface TransactionParts {
  readonly xid: string;
  /** Empty where the plugin does not tell it before the rows. */
  readonly commitLsn: string;
  readonly time: string;
}

/** Writes them once for each transaction. */
export class TransactionText {
  #transaction: TransactionInfo | undefined;
  #parts: TransactionParts = { xid: "", commitLsn: "", time: "" };

  of(transaction: TransactionInfo): TransactionParts {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      const { xid, commitLsn, commitTime } = transaction;
      this.#parts = {
        xid: `,"xid":${xid}`,
        commitLsn: commitLsn === undefined ? "" : `,"commit_lsn":"${formatLsn(commitLsn)}"`,
        time: commitTime === undefined ? "" : `,"ts":"${formatMicroseconds(commitTime)}"`,
      };
    }
    return this.#parts;
  }
}

/** A time in microseconds since 1970-01-01 UTC as RFC 3339 with six decimals. */
export function formatMicroseconds(time: bigint): string {
  const seconds = new Date(Number(time / 1_000_000n) * 1000).toISOString().slice(0, -"000Z".length);
  return `${seconds}${String(time % 1_000_000n).padStart(6, "0")}Z`;
}
