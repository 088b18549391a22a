import { type XLogData, XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, hasAt } from "../bytes.ts";
import { DecodeError } from "../decoder.ts";
import { MAX_PREFIX_BYTES, type PublishesMessage } from "../message_prefix.ts";
import { isDigit } from "../sql_identifier.ts";
import { decodeUtf8 } from "../utf8.ts";

const TRANSACTIONAL = ascii("message: transactional: 1 prefix: ");
const NON_TRANSACTIONAL = ascii("message: transactional: 0 prefix: ");
const SIZE = ascii(", sz: ");
const CONTENT = ascii(" content:");

const PREFIX = XLOGDATA_HEADER_BYTES + TRANSACTIONAL.length;

export function isTransactional(message: XLogData): boolean {
  if (hasAt(message.payload, XLOGDATA_HEADER_BYTES, TRANSACTIONAL)) return true;
  if (hasAt(message.payload, XLOGDATA_HEADER_BYTES, NON_TRANSACTIONAL)) return false;
  fail(message, XLOGDATA_HEADER_BYTES, "an unknown head of a logical message");
}

/** What a logical message of test_decoding turns out to be. */
export type TestDecodingMessage =
  | { readonly kind: "not published" }
  | { readonly kind: "published"; readonly prefix: string; readonly content: Uint8Array }
  /** With `prefix` it would be published, but it can be read as one with another prefix as well. */
  | { readonly kind: "ambiguous"; readonly prefix: string };

const NOT_PUBLISHED: TestDecodingMessage = { kind: "not published" };

/**
 * Reads `message: transactional: 1 prefix: PREFIX, sz: SIZE content:BYTES`. The prefix may hold anything,
 * as may the content, so where it ends follows only from a size that fits what comes after. A message
 * that can be read in several ways is nobody's: a prefix that nobody may write to in another's name
 * must not be had by writing `, sz: …` into one's own. A message of which only the head was kept is
 * judged like a whole one, as long as that head has the longest prefix and its size.
 */
export function readTestDecodingMessage(
  message: XLogData,
  publishes: PublishesMessage,
): TestDecodingMessage {
  const bytes = message.payload;
  let readings = 0;
  let published: { readonly prefix: string; readonly content: Uint8Array } | undefined;
  let at = PREFIX;
  for (; at < bytes.length && at <= PREFIX + MAX_PREFIX_BYTES; at++) {
    const contentStart = contentAfter(bytes, at, message.length);
    if (contentStart === -1) continue;
    readings++;
    const prefix = decodeUtf8(bytes, PREFIX, at);
    if (published === undefined && prefix !== undefined && publishes(prefix, message.length)) {
      published = { prefix, content: bytes.subarray(contentStart) };
    }
  }
  if (published === undefined) {
    if (readings === 0 && at === message.length) {
      fail(message, PREFIX, "a logical message whose size does not fit its content");
    }
    return NOT_PUBLISHED;
  }
  for (; readings === 1 && at < bytes.length; at++) {
    if (contentAfter(bytes, at, message.length) !== -1) readings++;
  }
  return readings === 1
    ? { kind: "published", ...published }
    : { kind: "ambiguous", prefix: published.prefix };
}

/** Where the content begins if the prefix ends at `at` and the size fits the rest; otherwise -1. */
function contentAfter(bytes: Uint8Array, at: number, length: number): number {
  if (!hasAt(bytes, at, SIZE)) return -1;
  const digits = at + SIZE.length;
  let end = digits;
  let size = 0;
  for (; isDigit(bytes[end]) && size <= length; end++) size = size * 10 + bytes[end]! - 0x30;
  if (end === digits || (bytes[digits] === 0x30 && end > digits + 1)) return -1;
  if (!hasAt(bytes, end, CONTENT)) return -1;
  const start = end + CONTENT.length;
  return start + size === length ? start : -1;
}

function fail(message: XLogData, position: number, what: string): never {
  throw new DecodeError("test_decoding", message.walStart, position - XLOGDATA_HEADER_BYTES, what);
}
