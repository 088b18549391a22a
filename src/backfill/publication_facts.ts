import type { Connection } from "../postgres/connection/connection.ts";
import { isTrue } from "../postgres/connection/text_row.ts";

/** A table of a publication, as pgoutput publishes it. */
export interface PublishedTable {
  /** `schema.table`: with `publish_via_partition_root` that of a table above its partitions. */
  readonly name: string;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  /** Undefined before 15, which has no column lists. */
  readonly columns: readonly string[] | undefined;
  /** The row filter as SQL, as `pg_get_expr` prints it; undefined without one. */
  readonly filter: string | undefined;
}

/** `attnames` and `rowfilter` came with 15. */
const PUBLISHED_QUERY = `
SELECT pg_catalog.concat(t.schemaname, '.', t.tablename) AS name,
       p.pubinsert::pg_catalog.text AS insert, p.pubupdate::pg_catalog.text AS update,
       p.pubdelete::pg_catalog.text AS delete,
       (pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->) 'attnames')::pg_catalog.text AS columns,
       pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->>) 'rowfilter' AS filter
  FROM pg_catalog.pg_publication_tables t
  JOIN pg_catalog.pg_publication p ON p.pubname OPERATOR(pg_catalog.=) t.pubname
 WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.name[])
   AND pg_catalog.concat(t.schemaname, '.', t.tablename)
       OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text[])`;

/**
 * Gives what the publications have of the tables of these names, one for each publication. To be run
 * with `pg_catalog` alone in the search path: under that the filters are read.
 */
export async function readPublishedTables(
  connection: Connection,
  publications: readonly string[],
  names: readonly string[],
): Promise<PublishedTable[]> {
  const rows = await connection.query("look up what the publications have", PUBLISHED_QUERY, [
    publications,
    names,
  ]);
  return rows.map((row) => ({
    name: row.name!,
    insert: isTrue(row.insert),
    update: isTrue(row.update),
    delete: isTrue(row.delete),
    columns: row.columns === null || row.columns === undefined
      ? undefined
      : JSON.parse(row.columns),
    filter: row.filter ?? undefined,
  }));
}
