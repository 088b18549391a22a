import { PLUGINS } from "../decode/plugins.ts";
import type { OutputPlugin } from "../options.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import type { TextRow } from "../postgres/connection/text_row.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import { tablesQuery } from "./eligibility_query.ts";

/** Whose rights count, and how the run follows its slot. */
export interface Reader {
  /** The role that reads; undefined: the one that asks. */
  readonly role: string | undefined;
  readonly plugin: OutputPlugin;
  /** Where the plugin uses them. */
  readonly publications: readonly string[];
  /** `server_version_num`. */
  readonly version: number;
  /** The format publishes nothing but primary keys. */
  readonly needsPrimaryKey?: boolean;
}

export type TableKind = "table" | "partitioned" | "materialized view" | "view" | "foreign table";

export interface KeyColumn {
  readonly name: string;
  /** As SQL, with its schema unless it is of `pg_catalog`: `character varying(20)`. */
  readonly type: string;
}

/** What the catalog says of the index by which a table would be read. */
export interface KeyIndex {
  readonly oid: string;
  readonly name: string;
  readonly isPrimary: boolean;
  readonly isImmediate: boolean;
  readonly isValid: boolean;
  /** `btree`. */
  readonly method: string;
  readonly columns: readonly (KeyColumn & {
    readonly notNull: boolean;
    readonly generated: boolean;
    /** Its operator class and collation are those that ORDER BY takes. */
    readonly isDefaultOrder: boolean;
    /** `indoption`: 1 for DESC, 2 for NULLS FIRST. */
    readonly option: number;
  })[];
}

/** A publication that publishes the table, and by whose name and rules it does. */
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
  /** The primary key of the table above, by whose name it is published; null without one. */
  readonly rootKey: readonly string[] | null;
  readonly filter: string | null;
  readonly columns: readonly string[] | null;
}

/** What the catalog says of a table. */
export interface TableFacts {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The same as SQL. */
  readonly quoted: string;
  readonly kind: TableKind;
  /** `p` for permanent, `u` for unlogged, `t` for temporary. */
  readonly persistence: string;
  /** `reltuples`, an estimate; undefined where there is none. */
  readonly expectedRows: number | undefined;
  /** `relreplident`. */
  readonly identity: string;
  /** Columns of the index that was named as the replica identity. */
  readonly identityColumns: readonly string[] | undefined;
  /** Its primary key, else the index that is its replica identity. */
  readonly index: KeyIndex | undefined;
  /** The one whose rights these are. */
  readonly role: string;
  readonly owner: string;
  readonly mayUse: boolean;
  readonly maySelect: boolean;
  /** Row level security hides rows from the role, or may. */
  readonly isRowSecured: boolean;
  /** `schema.table` of the partitioned tables above it, the nearest first. */
  readonly ancestors: readonly string[];
  readonly publishedBy: readonly PublishedBy[];
}

const KINDS: Readonly<Record<string, TableKind>> = {
  r: "table",
  p: "partitioned",
  m: "materialized view",
  v: "view",
  f: "foreign table",
};

/** Of all tables, or of those with the OIDs, in the order of their OIDs. */
export async function readTableFacts(
  connection: Connection,
  { role, plugin, publications, version }: Reader,
  oids?: readonly number[],
): Promise<TableFacts[]> {
  const rows = await connection.query(
    "look for tables that can be read",
    tablesQuery(version),
    [role ?? null, oids ?? null, PLUGINS[plugin].usesPublications ? publications : null],
  );
  return rows.map(factsOf);
}

function factsOf(row: TextRow): TableFacts {
  const { oid, schema, table, kind, persistence, tuples, pages, identity, role, owner } = row;
  // A table that was never looked at says -1, before 14 0 and no pages.
  const isCounted = Number(tuples) > 0 || Number(tuples) === 0 && Number(pages) > 0;
  return {
    oid: Number(oid),
    schema: schema!,
    table: table!,
    name: `${schema}.${table}`,
    quoted: `${quoteIdentifier(schema!)}.${quoteIdentifier(table!)}`,
    kind: KINDS[kind!]!,
    persistence: persistence!,
    expectedRows: isCounted ? Number(tuples) : undefined,
    identity: identity!,
    identityColumns: listOf(row.identity_columns),
    index: row.key === null ? undefined : JSON.parse(row.key!),
    role: role!,
    owner: owner!,
    mayUse: row.may_use === "true",
    maySelect: row.may_select === "true",
    isRowSecured: row.row_security === "true",
    ancestors: listOf(row.ancestors) ?? [],
    publishedBy: listOf<PublishedBy>(row.publications) ?? [],
  };
}

function listOf<T = string>(json: string | null | undefined): readonly T[] | undefined {
  return json === null || json === undefined ? undefined : JSON.parse(json);
}
