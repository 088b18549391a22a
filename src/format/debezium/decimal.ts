import type { DebeziumOptions } from "../../options.ts";
import { fromText, TEXT, type ValueEncoder } from "../typed/encoder.ts";
import { plainMoney } from "../typed/money.ts";
import { floatJson } from "./float.ts";
import type { Utf8Writer } from "../utf8_writer.ts";
import { integerBase64, safeIntegerBase64 } from "./integer_base64.ts";

/** `decimal.handling.mode` */
export type DecimalMode = DebeziumOptions["decimals"];

/** `1234.50`, and `1e+20` of a float: sign, digits before and behind the point. */
const DECIMAL = /^(-?)(\d+)(?:\.(\d*))?$/;

/** NaN and the infinities as Debezium's string mode writes them; in its precise mode they stop it. */
const SPECIAL: Readonly<Record<string, string>> = {
  NaN: '"NAN"',
  Infinity: '"POSITIVE_INFINITY"',
  "-Infinity": '"NEGATIVE_INFINITY"',
};

/** `modifiers` are precision and scale; none for a numeric without. */
export function numericEncoder(mode: DecimalMode, modifiers: readonly number[]): ValueEncoder {
  switch (mode) {
    case "string":
      return { ...TEXT, json: (text) => SPECIAL[text] ?? JSON.stringify(text), copy: copyFinite };
    case "double":
      return fromText(floatJson);
    case "precise": {
      const [precision, scale = 0] = modifiers;
      if (precision === undefined) {
        return { json: (text) => SPECIAL[text] ?? variableScale(text), copy: copyVariable };
      }
      return {
        json: (text) => SPECIAL[text] ?? fixedScale(text, scale),
        copy: (bytes, start, end, out) => copyFixed(bytes, start, end, scale, out),
      };
    }
  }
}

/** In a locale whose `money` is not understood it stays text. */
export function moneyEncoder(mode: DecimalMode): ValueEncoder {
  return fromText((text) => {
    const plain = plainMoney(text);
    if (plain === undefined) return JSON.stringify(text);
    switch (mode) {
      case "string":
        return JSON.stringify(plain);
      case "double":
        return floatJson(plain);
      case "precise":
        return fixedScale(plain, MONEY_SCALE);
    }
  });
}

/** `money.fraction.digits` */
const MONEY_SCALE = 2;

/** The unscaled integer in base64, without its scale. */
function fixedScale(text: string, scale: number): string {
  const match = DECIMAL.exec(text);
  if (match === null) return JSON.stringify(text);
  const [, sign, whole, fraction = ""] = match;
  if (scale >= 0 && fraction.length <= scale) {
    return base64String(sign + whole! + fraction.padEnd(scale, "0"));
  }
  // numeric(3,-2) holds whole hundreds.
  const digits = whole! + fraction;
  const kept = digits.length - (fraction.length - scale);
  if (/[^0]/.test(digits.slice(Math.max(0, kept)))) return JSON.stringify(text);
  return base64String(sign + (digits.slice(0, Math.max(0, kept)) || "0"));
}

/** Few digits, as many behind the point as the column has; anything else is read as text. */
function copyFixed(
  ...[bytes, start, end, scale, out]: [Uint8Array, number, number, number, Utf8Writer]
): boolean {
  const value = readFew(bytes, start, end);
  if (value === undefined || fewScale !== scale) return false;
  out.text(`"${safeIntegerBase64(value)}"`);
  return true;
}

function copyVariable(
  ...[bytes, start, end, out]: [Uint8Array, number, number, Utf8Writer]
): boolean {
  // Not the zeros behind the point.
  let last = end;
  if (bytes.subarray(start, end).includes(DOT)) {
    while (bytes[last - 1] === ZERO) last--;
    if (bytes[last - 1] === DOT) last--;
  }
  const value = readFew(bytes, start, last);
  if (value === undefined) return false;
  out.text(`{"scale":${fewScale},"value":"${safeIntegerBase64(value)}"}`);
  return true;
}

/** Digits behind the point of what `readFew` read. */
let fewScale = 0;

/** The unscaled integer of a short number; undefined: it is none, or too long. */
function readFew(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (end - start > SAFE_CHARACTERS) return undefined;
  const isNegative = bytes[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  if (first >= end) return undefined;
  let value = 0;
  let point = end;
  for (let at = first; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
    else if (bytes[at] === DOT && point === end) point = at;
    else return undefined;
  }
  fewScale = point === end ? 0 : end - point - 1;
  return isNegative ? -value : value;
}

const MINUS = 0x2D, DOT = 0x2E, ZERO = 0x30;
/** A decimal number of so many characters has a safe integer as its digits. */
const SAFE_CHARACTERS = 16;

/** `{"scale":4,"value":"AYr3"}`, without zeros at the end. */
function variableScale(text: string): string {
  const match = DECIMAL.exec(text);
  if (match === null) return JSON.stringify(text);
  const [, sign, whole, fraction = ""] = match;
  const kept = fraction.replace(/0+$/, "");
  return `{"scale":${kept.length},"value":${base64String(sign + whole! + kept)}}`;
}

function base64String(integer: string): string {
  return `"${integerBase64(integer)}"`;
}

function copyFinite(...[bytes, start, end, out]: Parameters<ValueEncoder["copy"]>): boolean {
  const first = bytes[start]!;
  const isDigit = (code: number) => code >= ZERO && code <= ZERO + 9;
  const isFinite = isDigit(first) || (first === MINUS && isDigit(bytes[start + 1]!));
  return isFinite && out.jsonString(bytes, start, end);
}
