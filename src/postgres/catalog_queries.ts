/**
 * What is asked of `pg_catalog`. Never of `information_schema`, which hides what the role may not
 * read; these take AccessShare locks on the catalog alone.
 */

/** Tables that can be in the WAL: permanent ones, and partitioned and materialized ones. */
const FOLLOWED = `c.relkind IN ('r', 'p', 'm') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;

/** A JSON list of an index's key columns in key order; INCLUDE columns follow those. */
function keyColumns(condition: string): string {
  return `(SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)::text
     FROM pg_catalog.pg_index i
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = c.oid AND ${condition}
      -- PostgreSQL 10 has no INCLUDE and no indnkeyatts.
      AND k.place <= COALESCE((pg_catalog.to_jsonb(i)->>'indnkeyatts')::int, i.indnatts))`;
}

/** The index that is the replica identity; a deferrable primary key cannot be it. */
const IDENTITY = `(c.relreplident = 'd' AND i.indisprimary AND i.indimmediate
  OR c.relreplident = 'i' AND i.indisreplident)`;

/** Which transactions a query sees that begins later: `xmin:xmax:xip,xip`, xids of 64 bits. */
export const SNAPSHOT_QUERY = "SELECT pg_catalog.txid_current_snapshot()::text AS snapshot";

/** `attgenerated` and its "v" are younger than PostgreSQL 10; whatever is generated has a default. */
const VIRTUAL_COLUMNS = `CASE
  WHEN pg_catalog.current_setting('server_version_num')::int >= 180000 THEN
   (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)::text
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atthasdef
       AND pg_catalog.to_jsonb(a)->>'attgenerated' = 'v')
  END`;

/**
 * Columns: oid, schema, name, identity, key, identity_key, virtual, parent. The last four are JSON
 * lists.
 */
export const TABLES_QUERY = `
SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relreplident AS identity,
       ${keyColumns("i.indisprimary")} AS key,
       ${keyColumns(IDENTITY)} AS identity_key,
       ${VIRTUAL_COLUMNS} AS virtual,
       (SELECT pg_catalog.json_build_array(pn.nspname, pc.relname)::text
          FROM pg_catalog.pg_inherits h
          JOIN pg_catalog.pg_class pc ON pc.oid = h.inhparent AND pc.relkind = 'p'
          JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
         WHERE h.inhrelid = c.oid) AS parent
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE ${FOLLOWED}`;

/**
 * Columns: oid, typmod, name. Every type bare, but for the row types of tables; the types of all
 * present columns as they are declared; and the pairs given as two arrays, as far as they exist.
 */
export const TYPES_QUERY = `
SELECT t.oid::text AS oid, '-1' AS typmod, pg_catalog.format_type(t.oid, NULL) AS name
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
 WHERE t.typtype <> 'c' AND e.typtype IS DISTINCT FROM 'c'
UNION ALL
SELECT u.oid::text, u.typmod::text, pg_catalog.format_type(u.oid, u.typmod)
  FROM (SELECT a.atttypid AS oid, a.atttypmod AS typmod
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE a.attnum > 0 AND NOT a.attisdropped AND ${FOLLOWED}
        UNION
        SELECT w.oid, w.typmod
          FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int4[])) AS w (oid, typmod)
          JOIN pg_catalog.pg_type t ON t.oid = w.oid) u`;
