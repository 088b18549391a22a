import type { Column, RowBytes } from "../decode/event.ts";
import { areNotFinite, isNotFinite } from "./column_type.ts";
import { refuseTooLarge } from "./record_limit.ts";
import {
  RowShape,
  sentColumns,
  Shapes,
  type ValueFormat,
  writeValue,
  writeValueBytes,
} from "./row_shape.ts";
import { Utf8Writer } from "./utf8_writer.ts";

/**
 * Writes columns as one JSON object, by their types: booleans as booleans; integers, oid and floats as
 * numbers with every digit, NaN and the infinities as strings; json and jsonb as they are; numeric and
 * everything else as PostgreSQL's text in a string. Unchanged TOAST values are left out.
 */
export class ColumnObject {
  readonly #shape = new RowShape(NAMES);

  write(columns: readonly Column[], out: Utf8Writer): void {
    const sent = sentColumns(columns);
    const { text, ends } = this.#shape.of(sent);
    const { classes } = this.#shape;
    const start = out.length;
    let from = 0;
    for (let i = 0; i < sent.length; i++) {
      out.copy(text, from, ends[i]);
      from = ends[i]!;
      writeValue(sent[i]!, classes[i]!, VALUES, out);
      refuseTooLarge(out.length - start);
    }
    out.copy(text, from);
  }

  /** The same of a row that is still bytes. */
  writeBytes(row: RowBytes, out: Utf8Writer): void {
    const { text, ends } = this.#shape.ofBytes(row);
    const { classes } = this.#shape;
    const start = out.length;
    let from = 0;
    for (let i = 0; i < ends.length; i++) {
      out.copy(text, from, ends[i]);
      from = ends[i]!;
      writeValueBytes(row, i, classes[i]!, VALUES, out);
      refuseTooLarge(out.length - start);
    }
    out.copy(text, from);
  }
}

/** All that stands between the values, as UTF-8: before each of them, up to its end, and behind the last. */
interface Names {
  readonly text: Uint8Array;
  readonly ends: readonly number[];
}

const NAMES = new Shapes(writeNames);

function writeNames(columns: RowBytes["columns"]): Names {
  const out = new Utf8Writer(256);
  const ends = columns.map(({ name }, index) => {
    out.text((index === 0 ? "{" : ",") + JSON.stringify(name) + ":");
    return out.length;
  });
  out.text(columns.length === 0 ? "{}" : "}");
  return { text: out.written.slice(), ends };
}

const VALUES: ValueFormat = {
  text(value, typeClass) {
    if (value === null) return "null";
    switch (typeClass) {
      case "integer":
      case "boolean":
        return value;
      case "float":
        return isNotFinite(value) ? '"' + value + '"' : value;
      case "json":
        return onOneLine(value);
      case "numeric":
      case "bytea":
      case "text":
        return JSON.stringify(value);
      default:
        return typeClass satisfies never;
    }
  },

  copy(bytes, start, end, typeClass, out) {
    switch (typeClass) {
      case "integer":
      case "boolean":
      case "json":
        return out.onOneLine(bytes, start, end);
      case "float":
        return !areNotFinite(bytes, start) && out.onOneLine(bytes, start, end);
      case "numeric":
      case "bytea":
      case "text":
        return out.jsonString(bytes, start, end);
      default:
        return typeClass satisfies never;
    }
  },

  copyEscaped: (bytes, start, end, typeClass, out) =>
    typeClass === "text" && out.escapedJsonString(bytes, start, end),
};

/** One record is one line: `json` keeps its text, in which newlines can only stand between tokens. */
function onOneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replace(/[\r\n]/g, " ") : json;
}
