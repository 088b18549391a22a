import { isTrue, type TextRow } from "../postgres/connection/text_row.ts";
import {
  chooseTables,
  partitionNames,
  type PublishableTable,
  publishableTables,
  unpublishedTables,
} from "../postgres/catalog/publication_tables.ts";
import { partsBeside, tablesOfOtherParts } from "../postgres/catalog/part_publications.ts";
import { creationOf } from "../postgres/slot/publications.ts";
import { creation } from "../postgres/slot/slot_problem.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/connection/sql_text.ts";
import { checkParts } from "./part_checks.ts";
import { identityStatement } from "./replica_identity.ts";
import { checkRowFilters } from "./row_filter_checks.ts";
import type { ServerContext } from "./server_context.ts";
import { countOf, someOf } from "../base/quantity.ts";
import type { SlotPlan } from "./slot_checks.ts";

const OPERATIONS = ["insert", "update", "delete", "truncate"] as const;

/** The publications that pgoutput reads: whether they are there, and what they leave out. */
export async function checkPublication(context: ServerContext, plan: SlotPlan): Promise<void> {
  const { connection, options: { slot } } = context;
  const rows = await connection.query(
    "look for the publications",
    `SELECT p.pubname AS name, p.puballtables::pg_catalog.text AS all_tables,
            p.pubinsert::pg_catalog.text AS insert,
            p.pubupdate::pg_catalog.text AS update, p.pubdelete::pg_catalog.text AS delete,
            COALESCE(pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubtruncate', 'true') AS truncate,
            pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubviaroot' AS via_root,
            -- Made or changed since the oldest state of the catalog that the slot still needs.
            (SELECT (pg_catalog.age(p.xmin) OPERATOR(pg_catalog.<=) pg_catalog.age(s.catalog_xmin))
                      ::pg_catalog.text
               FROM pg_catalog.pg_replication_slots s
              WHERE s.slot_name OPERATOR(pg_catalog.=) $2) AS younger,
            -- A slot that is made begins with the oldest state that any other one needs.
            (SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots o
                             WHERE o.slot_name OPERATOR(pg_catalog.<>) s.slot_name
                               AND pg_catalog.age(o.catalog_xmin)
                                   OPERATOR(pg_catalog.>=) pg_catalog.age(s.catalog_xmin))::pg_catalog.text
               FROM pg_catalog.pg_replication_slots s
              WHERE s.slot_name OPERATOR(pg_catalog.=) $2) AS borrowed
       FROM pg_catalog.pg_publication p WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [slot.publications, slot.name],
  );
  const tables = await publishableTables(connection);
  const published = await connection.query(
    "look for the publications' tables",
    `SELECT pubname AS publication, pg_catalog.concat(schemaname, '.', tablename) AS name
       FROM pg_catalog.pg_publication_tables WHERE pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [slot.publications],
  );
  const missing = slot.publications.filter((name) => !rows.some((row) => row.name === name));
  for (const name of missing) reportMissing(context, plan, tables, name);
  for (const row of rows) {
    const own = published.filter(({ publication }) => publication === row.name);
    reportOperations(context, row, tables, new Set(own.map(({ name }) => name!)));
    reportNotRoot(context, row);
  }
  if (missing.length > 0) return;

  if (plan.isOwn && !plan.makes) {
    for (const { name, younger, borrowed } of rows) {
      if (isTrue(younger)) reportYounger(context, name!, isTrue(borrowed));
    }
  }
  await reportTables(context, tables, rows, new Set(published.map(({ name }) => name!)));
  await reportFilters(context, await checkParts(context));
  await checkRowFilters(context);
}

/** What the statements behind the arrow give up. */
const ANOTHER_PLUGIN =
  ", and a new slot has lost them; a copy of this one with another plugin reads them " +
  '(docs/operating.md, "Another plugin, format or stream")';

/** What a publication publishes that is made of the tables that are listed, as SQL. */
function namesAfter(
  tables: readonly PublishableTable[],
  listed: readonly string[],
  partitionRoot: boolean,
): string[] {
  const isListed = new Set(listed);
  const chosen = tables.filter(({ quoted }) => isListed.has(quoted));
  return partitionRoot
    ? chosen.map(({ name }) => name)
    : tables.filter(({ isPartitioned }) => !isPartitioned).map(({ name }) => name);
}

