import { decodeUtf8 } from "../utf8.ts";

// Byte scanners for JSON tokens as RFC 8259 defines them. JSON.parse would lose digits of numbers.
// Each takes where the token begins and gives where it ends, or -1 when no such token is there.

const QUOTE = 0x22, BACKSLASH = 0x5C, MINUS = 0x2D, PLUS = 0x2B, DOT = 0x2E, ZERO = 0x30;
const SMALL_U = 0x75, SMALL_E = 0x65, CAPITAL_E = 0x45;

/** A string, from its opening quote to behind its closing one. Escapes are checked when it is read. */
export function scanJsonString(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return -1;
  let at = start + 1;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte < 0x20) return -1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return -1;
}

/** A number; the token's own text keeps every digit. */
export function scanJsonNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  const digits = at;
  at = skipDigits(bytes, at);
  if (at === digits || (bytes[digits] === ZERO && at > digits + 1)) return -1;
  if (bytes[at] === DOT) {
    const fraction = at + 1;
    at = skipDigits(bytes, fraction);
    if (at === fraction) return -1;
  }
  if (bytes[at] === SMALL_E || bytes[at] === CAPITAL_E) {
    at++;
    if (bytes[at] === MINUS || bytes[at] === PLUS) at++;
    const exponent = at;
    at = skipDigits(bytes, exponent);
    if (at === exponent) return -1;
  }
  return at;
}

function skipDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
  return at;
}

/** The text of a string between its quotes; undefined when an escape or the UTF-8 is wrong. */
export function jsonStringText(bytes: Uint8Array, start: number, end: number): string | undefined {
  for (let at = start; at < end; at++) {
    if (bytes[at] === BACKSLASH) {
      const text = decodeUtf8(bytes, start, end);
      return text === undefined ? undefined : unescape(text);
    }
  }
  return decodeUtf8(bytes, start, end);
}

/** Resolves the escapes of a string's text; undefined when one is wrong or leaves half a character. */
export function unescape(text: string): string | undefined {
  let result = "";
  let from = 0;
  for (;;) {
    const backslash = text.indexOf("\\", from);
    if (backslash === -1) break;
    result += text.slice(from, backslash);
    const simple = SIMPLE_ESCAPES.get(text.charCodeAt(backslash + 1));
    if (simple !== undefined) {
      result += simple;
      from = backslash + 2;
      continue;
    }
    if (text.charCodeAt(backslash + 1) !== SMALL_U) return undefined;
    const hex = text.slice(backslash + 2, backslash + 6);
    if (!/^[0-9A-Fa-f]{4}$/.test(hex)) return undefined;
    result += String.fromCharCode(parseInt(hex, 16));
    from = backslash + 6;
  }
  result += text.slice(from);
  return result.isWellFormed() ? result : undefined;
}

const SIMPLE_ESCAPES: ReadonlyMap<number, string> = new Map(
  [['"', '"'], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"], [
    "t",
    "\t",
  ]].map(([letter, character]) => [letter!.charCodeAt(0), character!]),
);

/**
 * The bytes of a string between its quotes. Unlike {@linkcode jsonStringText} it takes bytes that
 * are not UTF-8, as a logical message may hold; undefined when an escape is wrong.
 */
export function jsonStringBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let at = start;
  while (at < end) {
    let next = at;
    if (bytes[at] !== BACKSLASH) {
      while (next < end && bytes[next] !== BACKSLASH) next++;
      parts.push(bytes.subarray(at, next));
    } else {
      // A run of escapes, so that the two halves of a surrogate pair are seen together.
      while (next < end && bytes[next] === BACKSLASH) next += bytes[next + 1] === SMALL_U ? 6 : 2;
      const text = decodeUtf8(bytes, at, next);
      const resolved = text === undefined ? undefined : unescape(text);
      if (resolved === undefined) return undefined;
      parts.push(encoder.encode(resolved));
    }
    at = next;
  }
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

const encoder = new TextEncoder();
