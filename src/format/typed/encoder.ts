import type { Utf8Writer } from "../utf8_writer.ts";

/** Writes the values of one type as JSON. */
export interface ValueEncoder {
  /** The JSON of a value that is not NULL, given as PostgreSQL's text. */
  json(text: string): string;
  /** The same of a value that is still bytes; false, with nothing written, where only `json` will do. */
  copy(bytes: Uint8Array, start: number, end: number, out: Utf8Writer): boolean;
}

/** For types whose bytes must be understood before they can be written. */
export function fromText(json: (text: string) => string): ValueEncoder {
  return { json, copy: () => false };
}

/** PostgreSQL's text as a JSON string. */
export const TEXT: ValueEncoder = {
  json: JSON.stringify,
  copy: (bytes, start, end, out) => out.jsonString(bytes, start, end),
};

/** `true` and `false`; `t` and `f` in arrays, and with pgoutput in domains. */
export const BOOLEAN: ValueEncoder = {
  json(text) {
    if (text === "true" || text === "t") return "true";
    return text === "false" || text === "f" ? "false" : JSON.stringify(text);
  },
  copy: (bytes, start, end, out) => end > start + 1 && out.onOneLine(bytes, start, end),
};

/** An integer of any length; what is none, as a string. */
export const INTEGER: ValueEncoder = {
  json: (text) => /^-?\d+$/.test(text) ? text : JSON.stringify(text),
  copy: (bytes, start, end, out) => out.onOneLine(bytes, start, end),
};
