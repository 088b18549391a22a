import type { Connection } from "../connection/connection.ts";
import { isTrue } from "../connection/text_row.ts";

/** What publications publish now, by `schema.table`. */
export interface PublishedTables {
  /** The names under which changes come. */
  readonly names: ReadonlySet<string>;
  /** Those of publications with `publish_via_partition_root`: a partitioned table stands for its partitions. */
  readonly roots: readonly string[];
}

/** Undefined where there is none of the publications yet. */
export async function publishedTables(
  connection: Connection,
  publications: readonly string[],
): Promise<PublishedTables | undefined> {
  const rows = await connection.query(
    "look for the tables that are published",
    `SELECT pg_catalog.concat(t.schemaname, '.', t.tablename) AS name,
            (t.tablename IS NOT NULL)::pg_catalog.text AS found,
            -- It came with 13.
            pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubviaroot' AS by_root
       FROM pg_catalog.pg_publication p
       LEFT JOIN pg_catalog.pg_publication_tables t ON t.pubname OPERATOR(pg_catalog.=) p.pubname
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [publications],
  );
  if (rows.length === 0) return undefined;
  const tables = rows.filter(({ found }) => isTrue(found));
  return {
    names: new Set(tables.map(({ name }) => name!)),
    roots: [
      ...new Set(tables.filter((row) => isTrue(row.by_root)).map(({ name }) => name!)),
    ],
  };
}
