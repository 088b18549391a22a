/**
 * The wire format of protobuf, as far as aggregated records need it: varints below 2^32 and fields
 * with a length. https://protobuf.dev/programming-guides/encoding/
 */

export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Writes `value` at `offset` and returns the offset after it. */
export function writeVarint(buffer: Uint8Array, offset: number, value: number): number {
  while (value >= 0x80) {
    buffer[offset++] = (value & 0x7F) | 0x80;
    value >>>= 7;
  }
  buffer[offset++] = value;
  return offset;
}

/** Reads forward through bytes that were written here: nothing is checked. */
export class ProtobufReader {
  constructor(readonly buffer: Uint8Array, public offset: number) {}

  varint(): number {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      const byte = this.buffer[this.offset++]!;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
}
