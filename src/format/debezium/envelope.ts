import type { LogicalMessage, RowChange, Truncate } from "../../decode/event.ts";
import { Buffer } from "node:buffer";
import { refuseTooLarge } from "../record_limit.ts";
import type { Utf8Writer } from "../utf8_writer.ts";
import type { TransactionCounts } from "./transaction_counts.ts";

export type Op = "c" | "u" | "d" | "r" | "t";

const encoder = new TextEncoder();

/** One instant in three units, as the last fields of a record. */
export class ClockText {
  #lastMs = -1;
  #bytes = new Uint8Array();

  write(op: Op, nowMs: number, out: Utf8Writer): void {
    if (nowMs !== this.#lastMs) {
      this.#lastMs = nowMs;
      this.#bytes = encoder.encode(
        `","ts_ms":${nowMs},"ts_us":${nowMs}000,"ts_ns":${nowMs}000000`,
      );
    }
    out.text(`,"op":"`);
    out.text(op);
    out.copy(this.#bytes);
  }
}

/** `,"transaction":…` of a record of this table. */
export function writeTransaction(
  change: RowChange | Truncate | LogicalMessage,
  table: string,
  counts: TransactionCounts | undefined,
  out: Utf8Writer,
): void {
  if (counts === undefined || change.transaction === undefined) {
    return out.text(',"transaction":null');
  }
  const { total, ofTable } = counts.next(table);
  out.text(
    `,"transaction":{"id":"${counts.id}","total_order":${total},` +
      `"data_collection_order":${ofTable}}`,
  );
}

/** `,"message":…`; without the content where it is too large. */
export function messageText({ prefix, content }: LogicalMessage, isOversize: boolean): string {
  const head = `,"message":{"prefix":${JSON.stringify(prefix)}`;
  if (isOversize) return head + ',"content":null},"oversize":true}';
  refuseTooLarge(content.length);
  const base64 = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    .toString("base64");
  return `${head},"content":"${base64}"}}`;
}
