import type { Connection } from "../connection/connection.ts";
import { isTrue, type TextRow } from "../connection/text_row.ts";
import { isHidden, quoteIdentifier } from "../connection/sql_text.ts";

/** A table that could be in a publication. */
export interface PublishableTable {
  readonly oid: string;
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The same as SQL. */
  readonly quoted: string;
  readonly isPartitioned: boolean;
  /** The partitioned table that it is a direct partition of. */
  readonly parent: string | undefined;
  /** Whether its updates and deletes can be published; with a publication they fail otherwise. */
  readonly hasIdentity: boolean;
  /** A primary key that is a replica identity; of a partitioned table every partition has it too. */
  readonly hasKey: boolean;
}

/** What a publication is made of. */
export interface TableChoice {
  /** The names as SQL. */
  readonly listed: readonly string[];
  /** `schema.table` of those that match and have no replica identity. */
  readonly leftOut: readonly string[];
}

/** Partitioned tables can be in publications from 13 on. */
export const PARTITIONED_VERSION = 130000;

/** Permanent tables of users; materialized views cannot be in a publication. */
const TABLES_QUERY = `
SELECT c.oid::pg_catalog.text AS oid, pg_catalog.concat(n.nspname, '.', c.relname) AS name,
       n.nspname AS schema, c.relname AS table,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS quoted,
       (c.relkind OPERATOR(pg_catalog.=) 'p')::pg_catalog.text AS partitioned,
       (SELECT h.inhparent::pg_catalog.text FROM pg_catalog.pg_inherits h
         WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid AND c.relispartition LIMIT 1) AS parent,
       (c.relreplident OPERATOR(pg_catalog.=) 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i
         WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
           AND (c.relreplident OPERATOR(pg_catalog.=) 'd' AND i.indisprimary AND i.indimmediate
             OR c.relreplident OPERATOR(pg_catalog.=) 'i' AND i.indisreplident)))::pg_catalog.text
         AS identity,
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
         AND i.indisprimary AND i.indimmediate)::pg_catalog.text AS key
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
   AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
   AND n.nspname OPERATOR(pg_catalog.<>)
       ALL ('{pg_catalog,information_schema,pg_toast}'::pg_catalog.name[])
 ORDER BY n.nspname, c.relname`;

export async function publishableTables(connection: Connection): Promise<PublishableTable[]> {
  const rows = await connection.query("look for tables to publish", TABLES_QUERY);
  return rows.map((row) => ({
    oid: row.oid!,
    name: row.name!,
    quoted: isHidden(row.name!) ? quoteTable(row) : row.quoted!,
    isPartitioned: isTrue(row.partitioned),
    parent: row.parent ?? undefined,
    hasIdentity: isTrue(row.identity),
    hasKey: isTrue(row.key),
  }));
}

/** The server itself quotes only what must be, but escapes nothing. */
function quoteTable({ schema, table }: TextRow): string {
  return `${quoteIdentifier(schema!)}.${quoteIdentifier(table!)}`;
}

/**
 * Lists the tables that are wanted and have a replica identity. Changes of a partitioned table carry
 * its partitions' names, so the partitions decide: it is listed itself, with the partitions that it
 * will get, where all that it has qualify, and its key makes sure that later ones do.
 */
export function chooseTables(
  tables: readonly PublishableTable[],
  wanted: (qualifiedName: string) => boolean,
  serverVersion: number,
): TableChoice {
  const partitions = new Map<string, PublishableTable[]>();
  const known = new Set(tables.map(({ oid }) => oid));
  const roots: PublishableTable[] = [];
  for (const table of tables) {
    if (table.parent === undefined || !known.has(table.parent)) roots.push(table);
    else partitions.set(table.parent, [...partitions.get(table.parent) ?? [], table]);
  }

  const listed: string[] = [];
  const leftOut: string[] = [];
  const qualifies = (table: PublishableTable): boolean => {
    if (!wanted(table.name)) return false;
    if (!table.isPartitioned) return table.hasIdentity;
    return serverVersion >= PARTITIONED_VERSION && table.hasKey &&
      (partitions.get(table.oid) ?? []).every(qualifies);
  };
  const choose = (table: PublishableTable): void => {
    if (qualifies(table)) listed.push(table.quoted);
    else if (table.isPartitioned) partitions.get(table.oid)?.forEach(choose);
    else if (wanted(table.name)) leftOut.push(table.name);
  };
  roots.forEach(choose);
  return { listed, leftOut };
}

/**
 * The names, by `schema.table`, under which the changes of wanted partitions come: that of the uppermost
 * table above them that is itself in the publications, else their own. With the partitions of each.
 */
export function partitionNames(
  tables: readonly PublishableTable[],
  published: ReadonlySet<string>,
  wanted: (qualifiedName: string) => boolean,
): ReadonlyMap<string, readonly string[]> {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const names = new Map<string, string[]>();
  for (const partition of tables) {
    if (partition.parent === undefined || partition.isPartitioned || !wanted(partition.name)) {
      continue;
    }
    let name: string | undefined;
    for (
      let table: PublishableTable | undefined = partition;
      table !== undefined;
      table = byOid.get(table.parent ?? "")
    ) {
      if (published.has(table.name)) name = table.name;
    }
    if (name === undefined) continue;
    names.set(name, [...names.get(name) ?? [], partition.name]);
  }
  return names;
}

/** The tables, by `schema.table`, that publications publish in place of their partitions. */
export async function publishedRoots(
  connection: Connection,
  publications: readonly string[],
): Promise<string[]> {
  const rows = await connection.query(
    "look for partitioned tables that are published by their own names",
    `SELECT DISTINCT pg_catalog.concat(t.schemaname, '.', t.tablename) AS name
       FROM pg_catalog.pg_publication_tables t
       JOIN pg_catalog.pg_publication p ON p.pubname OPERATOR(pg_catalog.=) t.pubname
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)
        -- It came with 13.
        AND (pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubviaroot') OPERATOR(pg_catalog.=) 'true'`,
    [publications],
  );
  return rows.map(({ name }) => name!);
}

/**
 * Tables that are wanted and whose changes none of the publications sends. A publication may name the
 * changes of partitions by a table above them; then that name must be wanted.
 */
export function unpublishedTables(
  tables: readonly PublishableTable[],
  published: ReadonlySet<string>,
  wanted: (qualifiedName: string) => boolean,
): string[] {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const isPublished = (table: PublishableTable | undefined): boolean =>
    table !== undefined &&
    (published.has(table.name) && wanted(table.name) ||
      table.parent !== undefined && isPublished(byOid.get(table.parent)));
  return tables.filter((table) => !table.isPartitioned && wanted(table.name) && !isPublished(table))
    .map(({ name }) => name);
}
