import { type Column, type ColumnValue, UNCHANGED } from "../decode/event.ts";
import { classOfType, isNotFinite, type TypeClass } from "./column_type.ts";
import { refuseTooLarge } from "./record_limit.ts";

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

  write(columns: readonly Column[]): string {
    const shape = this.#shape;
    if (columns.length === shape.length) {
      let text = "";
      let i = 0;
      for (; i < shape.length; i++) {
        const { name, type, value } = columns[i]!;
        const expected = shape[i]!;
        if (name !== expected.name || type !== expected.type || value === UNCHANGED) break;
        text += expected.before + valueText(value, expected.class);
        refuseTooLarge(text.length);
      }
      if (i === shape.length) return i === 0 ? "{}" : text + "}";
    }
    this.#shape = columns.filter(({ value }) => value !== UNCHANGED).map(shapeColumn);
    return this.write(columns.filter(({ value }) => value !== UNCHANGED));
  }
}

interface ShapeColumn {
  readonly name: string;
  readonly type: string;
  readonly class: TypeClass;
  /** What stands before the value. */
  readonly before: string;
}

function shapeColumn({ name, type }: Column, index: number): ShapeColumn {
  const before = (index === 0 ? "{" : ",") + JSON.stringify(name) + ":";
  return { name, type, class: classOfType(type), before };
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
