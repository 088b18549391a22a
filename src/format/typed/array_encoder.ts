import { refuseTooLarge } from "../record_limit.ts";
import { Utf8Writer } from "../utf8_writer.ts";
import type { ValueEncoder } from "./encoder.ts";
import { quotedAt } from "./quoted.ts";

/** PostgreSQL's MAXDIM. */
const MAX_DIMENSIONS = 6;

const OPEN = 0x7B, CLOSE = 0x7D, QUOTE = 0x22, BRACKET = 0x5B, EQUALS = 0x3D;
const NULL = [0x4E, 0x55, 0x4C, 0x4C] as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type WriteElement = ValueEncoder["copy"];

/**
 * Arrays as JSON arrays of the elements' form, nested where they have more dimensions; bounds are not kept. What
 * is no array stays text.
 */
export function arrayEncoder(element: ValueEncoder, delimiter: "," | ";" = ","): ValueEncoder {
  const fromText: WriteElement = (bytes, start, end, out) => {
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(start, end));
    } catch {
      return false;
    }
    out.text(element.json(text));
    return true;
  };
  const fromBytes: WriteElement = (bytes, start, end, out) =>
    element.copy(bytes, start, end, out) || fromText(bytes, start, end, out);
  const separator = delimiter.charCodeAt(0);
  return {
    json(text) {
      const out = new Utf8Writer(text.length + 16);
      const bytes = encoder.encode(text);
      return writeArray(bytes, 0, bytes.length, separator, fromText, out)
        ? decoder.decode(out.written)
        : JSON.stringify(text);
    },
    copy(bytes, start, end, out) {
      const before = out.length;
      if (writeArray(bytes, start, end, separator, fromBytes, out)) return true;
      out.cutTo(before);
      return false;
    },
  };
}

/**
 * Reads `{1,NULL,"a b"}`, `[2:4]={1,2,3}`, `{{1,2},{3,4}}`; false for anything else, with part of it written. A
 * quoted element may have any character, with a backslash before quotes and backslashes.
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
function writeArray(
  bytes: Uint8Array,
  start: number,
  end: number,
  delimiter: number,
  write: WriteElement,
  out: Utf8Writer,
): boolean {
  const before = out.length;
  let at = bytes[start] === BRACKET ? behindBounds(bytes, start, end) : start;
  let depth = 0;
  /** Whether an element or a nested array may stand here; `isFirst`: or the end. */
  let expectsElement = true, isFirst = false;
  while (at < end) {
    const byte = bytes[at];
    if (byte === OPEN) {
      if (!expectsElement || depth === MAX_DIMENSIONS) return false;
      depth++;
      isFirst = true;
      out.text("[");
      at++;
      continue;
    }
    if (depth === 0) return false;
    if (byte === CLOSE) {
      if (expectsElement && !isFirst) return false;
      depth--;
      expectsElement = false;
      out.text("]");
      at++;
      if (depth === 0) return at === end;
    } else if (byte === delimiter) {
      if (expectsElement) return false;
      expectsElement = true;
      out.text(",");
      at++;
    } else {
      if (!expectsElement) return false;
      if (byte === QUOTE) {
        const quoted = quotedAt(bytes, at, end);
        if (quoted === undefined || !write(quoted.bytes, quoted.start, quoted.end, out)) {
          return false;
        }
        at = quoted.next;
      } else {
        const from = at;
        while (at < end && bytes[at] !== delimiter && bytes[at] !== CLOSE) at++;
        if (isNull(bytes, from, at)) out.text("null");
        else if (!write(bytes, from, at, out)) return false;
      }
      expectsElement = false;
      // A few bytes may stand for many.
      refuseTooLarge(out.length - before);
    }
    isFirst = false;
  }
  return false;
}

/** Behind `[2:4]=`. */
function behindBounds(bytes: Uint8Array, start: number, end: number): number {
  const equals = bytes.subarray(0, end).indexOf(EQUALS, start);
  return equals < 0 ? end : equals + 1;
}

function isNull(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== NULL.length) return false;
  for (let i = 0; i < NULL.length; i++) if (bytes[start + i] !== NULL[i]) return false;
  return true;
}
