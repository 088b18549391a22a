import { type XLogData, XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, hasAt } from "../bytes.ts";
import { columnBudget } from "../column_budget.ts";
import { DecodeError } from "../decoder.ts";
import {
  type Column,
  ENCODED_VALUE,
  ESCAPED_VALUE,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
} from "../event.ts";
import { jsonStringText, scanJsonNumber, scanJsonString, unescape } from "./json_bytes.ts";
import { decodeAscii, decodeUtf8 } from "../utf8.ts";
import { ValueSpans } from "../value_spans.ts";
import { readType } from "./wal2json_type.ts";

/**
 * `{"name":"id","type":"integer","value":` as it stands before a column's value. The rows of a table
 * repeat it, so it is parsed once and then only compared.
 */
interface ColumnHeader {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly type: string;
  readonly form: ValueForm;
  /** Where a quoted value showed that the type is a user's: the header that was read first. */
  readonly builtIn?: ColumnHeader;
}

/** The headers of a table's columns as they were last seen, by their position. */
export interface ColumnHeaders {
  readonly list: ColumnHeader[];
  /** Of the last row that was read as bytes; another array when they are others. */
  columns: RowBytes["columns"] | undefined;
}

export function newColumnHeaders(): ColumnHeaders {
  return { list: [], columns: undefined };
}

/** How wal2json writes the values of a type; `bytea` loses its `\x`. */
type ValueForm = "number" | "boolean" | "bytea" | "string";

const QUOTE = 0x22, BACKSLASH = 0x5C, COMMA = 0x2C, CLOSE_BRACKET = 0x5D, CLOSE_BRACE = 0x7D;

const NAME = ascii('{"name":');
const TYPE = ascii(',"type":');
const VALUE = ascii(',"value":');
const NULL = ascii("null");
const TRUE = ascii("true");
const FALSE = ascii("false");

type ValueKind = "text" | "escaped" | "bytea" | "null";

const FORM_OF = {
  text: PLAIN_VALUE,
  escaped: ESCAPED_VALUE,
  bytea: ENCODED_VALUE,
  null: NO_VALUE,
} as const satisfies Record<ValueKind, number>;

/** By form; NULL has no text. */
const KIND_OF: Readonly<Record<number, "text" | "escaped" | "bytea">> = {
  [PLAIN_VALUE]: "text",
  [ESCAPED_VALUE]: "escaped",
  [ENCODED_VALUE]: "bytea",
};

/** Walks the columns of one tuple, `[{"name":…,"type":…,"value":…},…]`, from behind its bracket. */
export class ColumnCursor implements RowBytes {
  /** Where the next column begins; behind the closing bracket after the last one. */
  position = 0;
  #message!: XLogData;
  #bytes!: Uint8Array;
  #headers!: ColumnHeaders;
  #index = 0;
  #isDone = false;
  /** The text of the message when it is pure ASCII and worth decoding at once. */
  #text: string | undefined;

  #header!: ColumnHeader;
  #kind!: ValueKind;
  #start = 0;
  #end = 0;
  readonly #spans = new ValueSpans();

  enter(message: XLogData, headers: ColumnHeaders, position: number): void {
    this.#message = message;
    this.#bytes = message.payload;
    this.#headers = headers;
    this.position = position;
    this.#index = 0;
    this.#isDone = false;
    this.#text = undefined;
    if (this.#bytes[position] === CLOSE_BRACKET) {
      this.position++;
      this.#isDone = true;
    }
  }

