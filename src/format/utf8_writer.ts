const FIRST_BYTES = 64 * 1024;
/** A buffer that one large record made grow beyond this is not kept. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** Up to here a loop beats the call into the runtime. */
const SHORT_UNITS = 128;
/** From here on the runtime copies a whole array faster than a loop. */
const WORTH_A_CALL_BYTES = 24;
/** The longest escape, `\u001f`. */
const MAX_ESCAPE_BYTES = 6;

const QUOTE = 0x22, BACKSLASH = 0x5C, SPACE = 0x20, LINE_FEED = 0x0A, CARRIAGE_RETURN = 0x0D;

const encoder = new TextEncoder();

/** How JSON.stringify writes each ASCII character inside a string; undefined: as it is. */
const ESCAPES: readonly (Uint8Array | undefined)[] = Array.from({ length: 0x80 }, (_, code) => {
  const character = String.fromCharCode(code);
  const escaped = JSON.stringify(character).slice(1, -1);
  return escaped === character ? undefined : encoder.encode(escaped);
});

/** 1 for the bytes that a JSON string has as they are: ASCII that needs no escape. */
const IS_PLAIN = Uint8Array.from(
  { length: 0x100 },
  (_, byte) => byte < 0x80 && ESCAPES[byte] === undefined ? 1 : 0,
);

/** 1 for what stands behind the backslash of an escape that JSON.stringify writes as well: not `\/`, not `\u`. */
const IS_SHORT_ESCAPE = new Uint8Array(0x100);
for (const escape of ESCAPES) if (escape?.length === 2) IS_SHORT_ESCAPE[escape[1]!] = 1;

/**
 * Writes one record after the other as UTF-8, each over the one before. Copying ASCII byte by byte costs
 * a fraction of what it takes to make strings of it, to join them and to encode the whole.
 */
export class Utf8Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(bytes = FIRST_BYTES) {
    this.#bytes = new Uint8Array(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Holds what was written in its first `length` bytes, until something else is. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** What was written, until something else is. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > MAX_KEPT_BYTES) this.#bytes = new Uint8Array(FIRST_BYTES);
  }

  /** Takes back what was written behind the first `length` bytes. */
  cutTo(length: number): void {
    this.#length = length;
  }

  text(text: string): void {
    const units = text.length;
    this.#reserve(units * 3);
    const bytes = this.#bytes;
    const start = this.#length;
    if (units <= SHORT_UNITS) {
      let i = 0;
      for (; i < units; i++) {
        const unit = text.charCodeAt(i);
        if (unit > 0x7F) break;
        bytes[start + i] = unit;
      }
      if (i === units) {
        this.#length = start + units;
        return;
      }
    }
    this.#length = start + encoder.encodeInto(text, bytes.subarray(start)).written;
  }

  /** `source[start, end)` as it is. */
  copy(source: Uint8Array, start = 0, end = source.length): void {
    const length = end - start;
    this.#reserve(length);
    const bytes = this.#bytes;
    let to = this.#length;
    this.#length = to + length;
    if (length === source.length && length >= WORTH_A_CALL_BYTES) {
      bytes.set(source, to);
      return;
    }
    for (let at = start; at < end; at++) bytes[to++] = source[at]!;
  }

  /**
   * `source[start, end)` as a JSON string, just as JSON.stringify writes its text. False, with nothing
   * written, when it is not ASCII.
   */
  jsonString(source: Uint8Array, start: number, end: number): boolean {
    const before = this.#length;
    this.#reserve(end - start + MAX_ESCAPE_BYTES + 2);
    let bytes = this.#bytes;
    let to = before;
    bytes[to++] = QUOTE;
    for (let at = start; at < end; at++) {
      const byte = source[at]!;
      if (IS_PLAIN[byte] === 1) {
        bytes[to++] = byte;
        continue;
      }
      if (byte > 0x7F) {
        this.#length = before;
        return false;
      }
      for (const escape of ESCAPES[byte]!) bytes[to++] = escape;
      this.#length = to;
      this.#reserve(end - at + MAX_ESCAPE_BYTES + 2);
      bytes = this.#bytes;
    }
    bytes[to++] = QUOTE;
    this.#length = to;
    return true;
  }

  /**
   * `source[start, end)`, the inside of a JSON string with escapes, as JSON.stringify writes its text.
   * False, with nothing written, when it is not ASCII or may have to be written in another way.
   */
  escapedJsonString(source: Uint8Array, start: number, end: number): boolean {
    this.#reserve(end - start + 2);
    const bytes = this.#bytes;
    let to = this.#length;
    bytes[to++] = QUOTE;
    for (let at = start; at < end; at++) {
      const byte = source[at]!;
      if (IS_PLAIN[byte] === 1) {
        bytes[to++] = byte;
        continue;
      }
      if (byte !== BACKSLASH || at + 1 === end || IS_SHORT_ESCAPE[source[at + 1]!] !== 1) {
        return false;
      }
      bytes[to++] = byte;
      bytes[to++] = source[++at]!;
    }
    bytes[to++] = QUOTE;
    this.#length = to;
    return true;
  }

  /**
   * `source[start, end)` on one line: line ends, which in JSON only stand between tokens, become spaces.
   * False, with nothing written, when it is not ASCII.
   */
  onOneLine(source: Uint8Array, start: number, end: number): boolean {
    this.#reserve(end - start);
    const bytes = this.#bytes;
    let to = this.#length;
    for (let at = start; at < end; at++) {
      const byte = source[at]!;
      if (byte > 0x7F) return false;
      bytes[to++] = byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte;
    }
    this.#length = to;
    return true;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
