import { TooLargeError } from "../base/errors.ts";

/** Without `ignoreBOM` a value that begins with U+FEFF would lose it. */
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
/** Four times slower on Deno than the lenient one, so it only judges what the lenient one replaced. */
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

const REPLACEMENT = "\uFFFD";

/** Below this length a loop beats the call into the runtime. */
const SHORT = 24;

/** V8's strings hold no more units, and each of them may come from one byte. */
const MAX_STRING_UNITS = 0x1FFF_FFE8;

/**
 * The text of `bytes[start, end)`; undefined when it is not UTF-8.
 * @throws {TooLargeError} when no string can hold it.
 */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= SHORT) {
    const text = decodeShortAscii(bytes, start, end);
    if (text !== undefined) return text;
  }
  if (end - start > MAX_STRING_UNITS) throw new TooLargeError(end - start);
  const part = bytes.subarray(start, end);
  const text = lenient.decode(part);
  if (!text.includes(REPLACEMENT)) return text;
  // The text may hold a U+FFFD of its own.
  try {
    return strict.decode(part);
  } catch {
    return undefined;
  }
}

/** The text of `bytes[start, end)` when it is pure ASCII, so that its offsets are those of the bytes. */
export function decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > MAX_STRING_UNITS) return undefined;
  const text = lenient.decode(bytes.subarray(start, end));
  // One replacement character may stand for one wrong byte: equal lengths alone prove nothing.
  return text.length === end - start && !text.includes(REPLACEMENT) ? text : undefined;
}

/** Eight, then four characters a call: each call and each piece of text has its cost. */
function decodeShortAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  let at = start;
  for (; end - at >= 8; at += 8) {
    const a = bytes[at]!, b = bytes[at + 1]!, c = bytes[at + 2]!, d = bytes[at + 3]!;
    const e = bytes[at + 4]!, f = bytes[at + 5]!, g = bytes[at + 6]!, h = bytes[at + 7]!;
    if ((a | b | c | d | e | f | g | h) > 0x7F) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; end - at >= 4; at += 4) {
    const a = bytes[at]!, b = bytes[at + 1]!, c = bytes[at + 2]!, d = bytes[at + 3]!;
    if ((a | b | c | d) > 0x7F) return undefined;
    text += String.fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte > 0x7F) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}
