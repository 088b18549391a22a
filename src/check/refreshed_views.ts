import { PLUGINS } from "../decode/plugins.ts";
import { formatTraits } from "../format/format_traits.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import { countOf, someOf } from "../base/quantity.ts";
import type { ServerContext } from "./server_context.ts";

/**
 * Materialized views that REFRESH … CONCURRENTLY may change row by row (it needs a unique index of plain
 * columns over all rows), without a replica identity. They cannot have a primary key.
 */
const VIEWS_QUERY = `
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE c.relkind OPERATOR(pg_catalog.=) 'm' AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
   AND c.relreplident OPERATOR(pg_catalog.=) ANY ('{d,n}'::pg_catalog."char"[])
   AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}'::pg_catalog.name[])
   AND EXISTS (SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisunique AND i.indisvalid
                  AND i.indpred IS NULL AND i.indexprs IS NULL)
 ORDER BY n.nspname, c.relname`;

/** The rows that such a refresh deletes: wal2json leaves them out, test_decoding does not say which. */
export async function checkRefreshedViews(context: ServerContext): Promise<void> {
  const { connection, findings, wanted, options: { slot, format, policy } } = context;
  const { withoutIdentity } = PLUGINS[slot.plugin];
  const isStopped = withoutIdentity === "left out" ||
    withoutIdentity === "row not named" && formatTraits(format).refusesUnnamedDeletes;
  if (!isStopped || !format.operations.has("delete")) return;
  const rows = await connection.query("look for materialized views", VIEWS_QUERY);
  const views = rows.filter(({ schema, name }) => wanted(`${schema}.${name}`));
  if (views.length === 0) return;
  const found = `${countOf(views.length, "materialized view")} without replica identity: ${
    someOf(views.map(({ schema, name }) => `${schema}.${name}`))
  }; unless --exclude-table leaves them out, what REFRESH … CONCURRENTLY deletes `;
  const remedy = {
    kind: "sql",
    statements: views.map(({ schema, name }) => {
      const view = `${quoteIdentifier(schema!)}.${quoteIdentifier(name!)}`;
      return `ALTER MATERIALIZED VIEW ${view} REPLICA IDENTITY FULL;`;
    }),
  } as const;
  if (policy.onPluginSkip === "stop") {
    findings.stop("materialized_views", `${found}stops the run`, remedy);
  } else findings.warn("materialized_views", `${found}is skipped`, remedy);
}
