import { ascii, hasAt } from "../bytes.ts";
import { jsonStringText, scanJsonString } from "./json_bytes.ts";
import { scanIdentifier, scanQuotedIdentifier } from "../sql_identifier.ts";
import { decodeUtf8 } from "../utf8.ts";

const QUOTE = 0x22,
  BACKSLASH = 0x5C,
  DOT = 0x2E,
  OPEN_PARENTHESIS = 0x28,
  OPEN_BRACKET = 0x5B,
  CLOSE_BRACKET = 0x5D;

/** What follows a type: its column's value, the next column of a key, or the end of the message. */
const VALUE = ascii(',"value":');
const NEXT_COLUMN = ascii('},{"name":"');
const END_OF_MESSAGE = ascii("}]}");

/**
 * Reads a column's type name. wal2json puts a name that begins with a quote into the message as it is,
 * without escapes, and takes the name's quotes for the string's: `"type":"My Schema"."My Type"` and
 * `"type":"back\slash"` are no valid JSON. Older versions put quotes around it: `"type":""My Type""`.
 * All can be read without doubt, because a quote inside a name is doubled, so that none of the texts
 * that may follow a type can stand inside one. A name that JSON can read is given without its quotes,
 * as every reader of wal2json sees it.
 * https://github.com/eulerto/wal2json/blob/master/wal2json.c (pg_decode_write_tuple)
 */
export function readType(
  bytes: Uint8Array,
  start: number,
): { readonly text: string; readonly end: number } | undefined {
  const stringEnd = scanJsonString(bytes, start);
  if (stringEnd !== -1 && typeEndsAt(bytes, stringEnd) && isJson(bytes, start + 1, stringEnd)) {
    return named(jsonStringText(bytes, start + 1, stringEnd - 1), stringEnd);
  }
  if (bytes[start] !== QUOTE) return undefined;
  const wrapped = scanRawType(bytes, start + 1, true);
  if (wrapped !== -1) return named(decodeUtf8(bytes, start + 1, wrapped), wrapped + 1);
  const bare = scanRawType(bytes, start, false);
  // JSON cannot read a name with a backslash or line break, but it is one like `"My Type"`.
  if (bare !== -1) return named(decodeUtf8(bytes, start, bare)?.replace(/^"([^"]*)"$/, "$1"), bare);
  return undefined;
}

function named(text: string | undefined, end: number) {
  return text === undefined ? undefined : { text, end };
}

/**
 * Whether a type was printed as a JSON string or cannot be told from one: it has no backslash, or
 * begins like `\"My Type\"[]` and `schema.\"My Type\"`. Other backslashes are part of a quoted name.
 */
function isJson(bytes: Uint8Array, start: number, end: number): boolean {
  // Not by indexOf, which would look through the whole message for each of 1,600 columns.
  let backslash = start;
  while (backslash < end && bytes[backslash] !== BACKSLASH) backslash++;
  if (backslash === end) return true;
  const schemaEnd = scanIdentifier(bytes, start);
  const quote = schemaEnd !== -1 && bytes[schemaEnd] === DOT ? schemaEnd + 1 : start;
  return quote === backslash && bytes[quote + 1] === QUOTE;
}

function typeEndsAt(bytes: Uint8Array, at: number): boolean {
  return hasAt(bytes, at, VALUE) ||
    hasAt(bytes, at, NEXT_COLUMN) ||
    (hasAt(bytes, at, END_OF_MESSAGE) && at + END_OF_MESSAGE.length === bytes.length);
}

/**
 * A name as `format_type` prints it, `schema."Name"(modifier)[]`; gives where it ends, which is before
 * the closing quote when it is `wrapped` in quotes of its own, or -1.
 */
function scanRawType(bytes: Uint8Array, start: number, wrapped: boolean): number {
  let at = scanRawIdentifier(bytes, start, wrapped);
  if (at !== -1 && bytes[at] === DOT) at = scanRawIdentifier(bytes, at + 1, wrapped);
  if (at === -1) return -1;
  if (bytes[at] === OPEN_PARENTHESIS) {
    // The modifier is what the type's own function prints; no known one has quotes.
    while (at < bytes.length && bytes[at] !== QUOTE && !endsRawType(bytes, at, wrapped)) at++;
  } else if (bytes[at] === OPEN_BRACKET && bytes[at + 1] === CLOSE_BRACKET) {
    at += 2;
  }
  return endsRawType(bytes, at, wrapped) ? at : -1;
}

function endsRawType(bytes: Uint8Array, at: number, wrapped: boolean): boolean {
  return wrapped ? bytes[at] === QUOTE && typeEndsAt(bytes, at + 1) : typeEndsAt(bytes, at);
}

function scanRawIdentifier(bytes: Uint8Array, start: number, wrapped: boolean): number {
  if (bytes[start] !== QUOTE) return scanIdentifier(bytes, start);
  if (!wrapped) return scanQuotedIdentifier(bytes, start);
  // The identifier's closing quote and the string's stand side by side and look like a doubled one.
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] !== QUOTE) continue;
    if (bytes[at + 1] !== QUOTE) return at > start + 1 ? at + 1 : -1;
    if (typeEndsAt(bytes, at + 2)) return at > start + 1 ? at + 1 : -1;
    at++;
  }
  return -1;
}
