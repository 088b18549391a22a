import { areNotFinite, isNotFinite } from "../column_type.ts";
import { BOOLEAN, fromText, INTEGER, TEXT, type ValueEncoder } from "../typed/encoder.ts";
import { isoDate, isoTimestamp, parseDate, parseTimestamp } from "../typed/moment.ts";
import { plainMoney } from "../typed/money.ts";
import type { TypeSpec } from "../typed/type_spec.ts";

/** A type as a control record names it; a length only with STRING. */
export interface DmsType {
  readonly type: string;
  readonly length?: number;
}

/** The columns that the filter `non-lob` leaves out. */
export function isLob({ type }: DmsType): boolean {
  return type === "BLOB" || type === "CLOB" || type === "NCLOB";
}

/** What DMS takes for the length of text that has none. */
const NO_LENGTH = 8000;
/** https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.PostgreSQL.html, "data types" */
const TYPES: ReadonlyMap<string, string> = new Map([
  ["boolean", "BOOL"],
  ["smallint", "INT16"],
  ["integer", "INT32"],
  ["bigint", "INT64"],
  ["oid", "INT64"],
  ["real", "FLOAT"],
  ["double precision", "DOUBLE"],
  ["numeric", "NUMERIC"],
  ["money", "NUMERIC"],
  ["date", "DATE32"],
  ["time without time zone", "TIME"],
  ["timestamp without time zone", "TIMESTAMP"],
  ["timestamp with time zone", "TIMESTAMP"],
  ["bytea", "BLOB"],
  ["text", "NCLOB"],
  ["citext", "NCLOB"],
  ["hstore", "NCLOB"],
  ["xml", "CLOB"],
  ["tsvector", "CLOB"],
  ["tsquery", "CLOB"],
]);

export function dmsType({ name, modifiers, element }: TypeSpec): DmsType {
  if (element !== undefined) return { type: "NCLOB" };
  const type = TYPES.get(name);
  return type === undefined ? { type: "STRING", length: lengthOf(name, modifiers) } : { type };
}

function lengthOf(name: string, [length]: readonly number[]): number {
  return /^(?:character|bit)\b/.test(name) ? length ?? NO_LENGTH : NO_LENGTH;
}

/** Numbers keep PostgreSQL's digits, unlike DMS's, which loses those of a numeric and of a bigint. */
const NUMBER: ValueEncoder = {
  json: (text) => isNotFinite(text) ? JSON.stringify(text) : text,
  copy: (bytes, start, end, out) => !areNotFinite(bytes, start) && out.onOneLine(bytes, start, end),
};

const MONEY: ValueEncoder = fromText((text) => plainMoney(text) ?? JSON.stringify(text));

/** Blanks at the end are cut. */
const CHARACTER: ValueEncoder = fromText((text) => JSON.stringify(text.replace(/ +$/, "")));

const DATE_LENGTH = "2026-11-28".length;

/** `"2026-11-28"`; years before Christ and beyond 9999 as a timestamp has them. */
const DATE: ValueEncoder = {
  json(text) {
    const days = parseDate(text);
    return JSON.stringify(days === undefined ? text : isoDate(days));
  },
  copy: (bytes, start, end, out) =>
    end - start === DATE_LENGTH && out.jsonString(bytes, start, end),
};

/** `"2026-11-28T12:00:00.123456Z"`, without decimals when they are zero. */
const TIMESTAMP: ValueEncoder = fromText((text) => {
  const moment = parseTimestamp(text);
  if (moment === undefined) return JSON.stringify(text);
  return `"${isoTimestamp(moment, moment.micros === 0 ? 0 : 6)}Z"`;
});

function bytea(noHexPrefix: boolean): ValueEncoder {
  return fromText((text) =>
    text.startsWith("\\x") ? `"${noHexPrefix ? "" : "0x"}${text.slice(2)}"` : JSON.stringify(text)
  );
}

/** How DMS writes the values of a type. */
export function dmsEncoder({ name, element }: TypeSpec, noHexPrefix: boolean): ValueEncoder {
  if (element !== undefined) return TEXT;
  switch (name) {
    case "boolean":
      return BOOLEAN;
    case "smallint":
    case "integer":
    case "bigint":
    case "oid":
      return INTEGER;
    case "real":
    case "double precision":
    case "numeric":
      return NUMBER;
    case "money":
      return MONEY;
    case "character":
      return CHARACTER;
    case "date":
      return DATE;
    case "timestamp without time zone":
    case "timestamp with time zone":
      return TIMESTAMP;
    case "bytea":
      return bytea(noHexPrefix);
    default:
      return TEXT;
  }
}
