import type { XLogData } from "../../base/replication_message.ts";
import { XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, hasAt } from "../bytes.ts";
import { columnBudget } from "../column_budget.ts";
import { DecodeError } from "../decoder.ts";
import {
  type Column,
  ENCODED_VALUE,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
  UNCHANGED,
} from "../event.ts";
import { identifierText, isDigit, scanIdentifier, scanType } from "../sql_identifier.ts";
import { decodeAscii, decodeUtf8 } from "../utf8.ts";
import { ValueSpans } from "../value_spans.ts";

/**
 * ` name[type]:` as it stands before a column's value. The rows of a table repeat it, so it is parsed
 * once and then only compared.
 */
interface ColumnHeader {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly type: string;
  readonly form: ValueForm;
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

/** How `print_literal` writes the values of a type. */
type ValueForm = "number" | "boolean" | "bits" | "quoted" | "number or quoted";

const SPACE = 0x20, APOSTROPHE = 0x27, COLON = 0x3A, OPEN_BRACKET = 0x5B, CLOSE_BRACKET = 0x5D;
const MINUS = 0x2D, DOT = 0x2E, PLUS = 0x2B, SMALL_E = 0x65;

const NULL = ascii("null");
const TRUE = ascii("true");
const FALSE = ascii("false");
const UNCHANGED_TOAST = ascii("unchanged-toast-datum");
const BITS_START = ascii("B'");
const NEW_TUPLE = ascii(" new-tuple:");
const NAN = ascii("NaN");
const INFINITY = ascii("Infinity");

/** What follows a header. A decoder's cursor is reused for every column. */
type ValueKind = "text" | "escaped" | "null" | "unchanged";

const FORM_OF = {
  text: PLAIN_VALUE,
  escaped: ENCODED_VALUE,
  null: NO_VALUE,
  unchanged: NO_VALUE,
} as const satisfies Record<ValueKind, number>;

/** Walks the columns of one tuple: ` name[type]:value name[type]:value`. */
export class ColumnCursor implements RowBytes {
  /** Where the next column begins. */
  position = 0;
  #message!: XLogData;
  #bytes!: Uint8Array;
  #headers!: ColumnHeaders;
  #isOldKey = false;
  #index = 0;
  /** The text of the message when it is pure ASCII and worth decoding at once. */
  #text: string | undefined;

  #header!: ColumnHeader;
  #kind!: ValueKind;
  #start = 0;
  #end = 0;
  readonly #spans = new ValueSpans();

