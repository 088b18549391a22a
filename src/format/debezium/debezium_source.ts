import type { Lsn } from "../../base/lsn.ts";
import type { Relation, TransactionInfo } from "../../decode/event.ts";
import type { Utf8Writer } from "../utf8_writer.ts";

/** The version whose records these are like: some consumers look at it. */
export const DEBEZIUM_VERSION = "3.6.1.Final";

/** What a record tells of where it comes from. */
export interface Origin {
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo | undefined;
  /** `"false"`, or `"incremental"` for a row that was read. */
  readonly snapshot: "false" | "incremental";
}

/** Writes `source`, most of which is the same for all changes of a transaction. */
export class SourceWriter {
  readonly #head: string;
  readonly #database: string;
  #transaction: TransactionInfo | undefined;
  #lastCommit: Lsn | undefined;
  #seconds = "";
  #micros = "";
  #sequence = "";

  constructor(name: string, database: string) {
    this.#head = `{"version":"${DEBEZIUM_VERSION}","connector":"postgresql","name":${
      JSON.stringify(name)
    },"ts_ms":`;
    this.#database = `","db":${JSON.stringify(database)},"sequence":"[`;
  }

  /** The end of a transaction, of which the changes behind it tell. */
  committed(endLsn: Lsn): void {
    this.#lastCommit = endLsn;
    this.#transaction = undefined;
  }

  /** `names` is what {@linkcode sourceNames} gives. */
  write(origin: Origin, names: Uint8Array, nowMs: number, out: Utf8Writer): void {
    const { lsn, transaction, snapshot } = origin;
    if (transaction === undefined || transaction !== this.#transaction) {
      this.#begin(transaction, nowMs);
    }
    const position = String(lsn);
    out.text(this.#head);
    out.text(this.#seconds);
    out.text(`,"snapshot":"${snapshot}`);
    out.text(this.#database);
    out.text(this.#sequence);
    out.text(`,\\"${position}\\"]"`);
    out.text(this.#micros);
    out.copy(names);
    out.text(`,"txId":${transaction === undefined ? "null" : transaction.xid},"lsn":${position}`);
    out.text(',"xmin":null,"origin":null,"origin_lsn":null}');
  }

  #begin(transaction: TransactionInfo | undefined, nowMs: number): void {
    this.#transaction = transaction;
    const time = transaction === undefined ? BigInt(nowMs) * 1000n : transaction.commitTime;
    this.#seconds = time === undefined ? "null" : String(time / 1000n);
    this.#micros = time === undefined
      ? ',"ts_us":null,"ts_ns":null'
      : `,"ts_us":${time},"ts_ns":${time}000`;
    this.#sequence = this.#lastCommit === undefined ? "null" : `\\"${this.#lastCommit}\\"`;
  }
}

const encoder = new TextEncoder();

export function sourceNames({ schema, table }: Pick<Relation, "schema" | "table">): Uint8Array {
  return encoder.encode(`,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`);
}
