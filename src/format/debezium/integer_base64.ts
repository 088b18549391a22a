import { Buffer } from "node:buffer";

/** As `java.math.BigInteger.toByteArray` gives it: big-endian, two's complement, the fewest bytes; in base64. */
export function integerBase64(integer: string): string {
  const value = integer.length <= SAFE_DIGITS ? Number(integer) : BigInt(integer);
  return Buffer.from(typeof value === "number" ? ofNumber(value) : ofBigInt(value))
    .toString("base64");
}

/** Every integer of so many characters is a safe one. */
const SAFE_DIGITS = 15;

function ofNumber(value: number): Uint8Array {
  let length = 1;
  for (let limit = 0x80; value >= limit || value < -limit; limit *= 0x100) length++;
  const bytes = new Uint8Array(length);
  for (let at = length - 1, rest = value; at >= 0; at--) {
    const next = Math.floor(rest / 0x100);
    bytes[at] = rest - next * 0x100;
    rest = next;
  }
  return bytes;
}

function ofBigInt(value: bigint): Uint8Array {
  const magnitude = value < 0n ? -value - 1n : value;
  const hex = magnitude.toString(16);
  const length = Math.ceil((hex.length * 4 + 1 - (4 - bitsOf(hex))) / 8);
  const bytes = Buffer.from(hex.padStart(length * 2, "0"), "hex");
  return value < 0n ? bytes.map((byte) => ~byte) : bytes;
}

/** Of the first digit. */
function bitsOf(hex: string): number {
  return 32 - Math.clz32(parseInt(hex[0]!, 16));
}
