import type { Change } from "../formatter.ts";
import type { TransactionInfo } from "../../decode/event.ts";

/** What is counted of the records of logical messages. */
export const MESSAGES = "LOGICAL_DECODING_MESSAGE";

/**
 * Counts the records of a transaction, in all and by table, for Debezium's transaction metadata. A change
 * that is formatted again, without its columns or once the catalog was read, counts once.
 */
export class TransactionCounts {
  #transaction: TransactionInfo | undefined;
  #id = "";
  #seq = -1;
  #total = 0;
  readonly #byTable = new Map<string, number>();
  /** What the change that is being formatted has counted: tables in order. */
  #counted: string[] = [];
  #beganHere = false;
  #isOpen = false;

  /** To be called before each change. */
  enter({ transaction, seq, lsn }: Pick<Change, "transaction" | "seq" | "lsn">): void {
    if (transaction === this.#transaction && seq === this.#seq) {
      for (const table of this.#counted) this.#add(table, -1);
      if (this.#beganHere) this.#isOpen = false;
    } else if (transaction !== this.#transaction) {
      this.#clear();
      this.#transaction = transaction;
      // The first change is the same when the transaction is read again.
      this.#id = `${transaction?.xid}:${transaction?.commitLsn ?? lsn}`;
    }
    this.#seq = seq;
    this.#counted = [];
    this.#beganHere = false;
  }

  /** The same in all records of a transaction, unlike Debezium's, of which only the xid is. */
  get id(): string {
    return this.#id;
  }

  /** True the first time in a transaction: its beginning goes before the record. */
  begin(): boolean {
    if (this.#isOpen) return false;
    this.#isOpen = true;
    this.#beganHere = true;
    return true;
  }

  /** Counts a record; gives its places, from 1, in the transaction and among those of its table. */
  next(table: string): { readonly total: number; readonly ofTable: number } {
    this.#counted.push(table);
    this.#add(table, 1);
    return { total: this.#total, ofTable: this.#byTable.get(table)! };
  }

  /** What was counted, if the beginning was written; then all is forgotten. */
  end():
    | { readonly total: number; readonly byTable: readonly (readonly [string, number])[] }
    | undefined {
    const counts = { total: this.#total, byTable: [...this.#byTable] };
    const wasOpen = this.#isOpen;
    this.#clear();
    return wasOpen ? counts : undefined;
  }

  #add(table: string, count: number): void {
    this.#total += count;
    this.#byTable.set(table, (this.#byTable.get(table) ?? 0) + count);
  }

  #clear(): void {
    this.#transaction = undefined;
    this.#seq = -1;
    this.#total = 0;
    this.#byTable.clear();
    this.#counted = [];
    this.#isOpen = false;
  }
}
