/**
 * Cuts a byte stream into backend messages: one byte of type, then a 32-bit length that counts
 * itself but not the type. https://www.postgresql.org/docs/current/protocol-overview.html
 *
 * Messages are views of the chunk they came in; only one that lies in several chunks is copied, once.
 */
export class MessageFramer {
  /** The beginning of a message while not even its header is whole. */
  readonly #header = new Uint8Array(HEADER_BYTES);
  /** A message that lies in several chunks: as long as its header says, and filled as they come. */
  #message: Uint8Array | undefined;
  /** Bytes of header or message that are there. */
  #held = 0;

  constructor(
    /** Gets each message whole, type and length first, from `start` to `end`. It may keep the bytes. */
    private readonly take: (bytes: Uint8Array, start: number, end: number) => void,
  ) {}

  /** Bytes held of a message that is not whole yet. */
  get heldBytes(): number {
    return this.#held;
  }

  /** @throws {SyntaxError} for what can be no message. */
  push(chunk: Uint8Array): void {
    let offset = this.#held === 0 ? 0 : this.#complete(chunk);
    while (offset + HEADER_BYTES <= chunk.length) {
      const end = offset + messageBytes(chunk, offset);
      if (end > chunk.length) break;
      this.take(chunk, offset, end);
      offset = end;
    }
    if (offset < chunk.length) this.#begin(chunk.subarray(offset));
  }

  /** Goes on with the held message; gives where in `chunk` the next one begins. */
  #complete(chunk: Uint8Array): number {
    let offset = 0;
    if (this.#message === undefined) {
      offset = Math.min(HEADER_BYTES - this.#held, chunk.length);
      this.#header.set(chunk.subarray(0, offset), this.#held);
      this.#held += offset;
      if (this.#held < HEADER_BYTES) return offset;
      this.#begin(this.#header);
    }
    const message = this.#message!;
    const end = Math.min(offset + message.length - this.#held, chunk.length);
    message.set(chunk.subarray(offset, end), this.#held);
    this.#held += end - offset;
    if (this.#held === message.length) {
      this.#message = undefined;
      this.#held = 0;
      this.take(message, 0, message.length);
    }
    return end;
  }

  #begin(part: Uint8Array): void {
    this.#held = part.length;
    if (part.length < HEADER_BYTES) {
      this.#header.set(part);
      return;
    }
    this.#message = new Uint8Array(messageBytes(part, 0));
    this.#message.set(part);
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
