import { quoteIdentifier } from "../connection/sql_text.ts";

/** Which rows of a table one of several publications has. */
export interface RowPart {
  /** The hashed columns as SQL, as the server prints them. */
  readonly columns: string;
  /** From 0. */
  readonly part: number;
  readonly parts: number;
}

/**
 * The row filter of one part, as SQL without its parentheses. The sign of a remainder is that of the
 * hash, and half of the hashes are negative: `abs` keeps the parts equal. PostgreSQL keeps these hashes
 * as they are, since the partitions of tables depend on them; `hash_record_extended` came with 14, row
 * filters with 15. It fails on types without a hash: see `splitColumns`.
 */
export function partFilter(columns: readonly string[], part: number, parts: number): string {
  const row = columns.map(quoteIdentifier).join(", ");
  return `pg_catalog.abs(pg_catalog.mod(pg_catalog.hash_record_extended(ROW(${row}), 0), ${parts})) ` +
    `= ${part}`;
}

/** As `pg_get_expr` prints it while `pg_catalog` is in the search path, which it always is. */
const PRINTED =
  /^\(abs\(mod\(hash_record_extended\(ROW\((?<columns>.+)\), \(0\)::bigint\), \((?<parts>\d+)\)::bigint\)\) = (?<part>\d+)\)$/s;

/** Recognizes the filter of a part; undefined for any other. */
export function readPartFilter(printed: string): RowPart | undefined {
  const { columns, part, parts } = PRINTED.exec(printed)?.groups ?? {};
  if (columns === undefined) return undefined;
  return { columns, part: Number(part), parts: Number(parts) };
}
