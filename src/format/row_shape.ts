import {
  type Column,
  ESCAPED_VALUE,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
  UNCHANGED,
} from "../decode/event.ts";
import { columnBudget } from "../decode/column_budget.ts";
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
  /** The same of the inside of a JSON string with escapes. */
  copyEscaped(
    bytes: Uint8Array,
    start: number,
    end: number,
    typeClass: TypeClass,
    out: Utf8Writer,
  ): boolean;
}

/** What a format derives from columns. */
interface Shape<Derived> {
  readonly columns: RowBytes["columns"];
  readonly classes: readonly TypeClass[];
  readonly derived: Derived;
}

/**
 * The shapes of all tables. Those made alike, such as partitions, share one: a shape of its own takes
 * a table some kilobytes, mostly beside the heap.
 */
export class Shapes<Derived> {
  readonly #shapes = new Map<string, Shape<Derived>>();
  #epoch = columnBudget.epoch;
  readonly empty: Shape<Derived>;

  constructor(private readonly derive: (columns: RowBytes["columns"]) => Derived) {
    this.empty = this.of([]);
  }

  of(columns: RowBytes["columns"]): Shape<Derived> {
    if (this.#epoch !== columnBudget.epoch) this.#forget();
    // PostgreSQL has no name with a zero byte.
    let signature = "";
    for (const { name, type } of columns) signature += name + "\0" + type + "\0";
    let shape = this.#shapes.get(signature);
    if (shape === undefined) {
      columnBudget.remember(columns.length);
      shape = {
        // Without the values, which would be kept.
        columns: columns.map(({ name, type }) => ({ name, type })),
        classes: columns.map(({ type }) => classOfType(type)),
        derived: this.derive(columns),
      };
      this.#shapes.set(signature, shape);
    }
    return shape;
  }

  #forget(): void {
    this.#shapes.clear();
    this.#epoch = columnBudget.epoch;
  }
}

/** The shape of one table's rows, which is mostly that of the row before. */
export class RowShape<Derived> {
  /** The shape's, or where a row came as bytes, its very array. */
  #columns: RowBytes["columns"];
  #shape: Shape<Derived>;

  constructor(private readonly shapes: Shapes<Derived>) {
    this.#shape = shapes.empty;
    this.#columns = this.#shape.columns;
  }

  /** Of the columns of the last row. */
  get classes(): readonly TypeClass[] {
    return this.#shape.classes;
  }

  /** What is derived from a row's columns, which are all sent. */
  of(columns: readonly Column[]): Derived {
    if (!this.#fits(columns)) {
      this.#shape = this.shapes.of(columns);
      this.#columns = this.#shape.columns;
    }
    return this.#shape.derived;
  }

  ofBytes({ columns }: RowBytes): Derived {
    if (columns !== this.#columns) {
      this.#shape = this.shapes.of(columns);
      this.#columns = columns;
    }
    return this.#shape.derived;
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
  return columns.every(wasSent) ? columns : columns.filter(wasSent);
}

function wasSent({ value }: Column): boolean {
  return value !== UNCHANGED;
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
  if (form === ESCAPED_VALUE && format.copyEscaped(row.bytes, start, end, typeClass, out)) return;
  // The text shows too whether the bytes are UTF-8 at all.
  out.text(format.text(row.text(index), typeClass));
}
