import type { Connection } from "../postgres/connection/connection.ts";
import { isTrue, type TextRow } from "../postgres/connection/text_row.ts";

/** What a read must know of a table, as one snapshot of the catalog shows it. */
export interface TableFacts {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** `pg_class.relkind`. */
  readonly kind: string;
  /** `p` for permanent, `u` for unlogged, `t` for temporary. */
  readonly persistence: string;
  /** `pg_class.relreplident`: default, nothing, full, index. */
  readonly replicaIdentity: string;
  /** The one whose rights these are. */
  readonly role: string;
  readonly owner: string;
  /** Whether the role may use the schema, and read the whole table. */
  readonly mayUse: boolean;
  readonly maySelect: boolean;
  /** Row level security hides rows from the role, or may. */
  readonly isSecured: boolean;
  /** What it is a partition of: the direct parent first. */
  readonly ancestors: readonly Ancestor[];
  /** In table order, without those that were dropped. */
  readonly columns: readonly ColumnFacts[];
  /** The primary key, and the index that is the replica identity. */
  readonly indexes: readonly IndexFacts[];
}

export interface Ancestor {
  /** `schema.table`, unquoted. */
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  /** Columns of its primary key, in key order; undefined without one, or with one that is deferrable. */
  readonly key: readonly string[] | undefined;
}

export interface ColumnFacts {
  readonly name: string;
  /** `format_type` without and with its modifier, under the walsender's search path. */
  readonly type: string;
  readonly fullType: string;
  /** `boolean` itself. */
  readonly isBoolean: boolean;
  /** It may print NaN or an infinity: a float or a numeric, not a domain of one. */
  readonly isFloating: boolean;
  readonly generated: "" | "stored" | "virtual";
}

export interface IndexFacts {
  readonly name: string;
  readonly isPrimary: boolean;
  readonly isIdentity: boolean;
  readonly isValid: boolean;
  readonly isImmediate: boolean;
  /** `btree`. */
  readonly method: string;
  /** It has all rows, by their columns alone. */
  readonly isPlain: boolean;
  readonly columns: readonly IndexColumnFacts[];
}

export interface IndexColumnFacts {
  readonly name: string;
  readonly isNotNull: boolean;
  /** Its operator class and collation are those by which the server orders the column. */
  readonly isDefault: boolean;
  readonly isDescending: boolean;
  readonly isNullsFirst: boolean;
  /** Schema and name of its type, of a domain that of the type below. */
  readonly type: readonly [schema: string, name: string];
  /** Its type contains a domain, as an array of one: to read a value of it is to run the domain's checks. */
  readonly runsChecks: boolean;
  /** Schema and name of the operator that says whether a value comes later in the index. */
  readonly later: readonly [schema: string, name: string] | undefined;
  readonly equal: readonly [schema: string, name: string] | undefined;
}

const operatorOf = (strategy: string) =>
  `(SELECT pg_catalog.json_build_array(opn.nspname, op.oprname)
      FROM pg_catalog.pg_amop ap
      JOIN pg_catalog.pg_operator op ON op.oid OPERATOR(pg_catalog.=) ap.amopopr
      JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) op.oprnamespace
     WHERE ap.amopfamily OPERATOR(pg_catalog.=) oc.opcfamily
       AND ap.amoplefttype OPERATOR(pg_catalog.=) oc.opcintype
       AND ap.amoprighttype OPERATOR(pg_catalog.=) oc.opcintype
       AND ap.amopstrategy OPERATOR(pg_catalog.=) (${strategy})::pg_catalog.int2)`;

/** Of the type of an attribute: the one below, where it is a domain. */
const BASE_TYPE = `(WITH RECURSIVE base (oid, depth) AS (
      SELECT a.atttypid, 0
       UNION ALL
      SELECT t.typbasetype, base.depth OPERATOR(pg_catalog.+) 1
        FROM base JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) base.oid
       WHERE t.typtype OPERATOR(pg_catalog.=) 'd')
    SELECT pg_catalog.json_build_array(tn.nspname, t.typname)
      FROM base
      JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) base.oid
      JOIN pg_catalog.pg_namespace tn ON tn.oid OPERATOR(pg_catalog.=) t.typnamespace
     ORDER BY base.depth DESC LIMIT 1)`;

