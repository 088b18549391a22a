import type { Lsn } from "../../base/lsn.ts";
import type { XLogData } from "../../base/replication_message.ts";
import {
  type Column,
  ENCODED_VALUE,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
  type RowChange,
  type TransactionInfo,
  UNCHANGED,
} from "../event.ts";
import { failAt, readUint16, readUint32 } from "./pgoutput_reader.ts";
import type { PgoutputColumn, PgoutputRelation } from "./pgoutput_relation.ts";
import { decodeAscii, decodeUtf8 } from "../utf8.ts";
import { ValueSpans } from "../value_spans.ts";

const NULL = 0x6E, UNCHANGED_TOAST = 0x75, TEXT = 0x74;
const NEW_TUPLE = 0x4E;
const SMALL_T = 0x74, SMALL_F = 0x66;

/** A row change of pgoutput, its columns still bytes. */
export class PgoutputRow implements RowChange {
  private cachedNewRow: Column[] | undefined;
  private cachedOldRow: Column[] | undefined;

  /**
   * `oldTuple` and `newTuple` are where in the message's `bytes` they begin, at their number of columns, or -1. The new tuple of
   * an update with an old one begins behind it, at a place not known yet. Of an old key
   * (`hasOldKeyOnly`) only the replica identity's columns count, the others are sent as null.
   */
  constructor(
    readonly kind: "insert" | "update" | "delete",
    private readonly message: XLogData,
    readonly transaction: TransactionInfo,
    readonly seq: number,
    readonly relation: PgoutputRelation,
    private readonly oldTuple: number,
    private readonly hasOldKeyOnly: boolean,
    private readonly newTuple: number,
    readonly definedBy: number,
  ) {}

  get lsn(): Lsn {
    return this.message.walStart;
  }

  get keyNames(): readonly string[] | undefined {
    return this.relation.keyNames;
  }

  get tableColumns(): readonly PgoutputColumn[] {
    return this.relation.columns;
  }

  get newRow(): readonly Column[] | undefined {
    if (this.cachedNewRow !== undefined || this.kind === "delete") return this.cachedNewRow;
    const columns: Column[] = [];
    this.checkEnd(this.readTuple(this.findNewTuple(), false, columns), "new");
    return this.cachedNewRow = columns;
  }

  get oldRow(): readonly Column[] | undefined {
    if (this.cachedOldRow !== undefined || this.oldTuple === -1) return this.cachedOldRow;
    const columns: Column[] = [];
    this.checkEnd(this.readTuple(this.oldTuple, this.hasOldKeyOnly, columns), "old");
    return this.cachedOldRow = columns;
  }

  newBytes(): RowBytes | undefined {
    if (this.kind === "delete") return undefined;
    return this.findPlaces(this.findNewTuple(), "new");
  }

  oldBytes(): RowBytes | undefined {
    if (this.oldTuple === -1 || this.hasOldKeyOnly) return undefined;
    return this.findPlaces(this.oldTuple, "old");
  }

  newColumn(name: string): Column | undefined {
    if (this.cachedNewRow !== undefined) {
      return this.cachedNewRow.find((column) => column.name === name);
    }
    if (this.kind === "delete") return undefined;
    return this.find(this.findNewTuple(), false, name);
  }

  oldColumn(name: string): Column | undefined {
    if (this.cachedOldRow !== undefined) {
      return this.cachedOldRow.find((column) => column.name === name);
    }
    if (this.oldTuple === -1) return undefined;
    return this.find(this.oldTuple, this.hasOldKeyOnly, name);
  }

  private findNewTuple(): number {
    if (this.newTuple !== -1) return this.newTuple;
    let at = this.enter(this.oldTuple);
    for (const _ of this.relation.columns) at = this.skipValue(at);
    const { bytes, end } = this.message;
    if (at >= end || bytes[at] !== NEW_TUPLE) this.fail(at, "no new row after the old one");
    return at + 1;
  }

  /** Checks the number of columns; gives where the first one begins. */
  private enter(tuple: number): number {
    const { bytes, end } = this.message;
    if (tuple + 2 > end) this.fail(tuple, "the message is cut off");
    const count = readUint16(bytes, tuple);
    const expected = this.relation.columns.length;
    if (count !== expected) {
      const { qualifiedName } = this.relation;
      this.fail(tuple, `${count} columns for ${qualifiedName}, which has ${expected}`);
    }
    return tuple + 2;
  }