  /** All columns from here on. */
  readAll(): Column[] {
    this.#text = decodeAscii(this.#bytes, XLOGDATA_HEADER_BYTES, this.#bytes.length);
    const columns: Column[] = [];
    while (this.#next()) columns.push(this.#column());
    return columns;
  }

  /** The column of that name, with nothing read behind it. */
  find(name: string): Column | undefined {
    while (this.#next()) {
      if (this.#header.name === name) return this.#column();
    }
    return undefined;
  }

  /** All columns from here on, as bytes: this cursor itself. */
  readBytes(): RowBytes {
    const spans = this.#spans;
    spans.clear();
    while (this.#next()) {
      spans.add(FORM_OF[this.#kind], this.#start, this.#end);
    }
    const { list, columns } = this.#headers;
    if (columns?.length !== spans.count) {
      this.#headers.columns = list.slice(0, spans.count).map(({ name, type }) => ({ name, type }));
    }
    return this;
  }

  get columns(): RowBytes["columns"] {
    return this.#headers.columns!;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get places(): Int32Array {
    return this.#spans.places;
  }

  get forms(): Uint8Array {
    return this.#spans.forms;
  }

  text(index: number): string {
    const { places, forms } = this.#spans;
    return this.#read(KIND_OF[forms[index]!]!, places[2 * index]!, places[2 * index + 1]!);
  }

  #column(): Column {
    const { name, type } = this.#header;
    const kind = this.#kind;
    if (kind === "null") return { name, type, value: null };
    return { name, type, value: this.#read(kind, this.#start, this.#end) };
  }

  #read(kind: "text" | "escaped" | "bytea", start: number, end: number): string {
    const text = this.#slice(start, end);
    switch (kind) {
      case "text":
        return text;
      case "bytea":
        return `\\x${text}`;
      case "escaped":
        return unescape(text) ?? this.#fail(start, "a wrong escape");
    }
  }

  #slice(start: number, end: number): string {
    return this.#text?.slice(start - XLOGDATA_HEADER_BYTES, end - XLOGDATA_HEADER_BYTES) ??
      decodeUtf8(this.#bytes, start, end) ??
      this.#fail(start, "a value that is not UTF-8");
  }

  #next(): boolean {
    if (this.#isDone) return false;
    const bytes = this.#bytes;
    let header = this.#headers.list[this.#index];
    if (header === undefined || !hasAt(bytes, this.position, header.bytes)) {
      header = this.#readHeader();
      if (this.#index === this.#headers.list.length) columnBudget.remember(1);
      this.#headers.list[this.#index] = header;
      this.#headers.columns = undefined;
    }
    this.#index++;
    this.#header = header;
    const end = this.#readValue(this.position + header.bytes.length, header.form);
    if (bytes[end] !== CLOSE_BRACE) this.#fail(end, "no } after a value");
    if (bytes[end + 1] === CLOSE_BRACKET) this.#isDone = true;
    else if (bytes[end + 1] !== COMMA) this.#fail(end + 1, "no comma or ] after a column");
    this.position = end + 2;
    return true;
  }

  #readHeader(): ColumnHeader {
    const bytes = this.#bytes;
    const start = this.position;
    if (!hasAt(bytes, start, NAME)) this.#fail(start, 'no "name" of a column');
    const nameStart = start + NAME.length;
    const nameEnd = scanJsonString(bytes, nameStart);
    if (nameEnd === -1) this.#fail(nameStart, "no column name");
    const name = jsonStringText(bytes, nameStart + 1, nameEnd - 1) ??
      this.#fail(nameStart, "a column name with a wrong escape or not UTF-8");
    if (!hasAt(bytes, nameEnd, TYPE)) this.#fail(nameEnd, 'no "type" of a column');
    const type = readType(bytes, nameEnd + TYPE.length) ??
      this.#fail(nameEnd + TYPE.length, "no type name that can be read without doubt");
    if (!hasAt(bytes, type.end, VALUE)) this.#fail(type.end, 'no "value" of a column');
    const end = type.end + VALUE.length;
    return { bytes: bytes.slice(start, end), name, type: type.text, form: formOf(type.text) };
  }

  /** Takes the value at `at`; gives where it ends. */
  #readValue(at: number, form: ValueForm): number {
    const bytes = this.#bytes;
    if (bytes[at] === QUOTE) {
      if (form === "number" || form === "boolean") return this.#readString(at, this.#toUsersType());
      return this.#readString(at, form);
    }
    if (hasAt(bytes, at, NULL)) {
      this.#kind = "null";
      return at + NULL.length;
    }
    this.#kind = "text";
    switch (form) {
      case "number": {
        const end = scanJsonNumber(bytes, at);
        if (end === -1) this.#fail(at, "no number");
        return this.#span(at, end);
      }
      case "boolean": {
        const length = hasAt(bytes, at, TRUE) ? 4 : hasAt(bytes, at, FALSE) ? 5 : 0;
        if (length === 0) this.#fail(at, "no boolean");
        return this.#span(at, at + length);
      }
      case "string":
        if (this.#header.builtIn === undefined) this.#fail(at, "no string");
        return this.#readValue(at, this.#toType(this.#header.builtIn));
      case "bytea":
        this.#fail(at, "no string");
    }
  }

  /**
   * wal2json prints a user's type that is called `"boolean"` like the built-in one, but its values as
   * strings. Its name is given in quotes, so that nobody after this takes it for the other.
   */
  #toUsersType(): ValueForm {
    const { bytes, name, type } = this.#header;
    return this.#toType({ bytes, name, type: `"${type}"`, form: "string", builtIn: this.#header });
  }

  #toType(header: ColumnHeader): ValueForm {
    this.#header = header;
    this.#headers.list[this.#index - 1] = header;
    this.#headers.columns = undefined;
    return header.form;
  }

  #readString(at: number, form: ValueForm): number {
    const bytes = this.#bytes;
    this.#kind = form === "bytea" ? "bytea" : "text";
    let end = at + 1;
    for (;;) {
      const byte = bytes[end];
      if (byte === undefined) this.#fail(at, "a string without an end");
      if (byte === QUOTE) break;
      if (byte < 0x20) this.#fail(end, "a control character in a string");
      if (byte === BACKSLASH) {
        this.#kind = "escaped";
        end++;
      }
      end++;
    }
    if (form === "bytea" && this.#kind === "escaped") this.#fail(at, "an escape in a bytea");
    this.#span(at + 1, end);
    return end + 1;
  }

  #span(start: number, end: number): number {
    this.#start = start;
    this.#end = end;
    return end;
  }

  #fail(position: number, what: string): never {
    throw new DecodeError(
      "wal2json",
      this.#message.walStart,
      position - XLOGDATA_HEADER_BYTES,
      what,
    );
  }
}

/** By the type's name without its modifier: `numeric(10,2)`. */
function formOf(type: string): ValueForm {
  return FORMS.get(type.replace(/^numeric\(-?\d+(,-?\d+)?\)$/, "numeric")) ?? "string";
}

const FORMS: ReadonlyMap<string, ValueForm> = new Map([
  ["smallint", "number"],
  ["integer", "number"],
  ["bigint", "number"],
  ["real", "number"],
  ["double precision", "number"],
  ["numeric", "number"],
  ["oid", "number"],
  ["boolean", "boolean"],
  ["bytea", "bytea"],
]);
