import type { Lsn } from "../lsn.ts";
import { type XLogData, XLOGDATA_HEADER_BYTES } from "../postgres/replication_message.ts";
import { ascii, hasAt } from "./bytes.ts";
import { DecodeError } from "./decoder.ts";
import type { LogicalMessage, TransactionInfo } from "./event.ts";
import { isDigit } from "./sql_identifier.ts";
import { decodeUtf8 } from "./utf8.ts";

const TRANSACTIONAL = ascii("message: transactional: 1 prefix: ");
const NON_TRANSACTIONAL = ascii("message: transactional: 0 prefix: ");
const SIZE = ascii(", sz: ");
const CONTENT = ascii(" content:");

/**
 * `message: transactional: 1 prefix: PREFIX, sz: SIZE content:BYTES`. The prefix may hold anything, so
 * where it ends follows only from a size that fits what comes after. A message that can be read in
 * two ways is an error, but not before someone reads it: whoever may write messages would stop the
 * run otherwise, even where messages are not published.
 */
export class TestDecodingMessage implements LogicalMessage {
  readonly kind = "message";
  #parts: { readonly prefix: string; readonly content: Uint8Array } | undefined;

  constructor(
    private readonly message: XLogData,
    private readonly prefixStart: number,
    readonly transaction: TransactionInfo | undefined,
    readonly seq: number,
  ) {}

  static readHead(message: XLogData): { isTransactional: boolean; prefixStart: number } {
    const isTransactional = hasAt(message.payload, XLOGDATA_HEADER_BYTES, TRANSACTIONAL);
    if (!isTransactional && !hasAt(message.payload, XLOGDATA_HEADER_BYTES, NON_TRANSACTIONAL)) {
      fail(message, XLOGDATA_HEADER_BYTES, "an unknown head of a logical message");
    }
    return { isTransactional, prefixStart: XLOGDATA_HEADER_BYTES + TRANSACTIONAL.length };
  }

  get lsn(): Lsn {
    return this.message.walStart;
  }

  get prefix(): string {
    return this.#read().prefix;
  }

  get content(): Uint8Array {
    return this.#read().content;
  }

  #read() {
    if (this.#parts !== undefined) return this.#parts;
    const bytes = this.message.payload;
    let prefixEnd = -1, contentStart = -1;
    for (let at = this.prefixStart; at < bytes.length; at++) {
      const content = contentAfter(bytes, at);
      if (content === -1) continue;
      if (prefixEnd !== -1) {
        fail(this.message, at, "a logical message whose prefix can end in two places");
      }
      prefixEnd = at;
      contentStart = content;
    }
    if (prefixEnd === -1) {
      fail(this.message, this.prefixStart, "a logical message whose size does not fit its content");
    }
    const prefix = decodeUtf8(bytes, this.prefixStart, prefixEnd) ??
      fail(this.message, this.prefixStart, "the prefix of a logical message is not UTF-8");
    return this.#parts = { prefix, content: bytes.subarray(contentStart) };
  }
}

/** Where the content begins if the prefix ends at `at` and the size fits the rest; otherwise -1. */
function contentAfter(bytes: Uint8Array, at: number): number {
  if (!hasAt(bytes, at, SIZE)) return -1;
  const digits = at + SIZE.length;
  let end = digits;
  let size = 0;
  for (; isDigit(bytes[end]) && size <= bytes.length; end++) size = size * 10 + bytes[end]! - 0x30;
  if (end === digits || (bytes[digits] === 0x30 && end > digits + 1)) return -1;
  if (!hasAt(bytes, end, CONTENT)) return -1;
  const start = end + CONTENT.length;
  return start + size === bytes.length ? start : -1;
}

function fail(message: XLogData, position: number, what: string): never {
  throw new DecodeError("test_decoding", message.walStart, position - XLOGDATA_HEADER_BYTES, what);
}
