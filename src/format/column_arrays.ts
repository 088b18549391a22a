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
import type { Utf8Writer } from "./utf8_writer.ts";

/** What wal2json's format 1 calls its three arrays. */
interface ArrayNames {
  readonly names: string;
  readonly types: string;
  readonly values: string;
}

/** The first two arrays and the beginning of the third, as UTF-8. */
type Arrays = Shapes<Uint8Array>;

export const COLUMNS = newArrays({
  names: "columnnames",
  types: "columntypes",
  values: "columnvalues",
});

export const OLD_KEYS = newArrays({ names: "keynames", types: "keytypes", values: "keyvalues" });

function newArrays(names: ArrayNames): Arrays {
  return new Shapes((columns) => writeNamesAndTypes(columns, names));
}

/** Writes columns as the three arrays of wal2json's format 1, which leaves out unchanged TOAST values. */
export class ColumnArrays {
  readonly #shape: RowShape<Uint8Array>;

  constructor(arrays: Arrays) {
    this.#shape = new RowShape(arrays);
  }

  write(columns: readonly Column[], out: Utf8Writer): void {
    const sent = sentColumns(columns);
    out.copy(this.#shape.of(sent));
    const start = out.length;
    for (let i = 0; i < sent.length; i++) {
      if (i > 0) out.text(",");
      writeValue(sent[i]!, this.#shape.classes[i]!, VALUES, out);
      refuseTooLarge(out.length - start);
    }
    out.text("]");
  }

  /** The same of a row that is still bytes. */
  writeBytes(row: RowBytes, out: Utf8Writer): void {
    out.copy(this.#shape.ofBytes(row));
    const { classes } = this.#shape;
    const start = out.length;
    for (let i = 0; i < classes.length; i++) {
      if (i > 0) out.text(",");
      writeValueBytes(row, i, classes[i]!, VALUES, out);
      refuseTooLarge(out.length - start);
    }
    out.text("]");
  }
}

function writeNamesAndTypes(
  columns: RowBytes["columns"],
  { names, types, values }: ArrayNames,
): Uint8Array {
  const list = (texts: string[]) => texts.map((text) => JSON.stringify(text)).join(",");
  return new TextEncoder().encode(
    `"${names}":[${list(columns.map(({ name }) => name))}],` +
      `"${types}":[${list(columns.map(({ type }) => type))}],"${values}":[`,
  );
}

/** As `tuple_to_stringinfo` of wal2json.c prints them. */
const VALUES: ValueFormat = {
  text(value, typeClass) {
    if (value === null) return "null";
    switch (typeClass) {
      case "integer":
      case "boolean":
        return value;
      case "float":
      case "numeric":
        return isNotFinite(value) ? "null" : value;
      case "bytea":
        return '"' + value.slice(2) + '"';
      case "json":
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
        return out.onOneLine(bytes, start, end);
      case "float":
      case "numeric":
        return !areNotFinite(bytes, start) && out.onOneLine(bytes, start, end);
      case "bytea":
        return out.jsonString(bytes, start + 2, end);
      case "json":
      case "text":
        return out.jsonString(bytes, start, end);
      default:
        return typeClass satisfies never;
    }
  },

  copyEscaped: (bytes, start, end, typeClass, out) =>
    (typeClass === "json" || typeClass === "text") && out.escapedJsonString(bytes, start, end),
};
