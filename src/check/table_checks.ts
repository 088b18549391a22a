import { RunError, UsageError } from "../base/errors.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { ColumnFilter, ruledTables } from "../format/filter/column_filter.ts";
import { formatTraits, publishesKeysOnly } from "../format/format_traits.ts";
import { createFormatter } from "../format/formats.ts";
import type { KnownTable } from "../postgres/catalog/known_table.ts";
import {
  type PublishableTable,
  publishableTables,
  publishedRoots,
} from "../postgres/catalog/publication_tables.ts";
import { readTableColumns } from "../postgres/catalog/table_columns.ts";
import type { Remedy } from "../base/problem.ts";
import { checkRefreshedViews } from "./refreshed_views.ts";
import { identityStatement } from "./replica_identity.ts";
import type { ServerContext } from "./server_context.ts";
import { checkUnsentKeys } from "./unsent_key_checks.ts";
import { countOf, someOf } from "../base/quantity.ts";
import { isTrue } from "../postgres/connection/text_row.ts";

/** A table that holds rows, as both queries return it. */
interface Table extends PublishableTable {
  readonly known: KnownTable;
}

/** What the tables are, for the plugin and the format that were chosen. */
export async function checkTables(context: ServerContext): Promise<void> {
  const { connection, options, findings, catalog, wanted } = context;
  const { format, slot } = options;
  const { plugin, publications } = slot;
  const { usesPublications } = PLUGINS[plugin];
  try {
    const ruled = await readTableColumns(connection, ruledTables(format, catalog), slot);
    const columns = new ColumnFilter(format, ruled);
    const roots = usesPublications ? await publishedRoots(connection, publications) : [];
    await createFormatter(format, plugin, catalog, columns, roots);
    for (const doubt of columns.doubts(catalog)) findings.warn("format", doubt);
  } catch (error) {
    if (!(error instanceof RunError || error instanceof UsageError)) throw error;
    findings.stop("format", error.message);
    return;
  }
  const tables = await rowTables(context);
  const own = tables.filter(({ name }) => wanted(name));
  findings.ok("tables", `${own.length} of the database's ${tables.length} tables are followed`);
  checkPrimaryKeys(context, own);
  checkSharedKeys(context, own);
  await checkIdentities(context, tables, own);
  await checkRefreshedViews(context);
  await checkOtherPublications(context, tables);
  checkHiddenKeys(context, own);
  if (usesPublications) await checkUnsentKeys(context, publishesKeysOnly(context.options.format));
}

async function rowTables({ connection, catalog }: ServerContext): Promise<Table[]> {
  const tables = await publishableTables(connection);
  return tables.filter(({ isPartitioned }) => !isPartitioned).flatMap((table) => {
    const known = catalog.table(table.name);
    return known === undefined ? [] : [{ ...table, known }];
  });
}

const primaryKey = ({ known }: Table): readonly string[] => known.keys[0] ?? [];

function checkPrimaryKeys(context: ServerContext, own: readonly Table[]): void {
  const { findings, options: { policy, format } } = context;
  const without = own.filter((table) => primaryKey(table).length === 0).map(({ name }) => name);
  if (without.length === 0) {
    return findings.ok("primary_keys", "every table that is followed has a primary key");
  }
  const names = `${countOf(without.length, "table")} without primary key: ${someOf(without)}`;
  if (!publishesKeysOnly(context.options.format)) {
    return findings.ok(
      "primary_keys",
      `${names}; changes there are published, in order of the table as a whole`,
    );
  }
  const remedy: Remedy = {
    kind: "options",
    options: formatTraits(format).fullChange === "taken"
      ? "--full-change"
      : "--message-formatter CSVPayload --full-change",
  };
  if (policy.onMissingPkey === "stop") {
    findings.stop("primary_keys", `${names}; a change of one stops the run`, remedy);
  } else {
    findings.warn("primary_keys", `${names}; changes there are skipped`, remedy);
  }
}

/** Without aggregation no request has two records of one partition key: they go a round trip each. */
function checkSharedKeys(context: ServerContext, own: readonly Table[]): void {
  const { findings, options: { stream } } = context;
  if (stream.aggregation === "kpl") return;
  const sharing = sharingPartitionKeys(context, own);
  if (sharing === undefined) return;
  findings.warn(
    "partition_keys",
    `${sharing}, and with --aggregation none such changes go one after the other, a round trip to ` +
      "Kinesis each, and hold up what is read behind them",
    { kind: "options", options: "--aggregation kpl" },
  );
}

/** Which changes share a partition key though they are not of one row; undefined: none do. */
function sharingPartitionKeys(
  context: ServerContext,
  own: readonly Table[],
): string | undefined {
  const { format: { partitionKey } } = context.options;
  switch (partitionKey.kind) {
    case "pkey": {
      if (publishesKeysOnly(context.options.format)) return undefined;
      const without = own.filter((table) => primaryKey(table).length === 0).map(({ name }) => name);
      return without.length === 0 ? undefined : "changes of a table without primary key share a " +
        `partition key (${someOf(without)})`;
    }
    case "table":
      return "all changes of a table share a partition key (--partition-key table)";
    case "xid":
      return "all changes of a transaction share a partition key (--partition-key xid)";
    case "fixed":
      return "all changes share a partition key (--partition-key fixed:…)";
    default:
      return partitionKey satisfies never;
  }
}