  /** Goes to the tuple at `position`; the old key of an update ends at ` new-tuple:`. */
  enter(message: XLogData, headers: ColumnHeaders, position: number, isOldKey: boolean): void {
    this.#message = message;
    this.#bytes = message.payload;
    this.#headers = headers;
    this.position = position;
    this.#isOldKey = isOldKey;
    this.#index = 0;
    this.#text = undefined;
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

  /** All columns from here on, as bytes: this cursor itself; undefined where a value was not sent. */
  readBytes(): RowBytes | undefined {
    const spans = this.#spans;
    spans.clear();
    let isWhole = true;
    while (this.#next()) {
      if (this.#kind === "unchanged") isWhole = false;
      spans.add(FORM_OF[this.#kind], this.#start, this.#end);
    }
    const { list, columns } = this.#headers;
    if (columns?.length !== spans.count) {
      this.#headers.columns = list.slice(0, spans.count).map(({ name, type }) => ({ name, type }));
    }
    return isWhole ? this : undefined;
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
    const isEncoded = forms[index] === ENCODED_VALUE;
    return this.#read(isEncoded ? "escaped" : "text", places[2 * index]!, places[2 * index + 1]!);
  }

  #column(): Column {
    const { name, type } = this.#header;
    const kind = this.#kind;
    if (kind === "null") return { name, type, value: null };
    if (kind === "unchanged") return { name, type, value: UNCHANGED };
    return { name, type, value: this.#read(kind, this.#start, this.#end) };
  }

  #read(kind: "text" | "escaped", start: number, end: number): string {
    const text = this.#slice(start, end);
    return kind === "text" ? text : text.replaceAll("''", "'");
  }

  #slice(start: number, end: number): string {
    return this.#text?.slice(start - XLOGDATA_HEADER_BYTES, end - XLOGDATA_HEADER_BYTES) ??
      decodeUtf8(this.#bytes, start, end) ??
      this.#fail(start, "a value that is not UTF-8");
  }

  #next(): boolean {
    const bytes = this.#bytes;
    if (this.position === bytes.length) {
      if (this.#isOldKey) this.#fail(this.position, "an old key without a new tuple");
      return false;
    }
    let header = this.#headers.list[this.#index];
    if (header === undefined || !hasAt(bytes, this.position, header.bytes)) {
      if (this.#isOldKey && hasAt(bytes, this.position, NEW_TUPLE)) {
        this.position += NEW_TUPLE.length;
        return false;
      }
      header = this.#readHeader();
      if (this.#index === this.#headers.list.length) columnBudget.remember(1);
      this.#headers.list[this.#index] = header;
      this.#headers.columns = undefined;
    }
    this.#index++;
    this.#header = header;
    this.position = this.#readValue(this.position + header.bytes.length, header.form);
    if (this.position < bytes.length && bytes[this.position] !== SPACE) {
      this.#fail(this.position, "no space after a value");
    }
    return true;
  }

  #readHeader(): ColumnHeader {
    const bytes = this.#bytes;
    const start = this.position;
    if (bytes[start] !== SPACE) this.#fail(start, "no space before a column");
    const nameEnd = scanIdentifier(bytes, start + 1);
    if (nameEnd === -1) this.#fail(start + 1, "no column name");
    if (bytes[nameEnd] !== OPEN_BRACKET) this.#fail(nameEnd, "no type after a column name");
    const typeEnd = scanType(bytes, nameEnd + 1);
    if (typeEnd === -1) this.#fail(nameEnd + 1, "no type name");
    if (bytes[typeEnd] !== CLOSE_BRACKET || bytes[typeEnd + 1] !== COLON) {
      this.#fail(typeEnd, "no end of a type name");
    }
    const name = identifierText(bytes, start + 1, nameEnd) ??
      this.#fail(start + 1, "a column name that is not UTF-8");
    const type = decodeUtf8(bytes, nameEnd + 1, typeEnd) ??
      this.#fail(nameEnd + 1, "a type name that is not UTF-8");
    return {
      bytes: bytes.slice(start, typeEnd + 2),
      name,
      type,
      form: FORMS.get(type) ?? "quoted",
    };
  }

  /** Takes the value at `at`; gives where it ends. */
  #readValue(at: number, form: ValueForm): number {
    const bytes = this.#bytes;
    if (hasAt(bytes, at, NULL)) {
      this.#kind = "null";
      return at + NULL.length;
    }
    if (form !== "boolean" && hasAt(bytes, at, UNCHANGED_TOAST)) {
      this.#kind = "unchanged";
      return at + UNCHANGED_TOAST.length;
    }
    this.#kind = "text";
    switch (form) {
      case "quoted":
        return this.#readQuoted(at);
      case "number":
        return this.#readNumber(at);
      case "number or quoted":
        return bytes[at] === APOSTROPHE ? this.#readQuoted(at) : this.#readNumber(at);
      case "boolean": {
        const length = hasAt(bytes, at, TRUE) ? 4 : hasAt(bytes, at, FALSE) ? 5 : 0;
        if (length === 0) this.#fail(at, "no boolean");
        return this.#span(at, at + length);
      }
      case "bits":
        return this.#readBits(at);
    }
  }

  #readQuoted(at: number): number {
    const bytes = this.#bytes;
    if (bytes[at] !== APOSTROPHE) this.#fail(at, "no quoted value");
    let end = at + 1;
    for (;;) {
      while (end < bytes.length && bytes[end] !== APOSTROPHE) end++;
      if (end >= bytes.length) this.#fail(at, "a quoted value without an end");
      if (bytes[end + 1] !== APOSTROPHE) break;
      this.#kind = "escaped";
      end += 2;
    }
    this.#span(at + 1, end);
    return end + 1;
  }

  #readBits(at: number): number {
    const bytes = this.#bytes;
    if (!hasAt(bytes, at, BITS_START)) this.#fail(at, "no bit string");
    let end = at + BITS_START.length;
    while (bytes[end] === 0x30 || bytes[end] === 0x31) end++;
    if (bytes[end] !== APOSTROPHE) this.#fail(end, "no end of a bit string");
    this.#span(at + BITS_START.length, end);
    return end + 1;
  }

  #readNumber(at: number): number {
    const end = scanNumber(this.#bytes, at);
    if (end === -1) this.#fail(at, "no number");
    return this.#span(at, end);
  }

  #span(start: number, end: number): number {
    this.#start = start;
    this.#end = end;
    return end;
  }

  #fail(position: number, what: string): never {
    throw new DecodeError(
      "test_decoding",
      this.#message.walStart,
      position - XLOGDATA_HEADER_BYTES,
      what,
    );
  }
}

const FORMS: ReadonlyMap<string, ValueForm> = new Map([
  ["smallint", "number"],
  ["integer", "number"],
  ["bigint", "number"],
  ["real", "number"],
  ["double precision", "number"],
  ["numeric", "number"],
  // The only name of these that is no keyword: a type of the user's may be printed as `oid` too.
  ["oid", "number or quoted"],
  ["boolean", "boolean"],
  ["bit", "bits"],
  ["bit varying", "bits"],
]);

/** A number as the output functions of int, float and numeric print it; gives its end, or -1. */
function scanNumber(bytes: Uint8Array, start: number): number {
  if (hasAt(bytes, start, NAN)) return start + NAN.length;
  let at = bytes[start] === MINUS ? start + 1 : start;
  if (hasAt(bytes, at, INFINITY)) return at + INFINITY.length;
  if (!isDigit(bytes[at])) return -1;
  while (isDigit(bytes[at])) at++;
  if (bytes[at] === DOT) {
    if (!isDigit(bytes[++at])) return -1;
    while (isDigit(bytes[at])) at++;
  }
  if (bytes[at] === SMALL_E) {
    at++;
    if (bytes[at] === MINUS || bytes[at] === PLUS) at++;
    if (!isDigit(bytes[at])) return -1;
    while (isDigit(bytes[at])) at++;
  }
  return at;
}
