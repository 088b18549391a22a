const QUOTE = 0x22, BACKSLASH = 0x5C;
/** What one long text made grow beyond this is not kept. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** A text in quotes as PostgreSQL prints it in arrays and hstores: a backslash before each quote and backslash. */
export interface Quoted {
  /** What is between the quotes, without the backslashes, is `bytes[start, end)` until the next call. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Behind the closing quote. */
  readonly next: number;
}

/** The quoted text that begins at `start`; undefined when none does. It may have megabytes, and all of them escaped. */
export function quotedAt(source: Uint8Array, start: number, end: number): Quoted | undefined {
  if (start >= end || source[start] !== QUOTE) return undefined;
  let backslashes = 0;
  for (let at = start + 1; at < end; at++) {
    const byte = source[at];
    if (byte === BACKSLASH) {
      backslashes++;
      at++;
    } else if (byte === QUOTE) {
      return backslashes === 0
        ? { bytes: source, start: start + 1, end: at, next: at + 1 }
        : unescaped(source, start + 1, at, backslashes);
    }
  }
  return undefined;
}

let scratch = new Uint8Array(1024);

function unescaped(source: Uint8Array, start: number, end: number, backslashes: number): Quoted {
  const length = end - start - backslashes;
  let bytes = scratch;
  if (length > bytes.length) {
    bytes = new Uint8Array(length);
    if (length <= MAX_KEPT_BYTES) scratch = bytes;
  }
  let to = 0;
  for (let at = start; at < end; at++) {
    if (source[at] === BACKSLASH) at++;
    bytes[to++] = source[at]!;
  }
  return { bytes, start: 0, end: length, next: end + 1 };
}