async function checkIdentities(
  context: ServerContext,
  all: readonly Table[],
  own: readonly Table[],
): Promise<void> {
  const { findings, options } = context;
  const { name, withoutIdentity } = PLUGINS[options.slot.plugin];
  switch (withoutIdentity) {
    case "left out": {
      const { operations } = options.format;
      const isAsked = operations.has("update") || operations.has("delete");
      return reportLeftOut(
        context,
        own.filter(({ hasIdentity }) => isAsked && !hasIdentity),
        `${name} leaves out every UPDATE and DELETE`,
      );
    }
    case "row not named": {
      if (!options.format.operations.has("delete")) return;
      const keysOnly = publishesKeysOnly(context.options.format);
      // Without any key the other policy counts.
      const affected = own.filter((table) =>
        !table.hasIdentity && (!keysOnly || primaryKey(table).length > 0)
      );
      if (options.format.fullChange && affected.length > 0) {
        return findings.warn(
          "replica_identity",
          `${describe(affected)}; a DELETE does not say which row it was`,
          identityRemedy(affected),
        );
      }
      return reportLeftOut(context, affected, "a DELETE does not say which row it was");
    }
    case "refused":
      return await reportFailing(context, all);
    default:
      return withoutIdentity satisfies never;
  }
}

function reportLeftOut(
  { findings, options: { policy } }: ServerContext,
  affected: readonly Table[],
  what: string,
): void {
  if (affected.length === 0) {
    return findings.ok("replica_identity", "every table has the replica identity that it needs");
  }
  const found = `${describe(affected)}; ${what}`;
  const remedy = identityRemedy(affected);
  if (policy.onPluginSkip === "stop") {
    findings.stop("replica_identity", `${found}, which stops the run`, remedy);
  } else findings.warn("replica_identity", `${found}, which is skipped`, remedy);
}

/** It is the application that suffers, run or no run. */
async function reportFailing(
  { connection, findings, catalog, options: { slot } }: ServerContext,
  all: readonly Table[],
): Promise<void> {
  const rows = await connection.query(
    "look for tables whose updates or deletes are published",
    `SELECT DISTINCT pg_catalog.concat(t.schemaname, '.', t.tablename) AS name,
            p.puballtables::pg_catalog.text AS all_tables
       FROM pg_catalog.pg_publication_tables t
       JOIN pg_catalog.pg_publication p ON p.pubname OPERATOR(pg_catalog.=) t.pubname
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1) AND (p.pubupdate OR p.pubdelete)`,
    [slot.publications],
  );
  const published = new Set(rows.map(({ name }) => name!));
  // With publish_via_partition_root a partition is published by the name of a table above it.
  const isPublished = ({ known }: Table) => {
    for (let name: string | undefined = `${known.schema}.${known.table}`; name !== undefined;) {
      if (published.has(name)) return true;
      const parent: string | undefined = catalog.table(name)?.parents[0];
      name = parent !== undefined && catalog.table(parent)?.isPartitioned ? parent : undefined;
    }
    return false;
  };
  const failing = all.filter((table) => !table.hasIdentity && isPublished(table));
  if (failing.length === 0) {
    return findings.ok("replica_identity", "every published table has a replica identity");
  }
  const why = rows.some((row) => isTrue(row.all_tables))
    ? "because a publication is FOR ALL TABLES"
    : "because they are in a publication";
  findings.stop(
    "replica_identity",
    `${describe(failing)}; their UPDATEs and DELETEs fail in the application, ${why}`,
    identityRemedy(failing),
  );
}

/** Somebody else's publication does the same, whatever our plugin. */
async function checkOtherPublications(
  { connection, findings, options: { slot } }: ServerContext,
  all: readonly Table[],
): Promise<void> {
  const own = PLUGINS[slot.plugin].usesPublications ? slot.publications : [];
  const rows = await connection.query(
    "look for publications of all tables",
    `SELECT p.pubname AS name FROM pg_catalog.pg_publication p
      WHERE p.puballtables AND (p.pubupdate OR p.pubdelete) AND p.pubname OPERATOR(pg_catalog.<>) ALL ($1)`,
    [own],
  );
  const failing = all.filter(({ hasIdentity }) => !hasIdentity);
  if (rows.length === 0 || failing.length === 0) return;
  findings.warn(
    "other_publications",
    `${
      describe(failing)
    }; their UPDATEs and DELETEs fail in the application, because of a publication ` +
      `FOR ALL TABLES that is not this run's: ${someOf(rows.map(({ name }) => name!))}`,
    identityRemedy(failing),
  );
}

/** REPLICA IDENTITY USING INDEX on columns that are not the whole primary key. */
function checkHiddenKeys(context: ServerContext, own: readonly Table[]): void {
  const { findings, options: { policy, format } } = context;
  const hidden = own.filter((table) => {
    const { replicaIdentity, identityColumns } = table.known;
    return replicaIdentity === "i" && table.hasIdentity &&
      primaryKey(table).some((column) => !identityColumns?.includes(column));
  });
  if (hidden.length === 0) return;
  const found =
    `${countOf(hidden.length, "table")} whose replica identity lacks the primary key: ` +
    someOf(hidden.map(({ name }) => name));
  const remedy = identityRemedy(hidden);
  if (publishesKeysOnly(context.options.format) && format.operations.has("delete")) {
    const what = "a DELETE does not say which key it was";
    if (policy.onPluginSkip === "stop") {
      findings.stop("hidden_keys", `${found}; ${what}, which stops the run`, remedy);
    } else findings.warn("hidden_keys", `${found}; ${what}, which is skipped`, remedy);
  } else {
    findings.warn(
      "hidden_keys",
      `${found}; their deletes and changes of keys are not in order with the rows' other changes`,
      remedy,
    );
  }
}

function describe(tables: readonly Table[]): string {
  return `${countOf(tables.length, "table")} without replica identity: ` +
    someOf(tables.map(({ name }) => name));
}

function identityRemedy(tables: readonly Table[]): Remedy {
  return { kind: "sql", statements: tables.map(identityStatement) };
}
