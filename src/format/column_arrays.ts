import { type Column, type ColumnValue, UNCHANGED } from "../decode/event.ts";
import { classOfType, isNotFinite, type TypeClass } from "./column_type.ts";
import { refuseTooLarge } from "./record_limit.ts";

/** What wal2json's format 1 calls its three arrays. */
export interface ArrayNames {
  readonly names: string;
  readonly types: string;
  readonly values: string;
}

export const COLUMNS: ArrayNames = {
  names: "columnnames",
  types: "columntypes",
  values: "columnvalues",
};

export const OLD_KEYS: ArrayNames = { names: "keynames", types: "keytypes", values: "keyvalues" };

/**
 * Writes columns as the three arrays of wal2json's format 1. The rows of one table mostly have the
 * same columns, so the text of the first two arrays is kept until a row differs.
 */
export class ColumnArrays {
  #shape: readonly ShapeColumn[] = [];
  #namesAndTypes: string;

  constructor(private readonly arrays: ArrayNames) {
    this.#namesAndTypes = this.#writeNamesAndTypes();
  }

  /** Unchanged TOAST values are left out, as wal2json does. */
  write(columns: readonly Column[]): string {
    const shape = this.#shape;
    let values = "";
    if (columns.length === shape.length) {
      let i = 0;
      for (; i < shape.length; i++) {
        const { name, type, value } = columns[i]!;
        const expected = shape[i]!;
        if (name !== expected.name || type !== expected.type || value === UNCHANGED) break;
        const text = valueText(value, expected.class);
        values += i === 0 ? text : "," + text;
        refuseTooLarge(values.length);
      }
      if (i === shape.length) return this.#namesAndTypes + values + "]";
    }
    return this.#writeNewShape(columns.filter(({ value }) => value !== UNCHANGED));
  }

  #writeNewShape(columns: readonly Column[]): string {
    this.#shape = columns.map(({ name, type }) => ({ name, type, class: classOfType(type) }));
    this.#namesAndTypes = this.#writeNamesAndTypes();
    return this.write(columns);
  }

  #writeNamesAndTypes(): string {
    const { names, types, values } = this.arrays;
    const list = (texts: string[]) => texts.map((text) => JSON.stringify(text)).join(",");
    return `"${names}":[${list(this.#shape.map(({ name }) => name))}],` +
      `"${types}":[${list(this.#shape.map(({ type }) => type))}],"${values}":[`;
  }
}

interface ShapeColumn {
  readonly name: string;
  readonly type: string;
  readonly class: TypeClass;
}

/** A value as `tuple_to_stringinfo` of wal2json.c prints it. */
function valueText(value: ColumnValue, typeClass: TypeClass): string {
  if (typeof value !== "string") return "null";
  refuseTooLarge(value.length);
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
}
