import type { Column, RowChange } from "../decode/event.ts";

/** A row change as seen through `show`, which gives a column, another in its place, or none. */
export class RowView implements RowChange {
  readonly kind;
  readonly lsn;
  readonly transaction;
  readonly seq;
  readonly relation;

  constructor(
    private readonly change: RowChange,
    private readonly show: (column: Column) => Column | undefined,
  ) {
    this.kind = change.kind;
    this.lsn = change.lsn;
    this.transaction = change.transaction;
    this.seq = change.seq;
    this.relation = change.relation;
  }

  get request(): string | undefined {
    return this.change.request;
  }

  get definedBy(): number {
    return this.change.definedBy;
  }

  get keyNames(): readonly string[] | undefined {
    return this.change.keyNames;
  }

  get tableColumns(): readonly Pick<Column, "name" | "type">[] | undefined {
    const columns = this.change.tableColumns;
    return columns && this.#showAll(columns.map((column) => ({ ...column, value: null })));
  }

  get newRow(): readonly Column[] | undefined {
    return this.change.newRow && this.#showAll(this.change.newRow);
  }

  get oldRow(): readonly Column[] | undefined {
    return this.change.oldRow && this.#showAll(this.change.oldRow);
  }

  newColumn(name: string): Column | undefined {
    const column = this.change.newColumn(name);
    return column && this.show(column);
  }

  oldColumn(name: string): Column | undefined {
    const column = this.change.oldColumn(name);
    return column && this.show(column);
  }

  #showAll(columns: readonly Column[]): Column[] {
    const shown: Column[] = [];
    for (const column of columns) {
      const instead = this.show(column);
      if (instead !== undefined) shown.push(instead);
    }
    return shown;
  }
}
