import { countOf, someOf } from "../base/quantity.ts";
import type { KnownTable } from "../postgres/catalog/known_table.ts";
import { readPartFilter } from "../postgres/catalog/part_filter.ts";
import type { ServerContext } from "./server_context.ts";

/** Row filters came with it. */
const ROW_FILTER_VERSION = 150000;

/**
 * Row filters whose columns are not of the replica identity, with which UPDATE and DELETE fail in the
 * application; and parts by columns that are not of the key, with which a key's changes lose their order.
 */
export async function checkRowFilters(context: ServerContext): Promise<void> {
  const { connection, findings, facts, catalog, options: { slot } } = context;
  if (facts.version < ROW_FILTER_VERSION) return;
  const rows = await connection.query(
    "look for the columns of row filters",
    `SELECT pg_catalog.concat(n.nspname, '.', c.relname) AS name,
            pg_catalog.pg_get_expr(r.prqual, r.prrelid) AS filter,
            (SELECT pg_catalog.json_agg(DISTINCT a.attname)
               FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) r.prrelid
                AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid
              WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
                AND d.objid OPERATOR(pg_catalog.=) r.oid
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refobjid OPERATOR(pg_catalog.=) r.prrelid
                AND d.refobjsubid OPERATOR(pg_catalog.>) 0)::pg_catalog.text AS columns
       FROM pg_catalog.pg_publication_rel r
       JOIN pg_catalog.pg_publication p ON p.oid OPERATOR(pg_catalog.=) r.prpubid
       JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.prrelid
       JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1) AND r.prqual IS NOT NULL
        AND (p.pubupdate OR p.pubdelete)
      ORDER BY 1`,
    [slot.publications],
  );
  const failing = new Set<string>();
  const unordered = new Set<string>();
  const children = childrenOf(catalog.tables());
  for (const { name, filter, columns } of rows) {
    const used: string[] = JSON.parse(columns ?? "[]");
    const table = catalog.table(name!);
    if (table === undefined) continue;
    for (const holder of holdersOf(table, children)) {
      const { replicaIdentity, identityColumns } = holder;
      const isLogged = (column: string) =>
        replicaIdentity === "f" || (identityColumns?.includes(column) ?? false);
      if (!used.every(isLogged)) failing.add(`${holder.schema}.${holder.table}`);
    }
    const key = table.keys[0] ?? [];
    if (readPartFilter(filter!) !== undefined && !used.every((column) => key.includes(column))) {
      unordered.add(name!);
    }
  }
  if (failing.size > 0) {
    findings.stop(
      "row_filter",
      `${
        countOf(failing.size, "table")
      } whose row filter uses a column that is not in the replica ` +
        `identity: ${someOf([...failing])}; their UPDATEs and DELETEs fail in the application`,
      {
        kind: "advice",
        text: "ALTER TABLE … REPLICA IDENTITY FULL, or filter by columns of the primary key",
      },
    );
  }
  if (unordered.size > 0) {
    findings.warn(
      "row_filter",
      `${
        countOf(unordered.size, "table")
      } spread over parts by columns that are not of the primary key: ` +
        `${someOf([...unordered])}; the changes of one key may be in several parts, without order`,
      {
        kind: "advice",
        text: 'make a new plan under another name (docs/growing.md, "Another number of parts")',
      },
    );
  }
}

type Children = ReadonlyMap<string, readonly KnownTable[]>;

function childrenOf(tables: Iterable<KnownTable>): Children {
  const children = new Map<string, KnownTable[]>();
  for (const table of tables) {
    for (const parent of table.parents) {
      children.set(parent, [...children.get(parent) ?? [], table]);
    }
  }
  return children;
}

/** Whose changes go through the filter: those of the partitions, of a partitioned table. */
function holdersOf(table: KnownTable, children: Children): readonly KnownTable[] {
  if (!table.isPartitioned) return [table];
  return (children.get(`${table.schema}.${table.table}`) ?? [])
    .flatMap((child) => holdersOf(child, children));
}
