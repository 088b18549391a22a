import type { Lsn } from "../../base/lsn.ts";
import { type XLogData, XLOGDATA_HEADER_BYTES } from "../../base/replication_message.ts";
import { ascii, equals, hasAt } from "../bytes.ts";
import { DecodeError } from "../decoder.ts";
import type { Column, Relation, RowBytes, RowChange, TransactionInfo } from "../event.ts";
import { jsonStringText, scanJsonString } from "./json_bytes.ts";
import type { ColumnCursor, ColumnHeaders } from "./wal2json_columns.ts";
import { readType } from "./wal2json_type.ts";

/** A table as its changes show it. */
export interface Wal2jsonTable {
  readonly relation: Relation;
  readonly newHeaders: ColumnHeaders;
  readonly oldHeaders: ColumnHeaders;
  /** The end of the last message whose key was read, and that key. */
  key: { readonly suffix: Uint8Array; readonly names: readonly string[] } | undefined;
}

const COLUMNS = ascii(',"columns":[');
const IDENTITY = ascii(',"identity":[');
const PK = ascii(',"pk":[');
const NAME = ascii('{"name":');
const TYPE = ascii(',"type":');
const END = ascii("]}");

const COMMA = 0x2C, CLOSE_BRACE = 0x7D, CLOSE_BRACKET = 0x5D;

/** A row change of wal2json, its columns still JSON. Columns with unchanged TOAST values are missing. */
export class Wal2jsonRow implements RowChange {
  private cachedNewRow: Column[] | undefined;
  private cachedOldRow: Column[] | undefined;
  private cachedKeyNames: readonly string[] | undefined;
  /** Where `,"identity"` or `,"pk"` begins: behind the new row. -1: not known yet. */
  private newEnd = -1;

  /** `start` is behind the table's name. */
  constructor(
    readonly kind: "insert" | "update" | "delete",
    private readonly message: XLogData,
    readonly transaction: TransactionInfo,
    readonly seq: number,
    private readonly table: Wal2jsonTable,
    private readonly cursor: ColumnCursor,
    private readonly start: number,
    readonly definedBy: number,
  ) {
    const hasColumns = hasAt(message.payload, start, COLUMNS);
    if (hasColumns !== (kind !== "delete")) {
      this.fail(start, hasColumns ? "a delete with columns" : `an ${kind} without columns`);
    }
    if (kind === "delete") {
      this.newEnd = start;
      if (!hasAt(message.payload, start, IDENTITY)) this.readKey(start);
    }
  }

  get lsn(): Lsn {
    return this.message.walStart;
  }

  get relation(): Relation {
    return this.table.relation;
  }

  get newRow(): readonly Column[] | undefined {
    if (this.cachedNewRow !== undefined || this.kind === "delete") return this.cachedNewRow;
    this.enterNew();
    const row = this.cursor.readAll();
    this.newEnd = this.cursor.position;
    if (!hasAt(this.message.payload, this.newEnd, IDENTITY)) this.readKey(this.newEnd);
    return this.cachedNewRow = row;
  }

  get oldRow(): readonly Column[] | undefined {
    if (this.cachedOldRow !== undefined || !this.enterOld()) return this.cachedOldRow;
    const row = this.cursor.readAll();
    this.readKey(this.cursor.position);
    return this.cachedOldRow = row;
  }

  newBytes(): RowBytes | undefined {
    if (this.kind === "delete") return undefined;
    this.enterNew();
    const row = this.cursor.readBytes();
    this.newEnd = this.cursor.position;
    if (!hasAt(this.message.payload, this.newEnd, IDENTITY)) this.readKey(this.newEnd);
    return row;
  }

  newColumn(name: string): Column | undefined {
    if (this.cachedNewRow !== undefined) {
      return this.cachedNewRow.find((column) => column.name === name);
    }
    if (this.kind === "delete") return undefined;
    this.enterNew();
    return this.cursor.find(name);
  }

  oldColumn(name: string): Column | undefined {
    if (this.cachedOldRow !== undefined) {
      return this.cachedOldRow.find((column) => column.name === name);
    }
    return this.enterOld() ? this.cursor.find(name) : undefined;
  }

  /**
   * The key stands at the end, behind all values. It rarely changes, so the end of the message is
   * compared first: `,"pk":[` with bare quotes cannot stand inside a value or a name.
   */
  get keyNames(): readonly string[] {
    if (this.cachedKeyNames !== undefined) return this.cachedKeyNames;
    const known = this.table.key;
    if (known !== undefined) {
      const start = this.message.payload.length - known.suffix.length;
      if (start >= this.start && hasAt(this.message.payload, start, known.suffix)) {
        return known.names;
      }
    }
    // Either of them reads on to the key.
    if (this.oldRow === undefined) this.readKey(this.newEnd);
    return this.cachedKeyNames!;
  }

  private enterNew(): void {
    this.cursor.enter(this.message, this.table.newHeaders, this.start + COLUMNS.length);
  }

  /** False when there is no old row. */
  private enterOld(): boolean {
    // Only the end of the new row shows where the old one begins.
    if (this.newEnd === -1) this.newRow;
    if (!hasAt(this.message.payload, this.newEnd, IDENTITY)) return false;
    this.cursor.enter(this.message, this.table.oldHeaders, this.newEnd + IDENTITY.length);
    return true;
  }

  /** Reads the rest of the message: the key, to the last byte. */
  private readKey(start: number): void {
    if (this.cachedKeyNames !== undefined) return;
    const bytes = this.message.payload;
    const known = this.table.key;
    if (known !== undefined && equals(bytes, start, bytes.length, known.suffix)) {
      this.cachedKeyNames = known.names;
      return;
    }
    const names = this.parseKey(start);
    this.table.key = { suffix: bytes.slice(start), names };
    this.cachedKeyNames = names;
  }

  private parseKey(start: number): string[] {
    const bytes = this.message.payload;
    if (!hasAt(bytes, start, PK)) this.fail(start, 'no "pk" after the row');
    const names: string[] = [];
    let at = start + PK.length;
    while (bytes[at] !== CLOSE_BRACKET) {
      if (names.length > 0 && bytes[at++] !== COMMA) {
        this.fail(at - 1, "no comma after a key column");
      }
      if (!hasAt(bytes, at, NAME)) this.fail(at, 'no "name" of a key column');
      const nameStart = at + NAME.length;
      const nameEnd = scanJsonString(bytes, nameStart);
      if (nameEnd === -1) this.fail(nameStart, "no name of a key column");
      const name = jsonStringText(bytes, nameStart + 1, nameEnd - 1) ??
        this.fail(nameStart, "a column name with a wrong escape or not UTF-8");
      if (!hasAt(bytes, nameEnd, TYPE)) this.fail(nameEnd, 'no "type" of a key column');
      const type = readType(bytes, nameEnd + TYPE.length) ??
        this.fail(nameEnd + TYPE.length, "no type name that can be read without doubt");
      if (bytes[type.end] !== CLOSE_BRACE) this.fail(type.end, "no } after a key column");
      names.push(name);
      at = type.end + 1;
    }
    if (!hasAt(bytes, at, END) || at + END.length !== bytes.length) {
      this.fail(at, "something after the key");
    }
    return names;
  }

  private fail(position: number, what: string): never {
    throw new DecodeError(
      "wal2json",
      this.message.walStart,
      position - XLOGDATA_HEADER_BYTES,
      what,
    );
  }
}
