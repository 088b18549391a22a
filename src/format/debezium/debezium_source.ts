import type { Lsn } from "../../base/lsn.ts";
import type { Relation, TransactionInfo } from "../../decode/event.ts";
import type { Utf8Writer } from "../utf8_writer.ts";

/** The version whose records these are like: some consumers look at it. */
export const DEBEZIUM_VERSION = "3.6.1.Final";

/** Where a record comes from. */
export interface Origin {
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo | undefined;
  /** `"false"`, or `"incremental"` for a row that was read. */
  readonly snapshot: "false" | "incremental";
}

/** Writes `source`, most of which is the same for all changes of a transaction. */
export class SourceWriter {
  readonly #name: string;
  readonly #database: string;
  #transaction: TransactionInfo | undefined;
  #snapshot: Origin["snapshot"] = "false";
  #lastCommit: Lsn | undefined;
  /** What stands before the LSN in `sequence`, between it and the table's name, and behind that. */
  #head = NOTHING;
  #times = NOTHING;
  #xid = NOTHING;

  constructor(name: string, database: string) {
    this.#name = JSON.stringify(name);
    this.#database = JSON.stringify(database);
  }

  /** The end of a transaction, of which the changes behind it tell. */
  committed(endLsn: Lsn): void {
    this.#lastCommit = endLsn;
    this.#transaction = undefined;
  }

  /** `names` is what {@linkcode sourceNames} gives. */
  write(origin: Origin, names: Uint8Array, nowMs: number, out: Utf8Writer): void {
    const { lsn, transaction, snapshot } = origin;
    const isSame = transaction !== undefined && transaction === this.#transaction &&
      snapshot === this.#snapshot;
    if (!isSame) this.#begin(origin, nowMs);
    const position = decimal(lsn);
    out.copy(this.#head);
    out.text(position);
    out.copy(this.#times);
    out.copy(names);
    out.copy(this.#xid);
    out.text(position);
    out.copy(END);
  }

  #begin({ transaction, snapshot }: Origin, nowMs: number): void {
    this.#transaction = transaction;
    this.#snapshot = snapshot;
    const time = transaction === undefined ? BigInt(nowMs) * 1000n : transaction.commitTime;
    const seconds = time === undefined ? "null" : String(time / 1000n);
    const last = this.#lastCommit === undefined ? "null" : `\\"${this.#lastCommit}\\"`;
    this.#head = encoder.encode(
      `{"version":"${DEBEZIUM_VERSION}","connector":"postgresql","name":${this.#name},` +
        `"ts_ms":${seconds},"snapshot":"${snapshot}","db":${this.#database},` +
        `"sequence":"[${last},\\"`,
    );
    this.#times = encoder.encode(
      time === undefined
        ? '\\"]","ts_us":null,"ts_ns":null'
        : `\\"]","ts_us":${time},"ts_ns":${time}000`,
    );
    this.#xid = encoder.encode(
      `,"txId":${transaction === undefined ? "null" : transaction.xid},"lsn":`,
    );
  }
}

/** A number prints faster than a bigint. */
function decimal(lsn: Lsn): string {
  const number = Number(lsn);
  return Number.isSafeInteger(number) ? String(number) : String(lsn);
}

const encoder = new TextEncoder();

const NOTHING = new Uint8Array();
const END = encoder.encode(',"xmin":null,"origin":null,"origin_lsn":null}');

export function sourceNames({ schema, table }: Pick<Relation, "schema" | "table">): Uint8Array {
  return encoder.encode(`,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`);
}
