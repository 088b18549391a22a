/** What came is nothing that a PostgreSQL server says to somebody who logs in. */
export class StrangeAnswer extends Error {
  override name = "StrangeAnswer";
}

/** libpq's own bounds, in bytes of the length word: fe-connect.c and fe-protocol3.c. */
const MIN_LENGTH = 8;
const MAX_REQUEST_LENGTH = 2000;
const MAX_OTHER_LENGTH = 30_000;

const HEADER_BYTES = 5;
const REQUEST_HEADER_BYTES = 9;

const AUTHENTICATION = "R".charCodeAt(0);
const ERROR_RESPONSE = "E".charCodeAt(0);
const NEGOTIATE_PROTOCOL_VERSION = "v".charCodeAt(0);

/**
 * Watches the lengths of messages as they come until the server is ready, so that one who is not
 * believed yet cannot make us hold more than a server ever says. Keeps no message.
 */
export class LoginBounds {
  readonly #header = new Uint8Array(REQUEST_HEADER_BYTES);
  #held = 0;
  /** Bytes of the present message that are still to come. */
  #rest = 0;
  #isAuthenticated = false;

  /** @throws {StrangeAnswer} */
  take(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, chunk.length - offset);
        this.#rest -= skipped;
        offset += skipped;
        continue;
      }
      this.#header[this.#held++] = chunk[offset++]!;
      // A stranger that is no server is known by the first byte, before it has sent any length.
      if (this.#held === 1) this.#checkType();
      if (this.#held < HEADER_BYTES) continue;
      const length = this.#checkLength();
      if (this.#header[0] === AUTHENTICATION) {
        if (this.#held < REQUEST_HEADER_BYTES) continue;
        if (uint32(this.#header, HEADER_BYTES) === 0) this.#isAuthenticated = true;
      }
      this.#rest = 1 + length - this.#held;
      this.#held = 0;
    }
  }

  #checkType(): void {
    const type = this.#header[0]!;
    const isExpected = type === AUTHENTICATION || type === ERROR_RESPONSE ||
      type === NEGOTIATE_PROTOCOL_VERSION;
    if (this.#isAuthenticated || isExpected) return;
    throw new StrangeAnswer(
      `what answers does not ask for a login, but sends a message of type ${
        shown(type)
      }; is that ` +
        "PostgreSQL?",
    );
  }

  #checkLength(): number {
    const type = this.#header[0]!;
    const length = uint32(this.#header, 1);
    const isRequest = type === AUTHENTICATION || type === NEGOTIATE_PROTOCOL_VERSION;
    const min = this.#isAuthenticated && !isRequest ? 4 : MIN_LENGTH;
    const max = isRequest ? MAX_REQUEST_LENGTH : MAX_OTHER_LENGTH;
    if (length >= min && length <= max) return length;
    throw new StrangeAnswer(
      `what answers sends a message of type ${
        shown(type)
      } and ${length} bytes before the login is ` +
        `done, where PostgreSQL's have ${min} to ${max}; is that PostgreSQL?`,
    );
  }
}

function uint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer).getUint32(offset);
}

const shown = (type: number) =>
  type > 0x20 && type < 0x7f ? JSON.stringify(String.fromCharCode(type)) : String(type);
