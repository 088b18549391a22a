import { type Column, NO_VALUE, PLAIN_VALUE, type RowBytes, UNCHANGED } from "../decode/event.ts";
import { classOfType, type TypeClass } from "./column_type.ts";
import { refuseTooLarge } from "./record_limit.ts";
import type { Utf8Writer } from "./utf8_writer.ts";

/** How a format writes values. */
export interface ValueFormat {
  /** A value as text, by its type; null is SQL NULL. */
  text(value: string | null, typeClass: TypeClass): string;
  /** Copies a value's bytes; false, with nothing written, where only its text will do. */
  copy(
    bytes: Uint8Array,
    start: number,
    end: number,
    typeClass: TypeClass,
    out: Utf8Writer,
  ): boolean;
}

/**
 * The columns of the rows of one table, which are mostly those of the row before: what a format derives
 * from them is kept until they change. Small, since a database may have very many tables.
 */
export class RowShape<Derived> {
  /** Where a row came as bytes, its very array. */
  #columns: RowBytes["columns"] = [];
  #classes: readonly TypeClass[] = [];
  #derived: Derived;

  constructor(private readonly derive: (columns: RowBytes["columns"]) => Derived) {
    this.#derived = derive([]);
  }

  /** Of the columns of the last row. */
  get classes(): readonly TypeClass[] {
    return this.#classes;
  }

  /** What is derived from a row's columns, which are all sent. */
  of(columns: readonly Column[]): Derived {
    // Without the values, which would be kept.
    if (!this.#fits(columns)) this.#take(columns.map(({ name, type }) => ({ name, type })));
    return this.#derived;
  }

  ofBytes({ columns }: RowBytes): Derived {
    if (columns !== this.#columns) this.#take(columns);
    return this.#derived;
  }

  #take(columns: RowBytes["columns"]): void {
    this.#columns = columns;
    this.#classes = columns.map(({ type }) => classOfType(type));
    this.#derived = this.derive(columns);
  }

  #fits(columns: readonly Column[]): boolean {
    const shape = this.#columns;
    if (columns.length !== shape.length) return false;
    for (let i = 0; i < shape.length; i++) {
      if (columns[i]!.name !== shape[i]!.name || columns[i]!.type !== shape[i]!.type) return false;
    }
    return true;
  }
}

/** Without the unchanged TOAST values. */
export function sentColumns(columns: readonly Column[]): readonly Column[] {
  const wasSent = ({ value }: Column) => value !== UNCHANGED;
  return columns.every(wasSent) ? columns : columns.filter(wasSent);
}

export function writeValue(
  { value }: Column,
  typeClass: TypeClass,
  format: ValueFormat,
  out: Utf8Writer,
): void {
  if (typeof value !== "string") return out.text(format.text(null, typeClass));
  refuseTooLarge(value.length);
  out.text(format.text(value, typeClass));
}

/** The same of a value that is still bytes. */
export function writeValueBytes(
  row: RowBytes,
  index: number,
  typeClass: TypeClass,
  format: ValueFormat,
  out: Utf8Writer,
): void {
  const form = row.forms[index];
  if (form === NO_VALUE) return out.text(format.text(null, typeClass));
  const start = row.places[2 * index]!, end = row.places[2 * index + 1]!;
  refuseTooLarge(end - start);
  if (form === PLAIN_VALUE && format.copy(row.bytes, start, end, typeClass, out)) return;
  // The text shows too whether the bytes are UTF-8 at all.
  out.text(format.text(row.text(index), typeClass));
}
