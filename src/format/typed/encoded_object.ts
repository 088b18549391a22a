import {
  type Column,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
  UNCHANGED,
} from "../../decode/event.ts";
import { refuseTooLarge } from "../record_limit.ts";
import { RowShape, Shapes } from "../row_shape.ts";
import { Utf8Writer } from "../utf8_writer.ts";
import type { ValueEncoder } from "./encoder.ts";

/** How a format writes the columns of a type. */
export interface ColumnEncoding {
  readonly encoder: ValueEncoder;
  /** The JSON that stands for a value that was not sent; undefined: the column is left out. */
  readonly unchanged: string | undefined;
}

/** By a type's name as the plugin gives it. */
export type EncodingOf = (type: string) => ColumnEncoding;

/** What is derived from a table's columns once. */
interface Encoded {
  /** `"name":` of each column, one behind the other, up to its end. */
  readonly names: Uint8Array;
  readonly ends: readonly number[];
  readonly encodings: readonly ColumnEncoding[];
}

/** The shapes of all tables of one format. */
export function encodedShapes(encodingOf: EncodingOf): Shapes<Encoded> {
  return new Shapes((columns) => {
    const out = new Utf8Writer(256);
    const ends = columns.map(({ name }) => {
      out.text(JSON.stringify(name) + ":");
      return out.length;
    });
    return {
      names: out.written.slice(),
      ends,
      encodings: columns.map(({ type }) => encodingOf(type)),
    };
  });
}

/** Which columns are left out beside those that were not sent. */
export type Leave = "nothing" | "nulls and empty texts";

/** Writes the rows of one table as JSON objects, each value as the format has its type. */
export class EncodedObject {
  readonly #shape: RowShape<Encoded>;

  constructor(shapes: Shapes<Encoded>, private readonly leave: Leave = "nothing") {
    this.#shape = new RowShape(shapes);
  }

  /** Throws what `encodingOf` throws, if it must, before anything is written. */
  prepare(columns: readonly Column[]): void {
    this.#shape.of(columns);
  }

  write(columns: readonly Column[], out: Utf8Writer): void {
    const { names, ends, encodings } = this.#shape.of(columns);
    const start = out.length;
    let isFirst = true;
    for (let i = 0; i < columns.length; i++) {
      const { value } = columns[i]!;
      const { encoder, unchanged } = encodings[i]!;
      if (value === UNCHANGED && unchanged === undefined) continue;
      if (this.leave !== "nothing" && (value === null || value === "")) continue;
      out.text(isFirst ? "{" : ",");
      isFirst = false;
      out.copy(names, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
      if (value === null) out.text("null");
      else if (value === UNCHANGED) out.text(unchanged!);
      else {
        refuseTooLarge(value.length);
        out.text(encoder.json(value));
      }
      refuseTooLarge(out.length - start);
    }
    out.text(isFirst ? "{}" : "}");
  }

  /** The same of a row that is still bytes. */
  writeBytes(row: RowBytes, out: Utf8Writer): void {
    const { names, ends, encodings } = this.#shape.ofBytes(row);
    const start = out.length;
    let isFirst = true;
    for (let i = 0; i < ends.length; i++) {
      const form = row.forms[i]!;
      const from = row.places[2 * i]!, to = row.places[2 * i + 1]!;
      if (this.leave !== "nothing") {
        // wal2json writes an empty bytea as nothing, too.
        if (form === NO_VALUE || (from === to && row.text(i) === "")) continue;
      }
      out.text(isFirst ? "{" : ",");
      isFirst = false;
      out.copy(names, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
      if (form === NO_VALUE) {
        out.text("null");
        continue;
      }
      refuseTooLarge(to - from);
      const { encoder } = encodings[i]!;
      if (form !== PLAIN_VALUE || !encoder.copy(row.bytes, from, to, out)) {
        // The text shows too whether the bytes are UTF-8 at all.
        out.text(encoder.json(row.text(i)));
      }
      refuseTooLarge(out.length - start);
    }
    out.text(isFirst ? "{}" : "}");
  }
}
