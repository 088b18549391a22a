/**
 * What is asked of `pg_catalog` about tables that could be backfilled. As everywhere here, every operator,
 * function and type is named with its schema.
 */

/** `pg_publication_namespace`, row filters and column lists came with 15. */
const SCHEMAS_VERSION = 150000;

/** PostgreSQL 10 has no INCLUDE and no `indnkeyatts`. */
const KEY_COUNT = `COALESCE((pg_catalog.to_jsonb(i) OPERATOR(pg_catalog.->>) 'indnkeyatts')
                     ::pg_catalog.int4, i.indnatts)`;

/** Where a table is in a publication by its schema, `oid` being the table's. */
const inPublishedSchema = (version: number, oid: string) =>
  version < SCHEMAS_VERSION ? "false" : `EXISTS (
       SELECT FROM pg_catalog.pg_publication_namespace pn
         JOIN pg_catalog.pg_class x ON x.relnamespace OPERATOR(pg_catalog.=) pn.pnnspid
        WHERE pn.pnpubid OPERATOR(pg_catalog.=) p.oid AND x.oid OPERATOR(pg_catalog.=) ${oid})`;

/**
 * A JSON list of the publications that publish a table `c`, with the table by whose name and rules each one
 * does: with `publish_via_partition_root` the topmost one above it that is in the publication.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/replication/pgoutput/pgoutput.c
 * (get_rel_sync_entry)
 */
const publications = (version: number) =>
  `(WITH RECURSIVE up (oid, level) AS (
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
             'rootKey', CASE WHEN named.root THEN (
                SELECT pg_catalog.json_agg(a.attname ORDER BY k.nth)
                  FROM pg_catalog.pg_index i
                 CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[])
                       WITH ORDINALITY AS k (attnum, nth)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) named.oid
                                                AND a.attnum OPERATOR(pg_catalog.=) k.attnum
                 WHERE i.indrelid OPERATOR(pg_catalog.=) named.oid AND i.indisprimary AND i.indimmediate
                   AND k.nth OPERATOR(pg_catalog.<=) ${KEY_COUNT}) END,
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
     WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.name[]))`;

/** A JSON list of the key columns of an index `i` of the table `c`. */
const KEY_COLUMNS = `(
  SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
           'name', a.attname,
           'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
           'notNull', a.attnotnull,
           -- It came with 12.
           'generated', COALESCE(pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.->>) 'attgenerated', '')
                          OPERATOR(pg_catalog.<>) '',
           'isDefaultOrder', o.opcdefault
              AND i.indcollation[place.at] OPERATOR(pg_catalog.=) a.attcollation,
           'option', i.indoption[place.at]
         ) ORDER BY place.at)
    FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, nth)
   CROSS JOIN LATERAL (SELECT (k.nth OPERATOR(pg_catalog.-) 1)::pg_catalog.int4 AS at) place
    JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
                                  AND a.attnum OPERATOR(pg_catalog.=) k.attnum
    JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) i.indclass[place.at]
   WHERE k.nth OPERATOR(pg_catalog.<=) ${KEY_COUNT})`;

/**
 * Tables, views and what else a person may take for a table, in the order of their OIDs. Parameters: the
 * role whose rights count, NULL for the one that asks; the OIDs, NULL for all; the publications of
 * pgoutput, NULL with another plugin.
 */
export const tablesQuery = (version: number): string => `
SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS table,
       c.relkind AS kind, c.relpersistence AS persistence, c.relreplident AS identity,
       c.reltuples::pg_catalog.text AS tuples, c.relpages::pg_catalog.text AS pages,
       role.rolname AS role, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.has_schema_privilege(role.oid, n.oid, 'USAGE')::pg_catalog.text AS may_use,
       pg_catalog.has_table_privilege(role.oid, c.oid, 'SELECT')::pg_catalog.text AS may_select,
       (c.relrowsecurity AND NOT role.sees_all
         AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(role.oid, c.relowner, 'USAGE')))
         ::pg_catalog.text AS row_security,
       (WITH RECURSIVE up (oid, level) AS (
          SELECT h.inhparent, 1 FROM pg_catalog.pg_inherits h
           WHERE c.relispartition AND h.inhrelid OPERATOR(pg_catalog.=) c.oid
           UNION ALL
          SELECT h.inhparent, up.level OPERATOR(pg_catalog.+) 1
            FROM up
            JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) up.oid AND x.relispartition
            JOIN pg_catalog.pg_inherits h ON h.inhrelid OPERATOR(pg_catalog.=) up.oid)
        SELECT pg_catalog.json_agg(pg_catalog.concat(un.nspname, '.', uc.relname) ORDER BY up.level)
                 ::pg_catalog.text
          FROM up
          JOIN pg_catalog.pg_class uc ON uc.oid OPERATOR(pg_catalog.=) up.oid
          JOIN pg_catalog.pg_namespace un ON un.oid OPERATOR(pg_catalog.=) uc.relnamespace) AS ancestors,
       (SELECT pg_catalog.json_build_object(
                 'oid', i.indexrelid::pg_catalog.text, 'name', ic.relname, 'isPrimary', i.indisprimary,
                 'isImmediate', i.indimmediate,
                 'isValid', i.indisvalid AND i.indisready AND i.indislive,
                 'method', am.amname, 'columns', ${KEY_COLUMNS})::pg_catalog.text
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_class ic ON ic.oid OPERATOR(pg_catalog.=) i.indexrelid
          JOIN pg_catalog.pg_am am ON am.oid OPERATOR(pg_catalog.=) ic.relam
         WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
           AND (i.indisprimary OR c.relreplident OPERATOR(pg_catalog.=) 'i' AND i.indisreplident)
         ORDER BY i.indisprimary DESC LIMIT 1) AS key,
       (SELECT pg_catalog.json_agg(a.attname)::pg_catalog.text
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
            AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[])
         WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisreplident
           AND c.relreplident OPERATOR(pg_catalog.=) 'i') AS identity_columns,
       ${publications(version)} AS publications
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 CROSS JOIN (SELECT r.oid, r.rolname, r.rolsuper OR r.rolbypassrls AS sees_all
               FROM pg_catalog.pg_roles r
              WHERE r.rolname OPERATOR(pg_catalog.=) COALESCE($1::pg_catalog.name, current_user)) role
 WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,v,f}'::pg_catalog."char"[])
   AND n.nspname OPERATOR(pg_catalog.<>)
       ALL ('{pg_catalog,information_schema,pg_toast}'::pg_catalog.name[])
   AND ($2::pg_catalog.oid[] IS NULL OR c.oid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.oid[]))
 ORDER BY c.oid`;
