import { type Column, type ColumnValue, type RowBytes, UNCHANGED } from "../decode/event.ts";
import { classOfType, isNotFinite, type TypeClass } from "./column_type.ts";
import { refuseTooLarge } from "./record_limit.ts";
import type { Utf8Writer } from "./utf8_writer.ts";

/**
 * Writes columns as one JSON object, by their types: booleans as booleans; integers, oid and floats as
 * numbers with every digit, NaN and the infinities as strings; json and jsonb as they are; numeric and
 * everything else as PostgreSQL's text in a string. Unchanged TOAST values are left out.
 *
 * The rows of one table mostly have the same columns, so the text before each value is kept until a
 * row differs.
 */
export class ColumnObject {
  #shape: readonly ShapeColumn[] = [];
  /** The columns that `#shape` was made for, where they came with the bytes of a row. */
  #shapeOf: RowBytes["columns"] | undefined;

  write(columns: readonly Column[], out: Utf8Writer): void {
    const sent = columns.some(isUnchanged) ? columns.filter((c) => !isUnchanged(c)) : columns;
    if (!this.#fits(sent)) {
      this.#shape = sent.map(shapeColumn);
      this.#shapeOf = undefined;
    }
    const start = out.length;
    const shape = this.#shape;
    for (let i = 0; i < shape.length; i++) {
      out.copy(shape[i]!.before);
      out.text(valueText(sent[i]!.value, shape[i]!.class));
      refuseTooLarge(out.length - start);
    }
    out.text(shape.length === 0 ? "{}" : "}");
  }

  /** The same of a row that is still bytes. */
  writeBytes(row: RowBytes, out: Utf8Writer): void {
    if (row.columns !== this.#shapeOf) {
      this.#shape = row.columns.map(shapeColumn);
      this.#shapeOf = row.columns;
    }
    const start = out.length;
    const shape = this.#shape;
    for (let i = 0; i < shape.length; i++) {
      out.copy(shape[i]!.before);
      writeValue(row, i, shape[i]!.class, out);
      refuseTooLarge(out.length - start);
    }
    out.text(shape.length === 0 ? "{}" : "}");
  }

  #fits(columns: readonly Column[]): boolean {
    const shape = this.#shape;
    if (columns.length !== shape.length) return false;
    for (let i = 0; i < shape.length; i++) {
      if (columns[i]!.name !== shape[i]!.name || columns[i]!.type !== shape[i]!.type) return false;
    }
    return true;
  }
}

interface ShapeColumn {
  readonly name: string;
  readonly type: string;
  readonly class: TypeClass;
  /** What stands before the value, as UTF-8. */
  readonly before: Uint8Array;
}

const encoder = new TextEncoder();

/** Tables share these: bytes of its own for each column would take several kB a table. */
const shapeColumns = new Map<string, ShapeColumn>();
/** A database that makes columns for ever must not fill the memory. */
const MAX_SHARED = 10_000;

function shapeColumn({ name, type }: Pick<Column, "name" | "type">, index: number): ShapeColumn {
  const before = (index === 0 ? "{" : ",") + JSON.stringify(name) + ":";
  const key = before + type;
  let column = shapeColumns.get(key);
  if (column === undefined) {
    if (shapeColumns.size >= MAX_SHARED) shapeColumns.clear();
    column = { name, type, class: classOfType(type), before: encoder.encode(before) };
    shapeColumns.set(key, column);
  }
  return column;
}

function isUnchanged({ value }: Column): boolean {
  return value === UNCHANGED;
}

function valueText(value: ColumnValue, typeClass: TypeClass): string {
  if (typeof value !== "string") return "null";
  refuseTooLarge(value.length);
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
}

/** One record is one line: `json` keeps its text, in which newlines can only stand between tokens. */
function onOneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replace(/[\r\n]/g, " ") : json;
}

function writeValue(row: RowBytes, index: number, typeClass: TypeClass, out: Utf8Writer): void {
  const start = row.places[2 * index]!, end = row.places[2 * index + 1]!;
  if (start === -1) return out.text("null");
  refuseTooLarge(end - start);
  // What cannot be copied goes by way of its text, which also shows whether it is UTF-8 at all.
  if (!copyValue(row.bytes, start, end, typeClass, out)) {
    out.text(valueText(row.text(index), typeClass));
  }
}

function copyValue(
  bytes: Uint8Array,
  start: number,
  end: number,
  typeClass: TypeClass,
  out: Utf8Writer,
): boolean {
  switch (typeClass) {
    case "integer":
    case "json":
      return out.onOneLine(bytes, start, end);
    case "numeric":
    case "bytea":
    case "text":
      return out.jsonString(bytes, start, end);
    case "float":
    case "boolean":
      return false;
    default:
      return typeClass satisfies never;
  }
}