/** Says under which names the changes of partitions come. */
function reportPartitions(
  { findings, wanted }: ServerContext,
  tables: readonly PublishableTable[],
  published: ReadonlySet<string>,
): void {
  const own: string[] = [];
  for (const [name, partitions] of partitionNames(tables, published, wanted)) {
    if (partitions.length === 1 && partitions[0] === name) own.push(name);
    else {
      findings.ok(
        "partition_names",
        `the changes of ${countOf(partitions.length, "partition")} come under the name ${name}: ${
          someOf(partitions)
        }`,
      );
    }
  }
  if (own.length === 0) return;
  findings.ok("partition_names", `partitions that come under their own names: ${someOf(own)}`);
}

function reportMissing(
  context: ServerContext,
  { isOwn, makes }: SlotPlan,
  tables: readonly PublishableTable[],
  name: string,
): void {
  const { findings, facts, wanted, options: { slot } } = context;
  const { listed, leftOut } = chooseTables(tables, wanted, facts.version);
  const quoted = JSON.stringify(name);
  const found = `there is no publication ${quoted} in this database`;
  const create = `${creationOf(name, listed, slot.partitionRoot)};`;
  if (listed.length === 0) {
    findings.stop(
      "publication",
      `${found}, and no table that has a replica identity to make it of`,
    );
  } else if (makes && slot.createPublication) {
    findings.ok(
      "publication",
      `${found}; a run creates it with ${countOf(listed.length, "table")}`,
    );
    reportPartitions(context, tables, new Set(namesAfter(tables, listed, slot.partitionRoot)));
  } else if (makes || !isOwn) {
    findings.stop("publication", found, { kind: "sql", statements: [create] });
  } else {
    findings.stop(
      "publication",
      `${found}, and the slot ${
        JSON.stringify(slot.name)
      } cannot read one created after it${ANOTHER_PLUGIN}`,
      {
        kind: "sql",
        statements: [
          `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(slot.name)});`,
          create,
          creation(slot),
        ],
        then: "fill the gap from the tables",
      },
    );
  }
  if (leftOut.length > 0 && listed.length > 0) {
    findings.warn(
      "publication",
      `${countOf(leftOut.length, "table")} without replica identity would stay out of it: ${
        someOf(leftOut)
      }`,
      { kind: "sql", statements: statementsFor(tables, leftOut) },
    );
  }
}

function reportOperations(
  { findings, options: { format } }: ServerContext,
  row: TextRow,
  tables: readonly PublishableTable[],
  published: ReadonlySet<string>,
): void {
  const without = OPERATIONS.filter((operation) =>
    !isTrue(row[operation]) && format.operations.has(operation)
  );
  const name = JSON.stringify(row.name);
  if (without.length === 0) return;
  // Once they are published, they fail in the application on a table that has no replica identity.
  const failing = without.includes("update") || without.includes("delete")
    ? tablesIn(tables, published).filter(({ hasIdentity }) => !hasIdentity)
    : [];
  findings.warn("publication", `${name} leaves out every ${without.join(" and every ")}`, {
    kind: "sql",
    statements: [
      ...failing.map(identityStatement),
      `ALTER PUBLICATION ${quoteIdentifier(row.name!)} SET (publish = '${OPERATIONS.join(", ")}');`,
    ],
  });
}

/** Those of a publication that shows `published`, with the partitions of what is published as a whole. */
function tablesIn(
  tables: readonly PublishableTable[],
  published: ReadonlySet<string>,
): PublishableTable[] {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const isIn = ({ name, parent }: PublishableTable): boolean => {
    const above = parent === undefined ? undefined : byOid.get(parent);
    return published.has(name) || above !== undefined && isIn(above);
  };
  return tables.filter(isIn);
}

