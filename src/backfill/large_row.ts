import type { ReadPlan } from "./read_plan.ts";
import type { RowTexts } from "./read_sql.ts";
import type { TableRead } from "./table_read.ts";
import { MAX_ROW_BYTES } from "./whole_messages.ts";

/** A row is so much larger than those before it that it must be read by itself, or its key alone. */
export class FetchTooLarge extends Error {
  constructor(
    /** Those before it; without any, it is too large to be read at all. */
    readonly rows: number,
  ) {
    super("rows are too large to be read together");
  }
}

/** A row that was too large to be read is so no more. */
export class NotLarge extends Error {}

/** Whether of what is read next the columns' lengths are asked for alone, and the key. */
export function isForLargeRow({ table: { largeRow }, again }: {
  readonly table: Pick<TableRead, "largeRow">;
  readonly again: readonly unknown[] | undefined;
}): boolean {
  return again === undefined ? largeRow === "next" : largeRow === "again" && again.length === 1;
}

/** Of a row whose columns, but for the key, are their lengths. @throws {NotLarge} */
export function largeBytes({ columns, key }: ReadPlan, texts: RowTexts): number {
  const isKey = (name: string) => key.some((each) => each.name === name);
  const bytes = columns.reduce(
    (sum, { name }, index) => isKey(name) ? sum : sum + Number(texts.columns[index]),
    0,
  );
  // The one that was too large was so as a whole message in UTF-8, which has up to three bytes for one of these.
  if (bytes < MAX_ROW_BYTES / 4) throw new NotLarge();
  return bytes;
}
