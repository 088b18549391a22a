import type { Lsn } from "../../base/lsn.ts";
import { readUint64, type XLogData } from "../../base/replication_message.ts";
import { DecodeError } from "../decoder.ts";
import { decodeUtf8 } from "../utf8.ts";

/** Reads the integers and strings of a pgoutput message, all in network byte order, front to back. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;

  /**
   * `position` is one in the message's `bytes`. `ownLsn` stands in errors for the message's own, which some
   * messages do not have.
   */
  constructor(readonly message: XLogData, public position: number, private readonly ownLsn?: Lsn) {
    this.#bytes = message.bytes;
    this.#end = message.end;
  }

  get lsn(): Lsn {
    return this.ownLsn ?? this.message.walStart;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  uint16(): number {
    return readUint16(this.#bytes, this.#take(2));
  }

  uint32(): number {
    return readUint32(this.#bytes, this.#take(4));
  }

  int32(): number {
    return readUint32(this.#bytes, this.#take(4)) | 0;
  }

  uint64(): bigint {
    return readUint64(this.#bytes, this.#take(8));
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** Passes over what is not needed. */
  skip(length: number): void {
    this.#take(length);
  }

  /** A string that ends with a zero byte. */
  string(): string {
    const start = this.position;
    const end = this.#bytes.indexOf(0, start);
    if (end === -1 || end >= this.#end) this.fail("a string without an end");
    const text = decodeUtf8(this.#bytes, start, end);
    if (text === undefined) this.fail("a string that is not UTF-8");
    this.position = end + 1;
    return text;
  }

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  end(): void {
    if (this.position !== this.#end) this.fail("something after the end");
  }

  fail(what: string): never {
    throw new DecodeError("pgoutput", this.lsn, this.position - this.message.dataStart, what);
  }

  #take(length: number): number {
    const start = this.position;
    if (start + length > this.#end) this.fail("the message is cut off");
    this.position = start + length;
    return start;
  }
}

/** `position` is one in the message's `bytes`. */
export function failAt(message: XLogData, position: number, what: string): never {
  throw new DecodeError("pgoutput", message.walStart, position - message.dataStart, what);
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>>
    0;
}
