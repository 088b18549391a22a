import { isNotFinite } from "../column_type.ts";
import type { ValueEncoder } from "../typed/encoder.ts";

const DOT = 0x2E, SMALL_E = 0x65;

/**
 * With a fraction or an exponent, as Java prints it, so that a reader without a schema sees a float; with all
 * the digits that PostgreSQL prints.
 */
export function floatJson(text: string): string {
  if (isNotFinite(text)) return JSON.stringify(text);
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(text)) return JSON.stringify(text);
  return /[.e]/.test(text) ? text : text + ".0";
}

export const FLOAT: ValueEncoder = {
  json: floatJson,
  copy(bytes, start, end, out) {
    for (let at = start; at < end; at++) {
      if (bytes[at] === DOT || bytes[at] === SMALL_E) return out.onOneLine(bytes, start, end);
    }
    // A whole number, NaN or an infinity.
    return false;
  },
};