/** Whether a domain lies inside of the type of an attribute: in an array, a range or a composite type. */
const RUNS_CHECKS = `(WITH RECURSIVE inside (oid, is_top) AS (
      SELECT a.atttypid, true
       UNION
      SELECT part.oid, inside.is_top AND t.typtype OPERATOR(pg_catalog.=) 'd'
        FROM inside
        JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) inside.oid
       CROSS JOIN LATERAL (
         SELECT t.typbasetype WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
          UNION ALL
         SELECT t.typelem WHERE t.typelem OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
          UNION ALL
         SELECT r.rngsubtype FROM pg_catalog.pg_range r
          WHERE t.oid::pg_catalog.text OPERATOR(pg_catalog.=) ANY (ARRAY[r.rngtypid::pg_catalog.text,
                pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'rngmultitypid'])
          UNION ALL
         SELECT f.atttypid FROM pg_catalog.pg_attribute f
          WHERE f.attrelid OPERATOR(pg_catalog.=) t.typrelid
            AND f.attnum OPERATOR(pg_catalog.>) 0 AND NOT f.attisdropped) part (oid)
       -- Those of the server itself have none.
       WHERE inside.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
    SELECT pg_catalog.bool_or(NOT inside.is_top AND t.typtype OPERATOR(pg_catalog.=) 'd')
      FROM inside JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) inside.oid)`;

const option = (bit: number) =>
  `(i.indoption[k.place::pg_catalog.int4 OPERATOR(pg_catalog.-) 1]
  OPERATOR(pg_catalog.&) ${bit}::pg_catalog.int2) OPERATOR(pg_catalog.=) ${bit}::pg_catalog.int2`;
const IS_DESCENDING = option(1);
const IS_NULLS_FIRST = option(2);

/** Columns of an index in key order, without those of INCLUDE, which 10 does not have. */
const keyOf = (index: string, join = "") =>
  `CROSS JOIN LATERAL pg_catalog.unnest(${index}.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place)
   LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) ${index}.indrelid
                                      AND a.attnum OPERATOR(pg_catalog.=) k.attnum
   ${join}
   WHERE k.place OPERATOR(pg_catalog.<=) COALESCE(
           (pg_catalog.to_jsonb(${index}) OPERATOR(pg_catalog.->>) 'indnkeyatts')::pg_catalog.int4,
           ${index}.indnatts)`;

const PLACE = "k.place::pg_catalog.int4 OPERATOR(pg_catalog.-) 1";

const INDEXES = `(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', ic.relname, 'isPrimary', i.indisprimary, 'isIdentity', i.indisreplident,
      'isValid', i.indisvalid AND i.indisready AND i.indislive,
      'isImmediate', i.indimmediate, 'method', am.amname,
      'isPlain', i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL,
      'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', a.attname, 'isNotNull', COALESCE(a.attnotnull, false),
          'isDefault', COALESCE(oc.opcdefault, false)
             AND i.indcollation[${PLACE}] OPERATOR(pg_catalog.=) a.attcollation,
          'type', ${BASE_TYPE}, 'runsChecks', COALESCE(${RUNS_CHECKS}, false),
          'isDescending', ${IS_DESCENDING}, 'isNullsFirst', ${IS_NULLS_FIRST},
          'later', ${operatorOf(`CASE WHEN ${IS_DESCENDING} THEN 1 ELSE 5 END`)},
          'equal', ${operatorOf("3")}) ORDER BY k.place)
        FROM (SELECT) AS one
        ${
  keyOf(
    "i",
    `LEFT JOIN pg_catalog.pg_opclass oc ON oc.oid OPERATOR(pg_catalog.=) i.indclass[${PLACE}]`,
  )
})))
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class ic ON ic.oid OPERATOR(pg_catalog.=) i.indexrelid
    JOIN pg_catalog.pg_am am ON am.oid OPERATOR(pg_catalog.=) ic.relam
   WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND (i.indisprimary OR i.indisreplident))`;

/** `attgenerated` came with 12. */
const COLUMNS = `(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname,
      'type', pg_catalog.format_type(a.atttypid, NULL),
      'fullType', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'isBoolean', a.atttypid OPERATOR(pg_catalog.=) 16::pg_catalog.oid,
      'isFloating', a.atttypid OPERATOR(pg_catalog.=) ANY ('{700,701,1700}'::pg_catalog.oid[]),
      'generated', COALESCE(pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.->>) 'attgenerated', ''))
      ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a
   WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0
     AND NOT a.attisdropped)`;

const ANCESTOR_KEY = `(SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
   FROM (SELECT pi.* FROM pg_catalog.pg_index pi
          WHERE pi.indrelid OPERATOR(pg_catalog.=) pc.oid
            AND pi.indisprimary AND pi.indimmediate) p
   ${keyOf("p")})`;

/** The tables that a partition lies below, the direct parent first. */
const ancestors = (withKey: boolean) =>
  `(WITH RECURSIVE up (oid, level, xid) AS (
      SELECT h.inhparent, 1, h.xmin FROM pg_catalog.pg_inherits h
       WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid AND c.relispartition
       UNION ALL
      SELECT h.inhparent, up.level OPERATOR(pg_catalog.+) 1, h.xmin FROM up
        JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) up.oid AND pc.relispartition
        JOIN pg_catalog.pg_inherits h ON h.inhrelid OPERATOR(pg_catalog.=) up.oid)
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
             'name', pg_catalog.concat(pn.nspname, '.', pc.relname),
             'schema', pn.nspname, 'table', pc.relname,
             ${withKey ? `'key', ${ANCESTOR_KEY}` : "'attachedBy', up.xid::pg_catalog.text"})
             ORDER BY up.level)
      FROM up
      JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) up.oid
      JOIN pg_catalog.pg_namespace pn ON pn.oid OPERATOR(pg_catalog.=) pc.relnamespace)`;

