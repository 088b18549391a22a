import { Buffer } from "node:buffer";

/** As `java.math.BigInteger.toByteArray` gives it: big-endian, two's complement, the fewest bytes; in base64. */
export function integerBase64(integer: string): string {
  return integer.length <= SAFE_DIGITS
    ? safeIntegerBase64(Number(integer))
    : Buffer.from(ofBigInt(BigInt(integer))).toString("base64");
}

/** Every integer of so many characters is a safe one. */
const SAFE_DIGITS = 15;

/** The same of a safe integer, without a buffer for its few bytes. */
export function safeIntegerBase64(value: number): string {
  let length = 1;
  for (let limit = 0x80; value >= limit || value < -limit; limit *= 0x100) length++;
  let rest = value;
  for (let at = length - 1; at >= 0; at--) {
    const next = Math.floor(rest / 0x100);
    few[at] = rest - next * 0x100;
    rest = next;
  }
  let text = "";
  for (let at = 0; at < length; at += 3) {
    const left = length - at;
    const group = few[at]! << 16 | (left > 1 ? few[at + 1]! << 8 : 0) |
      (left > 2 ? few[at + 2]! : 0);
    text += DIGITS[group >> 18]! + DIGITS[group >> 12 & 0x3F]! +
      (left > 1 ? DIGITS[group >> 6 & 0x3F]! : "=") + (left > 2 ? DIGITS[group & 0x3F]! : "=");
  }
  return text;
}

const few = new Uint8Array(8);
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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
