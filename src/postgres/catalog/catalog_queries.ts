/**
 * What is asked of `pg_catalog`. Never of `information_schema`, which hides what the role may not
 * read; these take AccessShare locks on the catalog alone.
 *
 * As everywhere here, every operator, function and type is named with its schema: a name alone could
 * find what a user of the database made. So no IN, LIKE, BETWEEN, IS DISTINCT FROM, CASE x WHEN or
 * USING, which look for an operator by its bare name. tests/e2e/search_path_test.ts finds the rest.
 */

/** Tables that can be in the WAL: permanent ones, and partitioned and materialized ones. */
const FOLLOWED = `c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m}'::pg_catalog."char"[])
  AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
  AND n.nspname OPERATOR(pg_catalog.<>)
      ALL ('{pg_catalog,information_schema,pg_toast}'::pg_catalog.name[])`;

/** A JSON list of an index's key columns in key order; INCLUDE columns follow those. */
function keyColumns(condition: string): string {
  return `(SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)::pg_catalog.text
     FROM pg_catalog.pg_index i
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place)
     JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid
                                   AND a.attnum OPERATOR(pg_catalog.=) k.attnum
    WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND ${condition}
      -- PostgreSQL 10 has no INCLUDE and no indnkeyatts.
      AND k.place OPERATOR(pg_catalog.<=) COALESCE(
            (pg_catalog.to_jsonb(i) OPERATOR(pg_catalog.->>) 'indnkeyatts')::pg_catalog.int4,
            i.indnatts))`;
}

/** The index that is the replica identity; a deferrable primary key cannot be it. */
const IDENTITY = `(c.relreplident OPERATOR(pg_catalog.=) 'd' AND i.indisprimary AND i.indimmediate
  OR c.relreplident OPERATOR(pg_catalog.=) 'i' AND i.indisreplident)`;

/** Which transactions a query sees that begins later: `xmin:xmax:xip,xip`, xids of 64 bits. */
export const SNAPSHOT_QUERY =
  "SELECT pg_catalog.txid_current_snapshot()::pg_catalog.text AS snapshot";

/** `attgenerated` and its "v" are younger than PostgreSQL 10; whatever is generated has a default. */
const VIRTUAL_COLUMNS = `CASE
  WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4
       OPERATOR(pg_catalog.>=) 180000 THEN
   (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)::pg_catalog.text
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND a.atthasdef
       AND (pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.->>) 'attgenerated') OPERATOR(pg_catalog.=) 'v')
  END`;

/** Columns of the primary key that are generated; `atthasdef` first, since few have a default. */
const GENERATED_KEY = `(SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)::pg_catalog.text
     FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid
      AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]) AND a.atthasdef
    WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisprimary
      AND (pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.->>) 'attgenerated') OPERATOR(pg_catalog.<>) '')`;

/** What is asked of a table `c` in the schema `n`. The last five are JSON lists. */
const TABLE_COLUMNS = `c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name,
       c.relkind AS kind, c.relreplident AS identity,
       ${keyColumns("i.indisprimary")} AS key,
       ${keyColumns(IDENTITY)} AS identity_key,
       ${GENERATED_KEY} AS generated_key,
       ${VIRTUAL_COLUMNS} AS virtual,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, pc.relname)
                                   ORDER BY h.inhseqno)::pg_catalog.text
          FROM pg_catalog.pg_inherits h
          JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) h.inhparent
          JOIN pg_catalog.pg_namespace pn ON pn.oid OPERATOR(pg_catalog.=) pc.relnamespace
         WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid) AS parents`;

/** Columns: those of a table. */
export const TABLES_QUERY = `
SELECT ${TABLE_COLUMNS}
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE ${FOLLOWED}`;

/**
 * Columns: snapshot, and those of a table: of the tables whose schemas and names are given as two arrays,
 * and of all that they are partitions of or inherit from, however far up. One row without a table when
 * none is there. By indexes alone, since changes wait for it.
 */
export const SOME_TABLES_QUERY = `
WITH RECURSIVE chosen (oid) AS (
  SELECT c.oid
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.name[]), pg_catalog.unnest($2::pg_catalog.name[]))
         AS asked (schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) asked.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
                              AND c.relname OPERATOR(pg_catalog.=) asked.name
   UNION
  SELECT h.inhparent
    FROM chosen
    JOIN pg_catalog.pg_inherits h ON h.inhrelid OPERATOR(pg_catalog.=) chosen.oid)
SELECT pg_catalog.txid_current_snapshot()::pg_catalog.text AS snapshot, t.*
  FROM (SELECT) AS one
  LEFT JOIN (SELECT ${TABLE_COLUMNS}
               FROM chosen
               JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) chosen.oid
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
              WHERE ${FOLLOWED}) t ON true`;

/**
 * Columns: oid, name. Every type without a modifier, but for the row types of tables; built-in ones
 * first, and of all others so many that somebody who keeps creating types cannot fill our memory.
 * `format_type` names a type as the session's search path shows it: to be run under the walsender's.
 */
export const TYPES_QUERY = `
SELECT t.oid::pg_catalog.text AS oid, pg_catalog.format_type(t.oid, -1) AS name
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem
 WHERE t.typtype OPERATOR(pg_catalog.<>) 'c'
   AND (e.oid IS NULL OR e.typtype OPERATOR(pg_catalog.<>) 'c')
 ORDER BY t.oid
 LIMIT 10000`;

/** Columns: oid, typmod, name, of the pairs given as two arrays, as far as the types exist. As above. */
export const WANTED_TYPES_QUERY = `
SELECT w.oid::pg_catalog.text AS oid, w.typmod::pg_catalog.text AS typmod,
       pg_catalog.format_type(w.oid, w.typmod) AS name
  FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]))
       AS w (oid, typmod)
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) w.oid`;

/**
 * Columns: name, base: of every domain, the type below it and those it is made of, with its modifier. As
 * many as {@linkcode TYPES_QUERY} gives types. As above.
 */
export const DOMAINS_QUERY = `
WITH RECURSIVE below (oid, base, typmod) AS (
  SELECT d.oid, d.typbasetype, d.typtypmod
    FROM (SELECT t.oid, t.typbasetype, t.typtypmod
            FROM pg_catalog.pg_type t
           WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
           ORDER BY t.oid
           LIMIT 10000) d
   UNION ALL
  SELECT b.oid, t.typbasetype, t.typtypmod
    FROM below b
    JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) b.base
   WHERE t.typtype OPERATOR(pg_catalog.=) 'd')
SELECT pg_catalog.format_type(b.oid, -1) AS name, pg_catalog.format_type(b.base, b.typmod) AS base
  FROM below b
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) b.base
 WHERE t.typtype OPERATOR(pg_catalog.<>) 'd'`;