const IS_TABLE = `(c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,v,f}'::pg_catalog."char"[])
   AND n.nspname OPERATOR(pg_catalog.<>)
       ALL ('{pg_catalog,information_schema,pg_toast}'::pg_catalog.name[]))`;

/**
 * Parameters: the OIDs, NULL for all tables, views and what else a person may take for a table; the role whose
 * rights count, NULL for the one that asks.
 */
const FACTS_QUERY = `
SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name,
       c.relkind AS kind, c.relpersistence AS persistence, c.relreplident AS identity,
       role.rolname AS role, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.has_schema_privilege(role.oid, n.oid, 'USAGE')::pg_catalog.text AS may_use,
       pg_catalog.has_table_privilege(role.oid, c.oid, 'SELECT')::pg_catalog.text AS may_select,
       (c.relrowsecurity AND NOT role.sees_all
         AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(role.oid, c.relowner, 'USAGE')))
         ::pg_catalog.text AS secured,
       ${ancestors(true)}::pg_catalog.text AS ancestors,
       ${COLUMNS}::pg_catalog.text AS columns,
       ${INDEXES}::pg_catalog.text AS indexes
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 CROSS JOIN (SELECT r.oid, r.rolname, r.rolsuper OR r.rolbypassrls AS sees_all
               FROM pg_catalog.pg_roles r
              WHERE r.rolname OPERATOR(pg_catalog.=) COALESCE($2::pg_catalog.name, current_user)) role
 WHERE CASE WHEN $1::pg_catalog.oid[] IS NULL THEN ${IS_TABLE}
            ELSE c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[]) END
 ORDER BY c.oid`;

/**
 * Gives what is there of all tables, or of those with the OIDs, in the order of their OIDs. Takes no right on
 * them. Types are named under the connection's search path. `role`: undefined for the one that asks; nothing
 * is given where there is no such role.
 */
export async function readTableFacts(
  connection: Connection,
  role: string | undefined,
  oids?: readonly number[],
): Promise<TableFacts[]> {
  const rows = await connection.query("look up tables to read", FACTS_QUERY, [
    oids ?? null,
    role ?? null,
  ]);
  return rows.map(factsOf);
}

function factsOf(row: TextRow): TableFacts {
  return {
    oid: Number(row.oid),
    schema: row.schema!,
    table: row.name!,
    name: `${row.schema}.${row.name}`,
    kind: row.kind!,
    persistence: row.persistence!,
    replicaIdentity: row.identity!,
    role: row.role!,
    owner: row.owner!,
    mayUse: isTrue(row.may_use),
    maySelect: isTrue(row.may_select),
    isSecured: isTrue(row.secured),
    ancestors: list<Ancestor>(row.ancestors).map((each) => ({
      ...each,
      key: each.key ?? undefined,
    })),
    columns: list<Omit<ColumnFacts, "generated"> & { generated: string }>(row.columns)
      .map((column) => ({ ...column, generated: GENERATED[column.generated] ?? "" })),
    indexes: list<IndexFacts>(row.indexes),
  };
}

const GENERATED: Readonly<Record<string, ColumnFacts["generated"]>> = {
  s: "stored",
  v: "virtual",
};

function list<T>(text: string | null | undefined): T[] {
  return text === null || text === undefined ? [] : JSON.parse(text);
}

/** A table that a request may be about. */
export interface Candidate {
  readonly oid: number;
  readonly name: string;
  readonly kind: string;
  readonly persistence: string;
  /** By name, the direct parent first. */
  readonly ancestors: readonly string[];
  /** By which transactions it, and each of those, was attached to the one above it. */
  readonly attachedBy: readonly number[];
}

const CANDIDATES_QUERY = `
SELECT c.oid::pg_catalog.text AS oid, pg_catalog.concat(n.nspname, '.', c.relname) AS name,
       c.relkind AS kind, c.relpersistence AS persistence,
       CASE WHEN c.relispartition THEN ${ancestors(false)} END::pg_catalog.text AS ancestors
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE ${IS_TABLE}
 ORDER BY c.oid`;

/** All that is called a table, by OID. */
export async function readCandidates(connection: Connection): Promise<Candidate[]> {
  const rows = await connection.query("look for tables to read", CANDIDATES_QUERY);
  return rows.map((row) => {
    const above = list<{ readonly name: string; readonly attachedBy: string }>(row.ancestors);
    return {
      oid: Number(row.oid),
      name: row.name!,
      kind: row.kind!,
      persistence: row.persistence!,
      ancestors: above.map(({ name }) => name),
      attachedBy: above.map(({ attachedBy }) => Number(attachedBy)),
    };
  });
}
