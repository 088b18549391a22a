/**
 * Cuts a byte stream into backend messages: one byte of type, then a 32-bit length that counts
 * itself but not the type. https://www.postgresql.org/docs/current/protocol-overview.html
 *
 * Messages are views of the chunk they came in; only one that lies in several chunks is copied, once.
 */
export class MessageFramer {
  /** The beginning of a message that is not whole yet. */
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  /** Bytes of that message in all; 0 while its header is not whole. */
  #wanted = 0;

  constructor(
    /** Gets each message whole, type and length first, from `start` to `end`. It may keep the bytes. */
    private readonly take: (bytes: Uint8Array, start: number, end: number) => void,
  ) {}

  /** Bytes held of a message that is not whole yet. */
  get heldBytes(): number {
    return this.#partsBytes;
  }

  /** @throws {SyntaxError} for what can be no message. */
  push(chunk: Uint8Array): void {
    let offset = this.#partsBytes === 0 ? 0 : this.#complete(chunk);
    while (offset + HEADER_BYTES <= chunk.length) {
      const end = offset + messageBytes(chunk, offset);
      if (end > chunk.length) break;
      this.take(chunk, offset, end);
      offset = end;
    }
    if (offset < chunk.length) this.#hold(chunk.subarray(offset));
  }

  /** Ends the held message with the beginning of `chunk`; gives where the next one begins. */
  #complete(chunk: Uint8Array): number {
    let offset = 0;
    if (this.#wanted === 0) {
      offset = Math.min(HEADER_BYTES - this.#partsBytes, chunk.length);
      this.#hold(chunk.subarray(0, offset));
      if (this.#wanted === 0) return offset;
    }
    const end = Math.min(offset + this.#wanted - this.#partsBytes, chunk.length);
    if (end > offset) this.#hold(chunk.subarray(offset, end));
    if (this.#partsBytes === this.#wanted) {
      const message = concat(this.#parts, this.#partsBytes);
      this.#parts = [];
      this.#partsBytes = 0;
      this.#wanted = 0;
      this.take(message, 0, message.length);
    }
    return end;
  }

  #hold(part: Uint8Array): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
    if (this.#wanted === 0 && this.#partsBytes >= HEADER_BYTES) {
      // The header may lie in two parts; few and small they are then.
      if (this.#parts[0]!.length < HEADER_BYTES) {
        this.#parts = [concat(this.#parts, this.#partsBytes)];
      }
      this.#wanted = messageBytes(this.#parts[0]!, 0);
    }
  }
}

const HEADER_BYTES = 5;
/** `palloc` gives no more, so no message of the server is longer. */
const MAX_LENGTH = 0x4000_0000;

function messageBytes(bytes: Uint8Array, offset: number): number {
  const length = (bytes[offset + 1]! << 24) | (bytes[offset + 2]! << 16) |
    (bytes[offset + 3]! << 8) | bytes[offset + 4]!;
  if (length < 4 || length > MAX_LENGTH) {
    throw new SyntaxError(
      `a message of PostgreSQL cannot have type ${bytes[offset]} and length ${length >>> 0}`,
    );
  }
  return 1 + length;
}

function concat(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
