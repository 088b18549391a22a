import type { Lsn } from "../../base/lsn.ts";
import type { XLogData } from "../../base/replication_message.ts";
import type { Column, Relation, RowBytes, RowChange, TransactionInfo } from "../event.ts";
import type { ColumnCursor, ColumnHeaders } from "./test_decoding_columns.ts";

/** A table as its changes show it. */
export interface TestDecodingTable {
  readonly relation: Relation;
  readonly newHeaders: ColumnHeaders;
  readonly oldHeaders: ColumnHeaders;
}

/**
 * A row change of test_decoding, its columns still text. The old row leaves out what was NULL: that is
 * how the plugin prints it.
 */
export class TestDecodingRow implements RowChange {
  readonly keyNames = undefined;
  private cachedNewRow: Column[] | undefined;
  private cachedOldRow: Column[] | undefined;

  /**
   * `oldTuple` and `newTuple` are where their columns begin, or -1. The new tuple of an update with an
   * old key begins behind it, at a place not known yet.
   */
  constructor(
    readonly kind: "insert" | "update" | "delete",
    private readonly message: XLogData,
    readonly transaction: TransactionInfo,
    readonly seq: number,
    private readonly table: TestDecodingTable,
    private readonly cursor: ColumnCursor,
    private readonly oldTuple: number,
    private newTuple: number,
    readonly definedBy: number,
  ) {}

  get lsn(): Lsn {
    return this.message.walStart;
  }

  get relation(): Relation {
    return this.table.relation;
  }

  get newRow(): readonly Column[] | undefined {
    if (this.cachedNewRow !== undefined || this.kind === "delete") return this.cachedNewRow;
    this.enterNew();
    return this.cachedNewRow = this.cursor.readAll();
  }

  get oldRow(): readonly Column[] | undefined {
    if (this.cachedOldRow !== undefined || this.oldTuple === -1) return this.cachedOldRow;
    this.enterOld();
    const row = this.cursor.readAll();
    if (this.kind === "update") this.newTuple = this.cursor.position;
    return this.cachedOldRow = row;
  }

  newBytes(): RowBytes | undefined {
    if (this.kind === "delete") return undefined;
    this.enterNew();
    return this.cursor.readBytes();
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
    if (this.oldTuple === -1) return undefined;
    this.enterOld();
    return this.cursor.find(name);
  }

  private enterNew(): void {
    // Only the end of the old key shows where the new tuple begins.
    if (this.newTuple === -1) this.oldRow;
    this.cursor.enter(this.message, this.table.newHeaders, this.newTuple, false);
  }

  private enterOld(): void {
    const isOldKey = this.kind === "update";
    this.cursor.enter(this.message, this.table.oldHeaders, this.oldTuple, isOldKey);
  }
}
