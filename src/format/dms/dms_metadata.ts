import type { Lsn } from "../../base/lsn.ts";
import type { RowChange, TransactionInfo } from "../../decode/event.ts";
import type { DmsSettings } from "../../options.ts";
import { formatMicroseconds } from "../time_text.ts";

export type DataOperation = "load" | "insert" | "update" | "delete";

/** Where a record goes: `partition-key-type` and the key. */
export interface DmsKey {
  readonly type: "primary-key" | "schema-table" | "transaction-id" | "constant";
  readonly value: string;
}

/** Writes `metadata`, and counts the records, of which each names the one before. */
export class MetadataWriter {
  #transaction: TransactionInfo | undefined;
  #records = 0;
  #previous = "";
  /** As it was before the change that is being formatted. */
  #saved:
    | { transaction: TransactionInfo | undefined; records: number; previous: string }
    | undefined;
  #change: Pick<RowChange, "transaction" | "seq"> | undefined;

  constructor(private readonly settings: DmsSettings) {}

  /** To be called before each change: one that is formatted again is counted once. */
  enter({ transaction, seq }: Pick<RowChange, "transaction" | "seq">): void {
    if (this.#change?.transaction === transaction && this.#change.seq === seq) {
      ({
        transaction: this.#transaction,
        records: this.#records,
        previous: this.#previous,
      } = this.#saved!);
    }
    this.#change = { transaction, seq };
    this.#saved = {
      transaction: this.#transaction,
      records: this.#records,
      previous: this.#previous,
    };
  }

  data(operation: DataOperation, change: RowChange, key: DmsKey, nowMs: number): string {
    const { schema, table } = change.relation;
    const head = `{"timestamp":"${now(nowMs)}","record-type":"data","operation":"${operation}",` +
      `"partition-key-type":"${key.type}"${this.#partitionValue(key)},` +
      `"schema-name":${JSON.stringify(schema)},"table-name":${JSON.stringify(table)}`;
    return head + (operation === "load" ? "" : this.#details(change));
  }

  #partitionValue({ type, value }: DmsKey): string {
    return this.settings.IncludePartitionValue && type !== "schema-table"
      ? `,"partition-key-value":${JSON.stringify(value)}`
      : "";
  }

  #details({ transaction, lsn }: RowChange): string {
    if (!this.settings.IncludeTransactionDetails) return "";
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#records = 0;
    }
    const { xid, commitLsn, commitTime } = transaction;
    const record = ++this.#records;
    const previous = this.#previous;
    this.#previous = `,"prev-transaction-id":${xid},"prev-transaction-record-id":${record}`;
    const time = commitTime === undefined
      ? ""
      : `,"commit-timestamp":"${formatMicroseconds(commitTime)}"`;
    return `,"transaction-id":${xid},"transaction-record-id":${record}${previous}${time}` +
      `,"stream-position":"${position(commitLsn ?? lsn)}.${record}.${position(lsn)}"`;
  }
}

export function controlMetadata(
  operation: string,
  { schema, table }: RowChange["relation"],
  nowMs: number,
): string {
  return `{"timestamp":"${now(nowMs)}","record-type":"control","operation":"${operation}",` +
    `"partition-key-type":"task-id","schema-name":${JSON.stringify(schema)},` +
    `"table-name":${JSON.stringify(table)}}`;
}

let lastMs = -1;
let lastText = "";

function now(nowMs: number): string {
  if (nowMs !== lastMs) {
    lastMs = nowMs;
    lastText = formatMicroseconds(BigInt(nowMs) * 1000n);
  }
  return lastText;
}

/** Both halves with eight digits. */
function position(lsn: Lsn): string {
  const digits = lsn.toString(16).toUpperCase().padStart(16, "0");
  return `${digits.slice(0, 8)}/${digits.slice(8)}`;
}
