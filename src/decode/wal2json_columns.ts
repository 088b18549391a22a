import { type XLogData, XLOGDATA_HEADER_BYTES } from "../postgres/replication_message.ts";
import { ascii, hasAt } from "./bytes.ts";
import { DecodeError } from "./decoder.ts";
import type { Column } from "./event.ts";
import { jsonStringText, scanJsonNumber, scanJsonString, unescape } from "./json_bytes.ts";
import { decodeAscii, decodeUtf8 } from "./utf8.ts";
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
}

/** The headers of a table's columns as they were last seen, by their position. */
export type ColumnHeaders = ColumnHeader[];

/** How wal2json writes the values of a type; `bytea` loses its `\x`. */
type ValueForm = "number" | "boolean" | "bytea" | "string" | "number or string";

const QUOTE = 0x22, BACKSLASH = 0x5C, COMMA = 0x2C, CLOSE_BRACKET = 0x5D, CLOSE_BRACE = 0x7D;

const NAME = ascii('{"name":');
const TYPE = ascii(',"type":');
const VALUE = ascii(',"value":');
const NULL = ascii("null");
const TRUE = ascii("true");
const FALSE = ascii("false");

type ValueKind = "text" | "escaped" | "bytea" | "null";

/** Walks the columns of one tuple, `[{"name":…,"type":…,"value":…},…]`, from behind its bracket. */
export class ColumnCursor {
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

  #column(): Column {
    const { name, type } = this.#header;
    switch (this.#kind) {
      case "null":
        return { name, type, value: null };
      case "text":
        return { name, type, value: this.#slice() };
      case "bytea":
        return { name, type, value: `\\x${this.#slice()}` };
      case "escaped": {
        const value = unescape(this.#slice()) ?? this.#fail(this.#start, "a wrong escape");
        return { name, type, value };
      }
    }
  }

  #slice(): string {
    if (this.#text !== undefined) {
      return this.#text.slice(
        this.#start - XLOGDATA_HEADER_BYTES,
        this.#end - XLOGDATA_HEADER_BYTES,
      );
    }
    return decodeUtf8(this.#bytes, this.#start, this.#end) ??
      this.#fail(this.#start, "a value that is not UTF-8");
  }

  #next(): boolean {
    if (this.#isDone) return false;
    const bytes = this.#bytes;
    let header = this.#headers[this.#index];
    if (header === undefined || !hasAt(bytes, this.position, header.bytes)) {
      header = this.#readHeader();
      this.#headers[this.#index] = header;
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
      if (form === "number" || form === "boolean") this.#fail(at, `a string for a ${form}`);
      return this.#readString(at, form);
    }
    if (hasAt(bytes, at, NULL)) {
      this.#kind = "null";
      return at + NULL.length;
    }
    this.#kind = "text";
    switch (form) {
      case "number":
      case "number or string": {
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
      case "bytea":
        this.#fail(at, "no string");
    }
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
  // The only name of these that is no keyword: a type of the user's may be printed as `oid` too.
  ["oid", "number or string"],
  ["boolean", "boolean"],
  ["bytea", "bytea"],
]);