  private readTuple(tuple: number, keyOnly: boolean, columns: Column[]): number {
    let at = this.enter(tuple);
    // The lengths between the values are ASCII too, as long as no value has 128 bytes or more.
    const text = decodeAscii(this.message.bytes, tuple, this.message.end);
    for (const column of this.relation.columns) {
      const next = this.skipValue(at);
      if (!keyOnly || column.isKey) columns.push(this.readColumn(column, at, next, text, tuple));
      at = next;
    }
    return at;
  }

  /** Undefined where a value was not sent. */
  private findPlaces(tuple: number, row: "new" | "old"): RowBytes | undefined {
    const { message, relation: { columns } } = this;
    const { bytes } = message;
    let at = this.enter(tuple);
    let isWhole = true;
    spans.clear();
    for (const { isBoolean } of columns) {
      const next = this.skipValue(at);
      if (bytes[at] === TEXT) {
        if (isBoolean) readBoolean(message, at + 5, next);
        spans.add(isBoolean ? ENCODED_VALUE : PLAIN_VALUE, at + 5, next);
      } else {
        if (bytes[at] === UNCHANGED_TOAST) isWhole = false;
        spans.add(NO_VALUE, at, next);
      }
      at = next;
    }
    this.checkEnd(at, row);
    return isWhole ? new TupleBytes(message, columns) : undefined;
  }

  private find(tuple: number, keyOnly: boolean, name: string): Column | undefined {
    let at = this.enter(tuple);
    for (const column of this.relation.columns) {
      const next = this.skipValue(at);
      if (column.name === name) {
        return keyOnly && !column.isKey ? undefined : this.readColumn(column, at, next);
      }
      at = next;
    }
    return undefined;
  }

  /** Gives where the value at `at` ends. */
  private skipValue(at: number): number {
    const { bytes, end } = this.message;
    if (at >= end) this.fail(at, "the message is cut off");
    switch (bytes[at]) {
      case NULL:
      case UNCHANGED_TOAST:
        return at + 1;
      case TEXT: {
        if (at + 5 > end) this.fail(at, "the message is cut off");
        const next = at + 5 + readUint32(bytes, at + 1);
        if (next > end) this.fail(at, "a value longer than the message");
        return next;
      }
      default:
        return this.fail(at, "a value of unknown format");
    }
  }

  /** `text` is that of the message from `textStart` on, where it is known. */
  private readColumn(
    column: PgoutputColumn,
    at: number,
    end: number,
    text?: string,
    textStart = 0,
  ): Column {
    const { bytes } = this.message;
    const { name, type } = column;
    if (bytes[at] === NULL) return { name, type, value: null };
    if (bytes[at] === UNCHANGED_TOAST) return { name, type, value: UNCHANGED };
    const start = at + 5;
    const value = column.isBoolean
      ? readBoolean(this.message, start, end)
      : text?.slice(start - textStart, end - textStart) ?? readText(this.message, start, end);
    return { name, type, value };
  }

  /** Behind the tuple at the end of the message there is nothing. */
  private checkEnd(end: number, row: "new" | "old"): void {
    if (end === this.message.end || (row === "old" && this.kind !== "delete")) return;
    this.fail(end, `something after the ${row} row`);
  }

  private fail(position: number, what: string): never {
    failAt(this.message, position, what);
  }
}

/** Of the row that was asked for its bytes last. */
const spans = new ValueSpans();

class TupleBytes implements RowBytes {
  readonly bytes: Uint8Array;
  readonly places = spans.places;
  readonly forms = spans.forms;

  constructor(
    private readonly message: XLogData,
    readonly columns: readonly PgoutputColumn[],
  ) {
    this.bytes = message.bytes;
  }

  text(index: number): string {
    const start = this.places[2 * index]!, end = this.places[2 * index + 1]!;
    return this.columns[index]!.isBoolean
      ? readBoolean(this.message, start, end)
      : readText(this.message, start, end);
  }
}

function readBoolean(message: XLogData, start: number, end: number): "true" | "false" {
  const letter = end === start + 1 ? message.bytes[start] : undefined;
  if (letter !== SMALL_T && letter !== SMALL_F) failAt(message, start, "no boolean");
  return letter === SMALL_T ? "true" : "false";
}

function readText(message: XLogData, start: number, end: number): string {
  return decodeUtf8(message.bytes, start, end) ??
    failAt(message, start, "a value that is not UTF-8");
}
