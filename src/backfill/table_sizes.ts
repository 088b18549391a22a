import { getLogger } from "@logtape/logtape";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import type { Reader } from "./reader.ts";
import { ESTIMATE_TOLERANCE, type TableRead } from "./table_read.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** Tables whose sizes one statement asks for. */
const SIZES_AT_ONCE = 500;
/** Of a block beside its rows, and of a row beside its values: PageHeaderData; HeapTupleHeader and ItemId. */
const PAGE_HEADER_BYTES = 24;
const ROW_HEADER_BYTES = 28;
const ALIGNMENT = 8;

/** What the server knows of a table without looking into it. */
export interface TableSize {
  readonly bytes: number;
  readonly blockBytes: number;
  /** `pg_class.reltuples` and `relpages`, those of the last VACUUM or ANALYZE; -1 and 0, or 0 and 0, before it. */
  readonly analyzedRows: number;
  readonly analyzedPages: number;
  /** Rows by the statistics of its changes, which the server forgets in a crash. */
  readonly liveRows: number;
  /** Bytes of a row's values, 32 for each whose type has no width of its own. */
  readonly rowBytes: number;
}

/**
 * How many rows a table has, as PostgreSQL's planner estimates it: by the density at the last ANALYZE, else by
 * the width of its columns; and where that never was, rather by the changes that were counted.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/access/table/tableam.c
 * (table_block_relation_estimate_size)
 */
export function estimateRows(size: TableSize): number {
  const { bytes, blockBytes, analyzedRows, analyzedPages, liveRows, rowBytes } = size;
  const pages = Math.ceil(bytes / blockBytes);
  if (pages === 0) return 0;
  if (analyzedPages > 0 && analyzedRows >= 0) {
    return Math.round(analyzedRows / analyzedPages * pages);
  }
  // Fewer than one on each page are only those since a crash.
  if (liveRows >= pages) return liveRows;
  const alignedBytes = ROW_HEADER_BYTES + Math.ceil(rowBytes / ALIGNMENT) * ALIGNMENT;
  return Math.max(1, Math.floor((blockBytes - PAGE_HEADER_BYTES) / alignedBytes)) * pages;
}

/** Of one that has ended it is known; of one that has more rows than were expected nobody knows. */
export function expectedOf(table: TableRead): number | undefined {
  if (table.outcome !== undefined) return table.rows;
  return table.hasMoreThanExpected ? undefined : table.expected;
}

/** Of several tables; undefined where nobody knows. */
export function expectedOfAll(tables: readonly TableRead[]): number | undefined {
  let sum = 0, more = 0;
  for (const { outcome, rows, expected } of tables) {
    if (outcome !== undefined) sum += rows;
    else if (expected === undefined) return undefined;
    else {
      sum += Math.max(rows, expected);
      more += Math.max(0, rows - expected);
    }
  }
  return more > sum * ESTIMATE_TOLERANCE ? undefined : sum;
}

/** Without tables somebody is about to change: asking for their size would wait. */
const SIZES_QUERY = `
SELECT c.oid::pg_catalog.text AS oid, pg_catalog.pg_relation_size(c.oid)::pg_catalog.text AS bytes,
       pg_catalog.current_setting('block_size') AS block,
       c.reltuples::pg_catalog.text AS rows, c.relpages::pg_catalog.text AS pages,
       pg_catalog.pg_stat_get_live_tuples(c.oid)::pg_catalog.text AS live,
       (SELECT pg_catalog.sum(CASE WHEN a.attlen OPERATOR(pg_catalog.>) 0 THEN a.attlen ELSE 32 END)
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0
           AND NOT a.attisdropped)::pg_catalog.text AS width
  FROM pg_catalog.pg_class c
 WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])
   AND c.oid OPERATOR(pg_catalog.<>) ALL (ARRAY(
       SELECT l.relation FROM pg_catalog.pg_locks l
        WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'
          AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'
          AND l.database OPERATOR(pg_catalog.=)
              (SELECT d.oid FROM pg_catalog.pg_database d
                WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())))`;

/** Whose rows are counted by what is estimated. */
function isEstimable({ plan, outcome }: TableRead): boolean {
  return outcome === undefined && plan !== undefined && plan.filter === undefined;
}

/**
 * Estimates how many rows tables have that are not estimated, or turned out to have more. A row filter lets
 * pass nobody knows how many. What cannot be asked for stays unknown: it is only shown.
 */
export async function sizeUp(reader: Reader, tables: readonly TableRead[]): Promise<void> {
  const unsized = tables.filter((table) =>
    isEstimable(table) && (table.expected === undefined || table.hasMoreThanExpected)
  );
  for (let from = 0; from < unsized.length; from += SIZES_AT_ONCE) {
    const some = unsized.slice(from, from + SIZES_AT_ONCE);
    try {
      const rows = await reader.ask("estimate how many rows tables have", SIZES_QUERY, [
        some.map(({ oid }) => oid),
      ]);
      const sizes = new Map(rows.map(({ oid, bytes, block, rows, pages, live, width }) => [
        Number(oid),
        {
          bytes: Number(bytes),
          blockBytes: Number(block),
          analyzedRows: Number(rows),
          analyzedPages: Number(pages),
          liveRows: Number(live),
          rowBytes: Number(width),
        },
      ]));
      for (const table of some) {
        const size = sizes.get(table.oid);
        if (size !== undefined) table.expect(estimateRows(size));
      }
    } catch (error) {
      // Where it is the connection that failed, so will the next statement.
      if (!(error instanceof PostgresError)) throw error;
      logger.debug("the sizes of tables are not known: {message}", { message: error.message });
      return;
    }
  }
}
