import type { Connection } from "../postgres/connection/connection.ts";

/** A publication that publishes a table, and by whose name and rules it does. */
export interface PublishedBy {
  readonly name: string;
  /** 0: by the table itself; otherwise how far above it. */
  readonly level: number;
  readonly schema: string;
  readonly table: string;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  /** Stored generated columns, which no publication has before 18. */
  readonly generated: boolean;
  /** The row filter as SQL, as `pg_get_expr` prints it under the connection's search path. */
  readonly filter: string | null;
  /** The column list. */
  readonly columns: readonly string[] | null;
}

/** `pg_publication_namespace`, row filters and column lists came with 15. */
const SCHEMAS_VERSION = 150000;

/** Where a table is in a publication by its schema, `oid` being the table's. */
const inPublishedSchema = (version: number, oid: string) =>
  version < SCHEMAS_VERSION ? "false" : `EXISTS (
       SELECT FROM pg_catalog.pg_publication_namespace pn
         JOIN pg_catalog.pg_class x ON x.relnamespace OPERATOR(pg_catalog.=) pn.pnnspid
        WHERE pn.pnpubid OPERATOR(pg_catalog.=) p.oid AND x.oid OPERATOR(pg_catalog.=) ${oid})`;

/**
 * Of each table the publications that publish it, with the table by whose name and rules each one does: with
 * `publish_via_partition_root` the topmost one above it that is in the publication. Not by
 * `pg_publication_tables`, which looks at every table of the database for each one that is asked for.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/replication/pgoutput/pgoutput.c
 * (get_rel_sync_entry)
 */
const publishedQuery = (version: number) => `
SELECT c.oid::pg_catalog.text AS oid, (
    WITH RECURSIVE up (oid, level) AS (
      SELECT c.oid, 0
       UNION ALL
      SELECT h.inhparent, up.level OPERATOR(pg_catalog.+) 1
        FROM up
        JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) up.oid AND x.relispartition
        JOIN pg_catalog.pg_inherits h ON h.inhrelid OPERATOR(pg_catalog.=) up.oid)
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
             'name', p.pubname, 'level', named.level, 'schema', nn.nspname, 'table', nc.relname,
             'insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete,
             -- It came with 18.
             'generated', COALESCE((pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubgencols')
                            OPERATOR(pg_catalog.=) 's', false),
             'filter', ${
  version < SCHEMAS_VERSION
    ? "NULL"
    : `CASE WHEN NOT ${
      inPublishedSchema(version, "named.oid")
    } THEN pg_catalog.pg_get_expr(pr.prqual, pr.prrelid) END`
},
             'columns', ${
  version < SCHEMAS_VERSION ? "NULL" : `(SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)
                FROM pg_catalog.pg_attribute a
               WHERE a.attrelid OPERATOR(pg_catalog.=) pr.prrelid
                 AND a.attnum OPERATOR(pg_catalog.=) ANY (pr.prattrs::pg_catalog.int2[]))`
}
           ) ORDER BY p.pubname)::pg_catalog.text
      FROM pg_catalog.pg_publication p
     CROSS JOIN LATERAL (
       SELECT up.oid, up.level FROM up
        WHERE p.puballtables
           OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r
                       WHERE r.prpubid OPERATOR(pg_catalog.=) p.oid
                         AND r.prrelid OPERATOR(pg_catalog.=) up.oid)
           OR ${inPublishedSchema(version, "up.oid")}
        ORDER BY up.level DESC LIMIT 1) top
     CROSS JOIN LATERAL (
       SELECT v.root, CASE WHEN v.root THEN top.oid ELSE c.oid END AS oid,
              CASE WHEN v.root THEN top.level ELSE 0 END AS level
         -- It came with 13.
         FROM (SELECT COALESCE((pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubviaroot')
                        ::pg_catalog.bool, false) AS root) v) named
      JOIN pg_catalog.pg_class nc ON nc.oid OPERATOR(pg_catalog.=) named.oid
      JOIN pg_catalog.pg_namespace nn ON nn.oid OPERATOR(pg_catalog.=) nc.relnamespace
      LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid OPERATOR(pg_catalog.=) p.oid
                                              AND pr.prrelid OPERATOR(pg_catalog.=) named.oid
                                              AND NOT p.puballtables
     WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.name[])) AS publications
  FROM pg_catalog.pg_class c
 WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])`;

/**
 * Gives which of the publications publish the tables with these OIDs, by OID. `version`:
 * `server_version_num`. To be run with `pg_catalog` first in the search path, and nothing behind it that
 * anybody may create in: under that the filters are printed.
 */
export async function readPublications(
  connection: Connection,
  publications: readonly string[],
  oids: readonly number[],
  version: number,
): Promise<Map<number, readonly PublishedBy[]>> {
  const rows = await connection.query(
    "look up what the publications have",
    publishedQuery(version),
    [oids, publications],
  );
  return new Map(rows.map(({ oid, publications }) => [
    Number(oid),
    publications === null || publications === undefined ? [] : JSON.parse(publications),
  ]));
}

/** Of several names the server takes the one that is the furthest above, and the rules that come with it. */
export function namedBy(publishedBy: readonly PublishedBy[]): readonly PublishedBy[] {
  const level = Math.max(...publishedBy.map((each) => each.level));
  return publishedBy.filter((each) => each.level === level);
}
