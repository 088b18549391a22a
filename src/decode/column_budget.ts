/**
 * What decoders and formats remember of columns, to read and write the next row faster: their names, types
 * and how they are written. All of it together is bounded by columns, since 1,200 tables may have two
 * million of them: whoever remembers one counts it here, and when there are too many the `epoch` goes
 * up and each cache forgets all it has, the next time it is asked.
 */
export class ColumnBudget {
  /** What was remembered in an earlier one is to be forgotten. */
  epoch = 0;
  #columns = 0;

  constructor(private readonly maxColumns: number) {}

  /** `columns` more are remembered. */
  remember(columns: number): void {
    this.#columns += columns;
    if (this.#columns <= this.maxColumns) return;
    this.#columns = columns;
    this.epoch++;
  }
}

/**
 * Of the process. A column takes 250 to 600 bytes in all caches; one that is forgotten is read again in
 * a microsecond or less.
 */
export const columnBudget = new ColumnBudget(100_000);