function reportYounger(
  { findings, options: { slot } }: ServerContext,
  name: string,
  mayBeOlder: boolean,
): void {
  if (mayBeOlder) {
    // To drop a slot on a suspicion would lose what it has.
    return findings.warn(
      "publication",
      `whether ${
        JSON.stringify(name)
      } is older than what the slot has yet to read cannot be determined ` +
        "while other slots hold back the catalog; if it is not, a run stops at the first such change",
    );
  }
  findings.warn(
    "publication",
    `${
      JSON.stringify(name)
    } was made or changed after changes that the slot has still to read; if it ` +
      `was made then, the slot cannot read them${ANOTHER_PLUGIN}`,
    {
      kind: "sql",
      statements: [
        `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(slot.name)});`,
        creation(slot),
      ],
      then: "fill the gap from the tables",
    },
  );
}

/** `--partition-root` counts for a publication that a run makes. */
function reportNotRoot({ findings, options: { slot } }: ServerContext, row: TextRow): void {
  if (!slot.partitionRoot || isTrue(row.via_root)) return;
  findings.warn(
    "publication",
    `${
      JSON.stringify(row.name)
    } is there, and publishes partitions under their own names whatever ` +
      "--partition-root says",
    {
      kind: "sql",
      statements: [
        `ALTER PUBLICATION ${quoteIdentifier(row.name!)} SET (publish_via_partition_root = true);`,
      ],
    },
  );
}

async function reportTables(
  context: ServerContext,
  tables: readonly PublishableTable[],
  rows: readonly TextRow[],
  published: ReadonlySet<string>,
): Promise<void> {
  const { connection, findings, facts, wanted, options: { slot } } = context;
  reportPartitions(context, tables, published);
  const names = slot.publications.map((name) => JSON.stringify(name)).join(", ");
  const elsewhere = await tablesOfOtherParts(connection, slot.publications);
  const absent = unpublishedTables(
    tables,
    new Set([...published, ...elsewhere]),
    wanted,
  );
  if (absent.length === 0) {
    const all = rows.some((row) => isTrue(row.all_tables)) ? " (FOR ALL TABLES)" : "";
    findings.ok("publication", `${names} publishes ${countOf(published.size, "table")}${all}`);
    return;
  }
  const isAbsent = new Set(absent);
  const { listed } = chooseTables(tables, (name) => isAbsent.has(name), facts.version);
  const withoutIdentity = tables.filter(({ name, hasIdentity }) =>
    isAbsent.has(name) && !hasIdentity
  );
  const added = [...listed, ...withoutIdentity.map(({ quoted }) => quoted)]
    .map((table) => `ONLY ${table}`).join(", ");
  // Every part's check gives the same advice, so that nobody adds the table to each of them.
  const [first] = await partsBeside(connection, slot.publications);
  const receiver = first?.name ?? slot.publications[0]!;
  findings.warn(
    "publication",
    `not in ${names}, and so not published: ` +
      `${countOf(absent.length, "table")} that the flags ask for, ${someOf(absent)}`,
    {
      kind: "sql",
      statements: [
        ...statementsFor(tables, withoutIdentity.map(({ name }) => name)),
        `ALTER PUBLICATION ${quoteIdentifier(receiver)} ADD TABLE ${added};`,
      ],
    },
  );
}

/** Row filters and column lists, which came with 15. */
async function reportFilters(
  { connection, findings, options }: ServerContext,
  /** Of which the other parts have the other rows. */
  inParts: ReadonlySet<string>,
): Promise<void> {
  const rows = await connection.query(
    "look for the publications' filters",
    `SELECT pg_catalog.concat(n.nspname, '.', c.relname) AS name,
            ((pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'prqual') IS NOT NULL)::pg_catalog.text AS rows,
            ((pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'prattrs') IS NOT NULL)::pg_catalog.text
              AS columns
       FROM pg_catalog.pg_publication_rel r
       JOIN pg_catalog.pg_publication p ON p.oid OPERATOR(pg_catalog.=) r.prpubid
       JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.prrelid
       JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [options.slot.publications],
  );
  for (const what of ["rows", "columns"] as const) {
    const limited = rows.filter((row) => isTrue(row[what])).map(({ name }) => name!)
      .filter((name) => what === "columns" || !inParts.has(name));
    if (limited.length === 0) continue;
    findings.warn("publication", `only some ${what} are published of ${someOf(limited)}`);
  }
}

function statementsFor(tables: readonly PublishableTable[], names: readonly string[]): string[] {
  const chosen = new Set(names);
  return tables.filter(({ name }) => chosen.has(name)).map(identityStatement);
}
