import type { Connection } from "../connection/connection.ts";
import { isTrue } from "../connection/text_row.ts";
import type { PublishableTable } from "./publication_tables.ts";

/** What of a table's columns decides whether its rows can be spread. */
export interface SplitFacts {
  /** The columns of its primary key, in key order; none without one. */
  readonly key: readonly { readonly name: string; readonly isUsable: boolean }[];
  /** Those of its replica identity; undefined: the whole row. */
  readonly identity: readonly string[] | undefined;
  /** Rows written since its statistics began. */
  readonly writes: number;
}

/**
 * Types that a row filter takes and that have a hash, by their OIDs, which do not change. A user's type,
 * an enumeration or a domain among them, is refused by CREATE PUBLICATION; a type without a hash would
 * stop decoding at the first change.
 */
// deno-fmt-ignore
const USABLE_TYPES = [
  16, // boolean
  17, 18, 19, 25, 1042, 1043, // bytea, "char", name, text, character, character varying
  20, 21, 23, 26, // bigint, smallint, integer, oid
  700, 701, 1700, // real, double precision, numeric
  650, 774, 829, 869, // cidr, macaddr8, macaddr, inet
  1082, 1083, 1114, 1184, 1186, 1266, // date, time, timestamp, timestamptz, interval, timetz
  2950, 3220, 3802, // uuid, pg_lsn, jsonb
];

const FACTS_QUERY = `
SELECT c.oid::pg_catalog.text AS oid, (c.relreplident OPERATOR(pg_catalog.=) 'f')::pg_catalog.text AS is_full,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'isUsable',
                 a.atttypid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])
                 AND a.attcollation OPERATOR(pg_catalog.<) 16384::pg_catalog.oid
                 AND COALESCE(pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.->>) 'attgenerated', '')
                     OPERATOR(pg_catalog.=) '') ORDER BY k.place)
          FROM pg_catalog.pg_index i
         CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
          JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
           AND a.attnum OPERATOR(pg_catalog.=) k.attnum
         WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisprimary)::pg_catalog.text AS key,
       (SELECT pg_catalog.json_agg(a.attname)
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
           AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey)
         WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
           AND (c.relreplident OPERATOR(pg_catalog.=) 'd' AND i.indisprimary AND i.indimmediate
             OR c.relreplident OPERATOR(pg_catalog.=) 'i' AND i.indisreplident))::pg_catalog.text AS identity,
       COALESCE(pg_catalog.pg_stat_get_tuples_inserted(c.oid)
         OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(c.oid)
         OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_deleted(c.oid), 0)::pg_catalog.text AS writes
  FROM pg_catalog.pg_class c
 WHERE c.oid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.oid[])`;

/** Gives them by the tables' OIDs. */
export async function readSplitFacts(
  connection: Connection,
  tables: readonly PublishableTable[],
): Promise<ReadonlyMap<string, SplitFacts>> {
  const rows = await connection.query("look up keys and replica identities", FACTS_QUERY, [
    USABLE_TYPES,
    tables.map(({ oid }) => oid),
  ]);
  return new Map(rows.map((row) => [row.oid!, {
    key: JSON.parse(row.key ?? "[]"),
    identity: isTrue(row.is_full) ? undefined : JSON.parse(row.identity ?? "[]"),
    writes: Number(row.writes),
  }]));
}

/**
 * The columns by whose hash the rows of a table can be spread, or why they cannot. Each is of the primary
 * key, so that a key stays in one part, and of the replica identity of every table that has the rows,
 * since UPDATE and DELETE fail in the application otherwise.
 */
export function splitColumns(
  { key }: SplitFacts,
  holders: readonly SplitFacts[],
): { readonly columns: readonly string[] } | { readonly why: string } {
  if (key.length === 0) {
    return { why: "it has no primary key, so that only its order as a whole counts" };
  }
  const usable = key.filter(({ isUsable }) => isUsable);
  if (usable.length === 0) {
    return {
      why: "a row filter cannot use any column of its primary key (their types or collations)",
    };
  }
  const columns = usable.map(({ name }) => name).filter((name) =>
    holders.every(({ identity }) => identity?.includes(name) ?? true)
  );
  return columns.length > 0
    ? { columns }
    : { why: "no column of its primary key is in its replica identity" };
}
