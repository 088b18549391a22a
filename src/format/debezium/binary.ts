import { Buffer } from "node:buffer";
import { fromText, type ValueEncoder } from "../typed/encoder.ts";

/** Base64 of `\x…` (`binary.handling.mode=bytes`). */
export const BYTEA: ValueEncoder = fromText((text) =>
  text.startsWith("\\x")
    ? `"${Buffer.from(text.slice(2), "hex").toString("base64")}"`
    : JSON.stringify(text)
);

/**
 * One bit, as the type says or, where the plugin does not tell its length, as the value does: a boolean. More:
 * base64 of little-endian bytes, as many as the value needs.
 */
export function bitEncoder(modifiers: readonly number[]): ValueEncoder {
  return fromText((text) => (modifiers[0] ?? text.length) === 1 ? boolean(text) : bits(text));
}

/** Of `bit varying`, whose value may be shorter than its type. */
export function varbitEncoder([length]: readonly number[]): ValueEncoder {
  return fromText((text) => length === 1 && text !== "" ? boolean(text) : bits(text));
}

function boolean(text: string): string {
  return text === "1" ? "true" : "false";
}

function bits(text: string): string {
  if (!/^[01]*$/.test(text)) return JSON.stringify(text);
  const needed = text.replace(/^0+/, "");
  const bytes = new Uint8Array(Math.ceil(needed.length / 8));
  for (let bit = 0; bit < needed.length; bit++) {
    if (needed[needed.length - 1 - bit] === "1") bytes[bit >> 3]! |= 1 << (bit & 7);
  }
  return `"${Buffer.from(bytes).toString("base64")}"`;
}
