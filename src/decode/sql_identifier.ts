import { decodeUtf8 } from "./utf8.ts";

// Byte scanners for the SQL names that `quote_identifier` and `format_type` print. Each takes where to
// begin and gives where the name ends, or -1 when no such name is there.
// https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/ruleutils.c (quote_identifier)
// https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/format_type.c

const QUOTE = 0x22, DOT = 0x2E, SPACE = 0x20, OPEN_BRACKET = 0x5B, CLOSE_BRACKET = 0x5D;

/** `name` or `"any ""name"""`. A name without quotes has small ASCII letters, digits and `_` only. */
export function scanIdentifier(bytes: Uint8Array, start: number): number {
  if (bytes[start] === QUOTE) return scanQuotedIdentifier(bytes, start);
  let at = start;
  if (isDigit(bytes[at])) return -1;
  while (isNameByte(bytes[at])) at++;
  return at > start ? at : -1;
}

/** `"…"` with quotes inside it doubled; PostgreSQL has no empty names. */
export function scanQuotedIdentifier(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length) {
    if (bytes[at] !== QUOTE) at++;
    else if (bytes[at + 1] === QUOTE) at += 2;
    else return at > start + 1 ? at + 1 : -1;
  }
  return -1;
}

/** The name itself; undefined when it is not UTF-8. */
export function identifierText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (bytes[start] !== QUOTE) return decodeUtf8(bytes, start, end);
  return decodeUtf8(bytes, start + 1, end - 1)?.replaceAll('""', '"');
}

/** A type as `format_type_be` prints it: never with a type modifier. */
export function scanType(bytes: Uint8Array, start: number): number {
  let at = scanIdentifier(bytes, start);
  if (at === -1) return -1;
  if (bytes[at] === DOT) {
    at = scanIdentifier(bytes, at + 1);
    if (at === -1) return -1;
  } else if (bytes[at] === SPACE) {
    while (bytes[at] === SPACE || isNameByte(bytes[at])) at++;
    const words = decodeUtf8(bytes, start, at);
    if (words === undefined || !TYPES_OF_SEVERAL_WORDS.has(words)) return -1;
  }
  if (bytes[at] === OPEN_BRACKET) return bytes[at + 1] === CLOSE_BRACKET ? at + 2 : -1;
  return at;
}

const TYPES_OF_SEVERAL_WORDS: ReadonlySet<string> = new Set([
  "bit varying",
  "character varying",
  "double precision",
  "time without time zone",
  "time with time zone",
  "timestamp without time zone",
  "timestamp with time zone",
]);

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isNameByte(byte: number | undefined): boolean {
  return byte !== undefined &&
    ((byte >= 0x61 && byte <= 0x7A) || byte === 0x5F || (byte >= 0x30 && byte <= 0x39));
}
