import { PLUGINS } from "../decode/plugins.ts";
import type { Remedy } from "../base/problem.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { OutputPlugin } from "../options.ts";
import { namedBy, type PublishedBy } from "./publication_facts.ts";
import type { ColumnFacts, IndexColumnFacts, IndexFacts, TableFacts } from "./read_facts.ts";

/** How the run follows its slot. */
export interface Follows {
  readonly plugin: OutputPlugin;
  /** Where the plugin uses them. */
  readonly publications: readonly string[];
  /** `server_version_num`. */
  readonly version: number;
  /** The format publishes nothing but primary keys. */
  readonly needsPrimaryKey?: boolean;
}

/** Why a backfill cannot read a table. */
export interface Obstacle {
  readonly kind: ObstacleKind;
  /** Completes a sentence that begins with the table's name. */
  readonly found: string;
  readonly remedy: Remedy;
  /** There is no key to read it by. */
  readonly isOfKey: boolean;
}

export type ObstacleKind =
  | "not a table"
  | "unlogged"
  | "key"
  | "replica identity"
  | "not published"
  | "schema right"
  | "table right"
  | "row security";

/** Floats are printed to their last digit since. */
const EXACT_FLOATS = 120000;

const KINDS: Readonly<Record<string, string>> = {
  m: "materialized view",
  v: "view",
  f: "foreign table",
};

/**
 * The one judge of tables, for the run, `check` and `pg2kinesis backfill` alike. Each rule has a wrong or an
 * endless backfill behind it: rows are read in the order of a key that every change tells, by who may see all
 * of them, and each of their changes is published. A partitioned table has no rows itself, and no obstacle.
 */
export function obstaclesOf(
  table: TableFacts,
  publishedBy: readonly PublishedBy[],
  follows: Follows,
): Obstacle[] {
  if (table.kind === "p") return [];
  if (table.kind !== "r" || table.persistence === "t") return [notATable(table)];
  return [
    unlogged(table),
    ofKey(table, publishedBy, follows),
    ofIdentity(table),
    ofPublications(table, publishedBy, follows),
    ofRights(table),
    ofRows(table),
  ].flatMap((each) => each ?? []);
}

/** What obstacles keep a table from, behind its name: `it has …; run ALTER …`. */
export function reasonOf(obstacles: readonly Obstacle[]): string {
  return `${obstacles.map(({ found }) => `it ${found}`).join(", and ")}; ${
    obstacles.map(({ remedy }) => adviceOf(remedy)).join("; ")
  }`;
}

/** Its primary key, else the index that is its replica identity. */
export function keyIndexOf({ replicaIdentity, indexes }: TableFacts): IndexFacts | undefined {
  return indexes.find(({ isPrimary }) => isPrimary) ??
    (replicaIdentity === "i" ? indexes.find(({ isIdentity }) => isIdentity) : undefined);
}

/** Those that the plugin sends. */
export function sentColumns(
  { columns }: TableFacts,
  publishedBy: readonly PublishedBy[],
  plugin: OutputPlugin,
): readonly ColumnFacts[] {
  if (!PLUGINS[plugin].usesPublications) {
    return columns.filter(({ generated }) => generated !== "virtual");
  }
  const entries = namedBy(publishedBy);
  const listed = entries.map((each) => each.columns).find((names) => names !== null);
  const hasGenerated = entries.some((each) => each.generated);
  return columns.filter(({ name, generated }) =>
    listed?.includes(name) ?? (generated === "" || generated === "stored" && hasGenerated)
  );
}

/** As SQL. */
export function quotedName({ schema, table }: Pick<TableFacts, "schema" | "table">): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

function notATable({ kind, persistence }: TableFacts): Obstacle {
  const what = persistence === "t" ? "temporary table" : KINDS[kind] ?? "relation of another kind";
  return {
    kind: "not a table",
    found: `is a ${what}, whose rows are not in the WAL as a table's are`,
    remedy: advice("name the tables that its rows are of"),
    isOfKey: true,
  };
}

function unlogged(table: TableFacts): Obstacle | undefined {
  if (table.persistence !== "u") return undefined;
  return {
    kind: "unlogged",
    found: "is unlogged, so that no change of it is published",
    remedy: sql(`ALTER TABLE ${quotedName(table)} SET LOGGED;`),
    isOfKey: false,
  };
}

function ofKey(
  table: TableFacts,
  publishedBy: readonly PublishedBy[],
  { plugin, version, needsPrimaryKey }: Follows,
): Obstacle | undefined {
  const quoted = quotedName(table);
  const index = keyIndexOf(table);
  const because = (found: string, remedy: Remedy): Obstacle => ({
    ...{ kind: "key", found, remedy, isOfKey: true },
  });
  if (index === undefined) {
    return because(
      "has no primary key, and no index that is its replica identity",
      advice(
        `ALTER TABLE ${quoted} ADD PRIMARY KEY (<columns>); or REPLICA IDENTITY USING INDEX <one>;`,
      ),
    );
  }
  if (!index.isImmediate) {
    return because(`has a primary key that is DEFERRABLE, whose changes do not tell the old key`, {
      kind: "sql",
      statements: [remade(table, index)],
    });
  }
  if (index.method !== "btree" || !index.isPlain) {
    return because(
      `has a primary key that is a ${index.method} index (WITHOUT OVERLAPS), which has no order`,
      advice("give it a primary key of plain columns"),
    );
  }
  if (!index.isValid) {
    return because(
      `has an index of its key, ${index.name}, that is not valid`,
      sql(`REINDEX INDEX ${quoteIdentifier(table.schema)}.${quoteIdentifier(index.name)};`),
    );
  }
  const { columns } = index;
  if (columns.some(({ isNotNull }) => !isNotNull)) {
    return because(
      "has a replica identity with columns that may be null",
      sql(
        `ALTER TABLE ${quoted} ${
          columns.filter(({ isNotNull }) => !isNotNull)
            .map(({ name }) => `ALTER COLUMN ${quoteIdentifier(name)} SET NOT NULL`).join(", ")
        };`,
      ),
    );
  }
  if (!hasPlainOrder(columns)) {
    return because(
      `has in the index ${index.name} another order than that of its columns (an operator class, a ` +
        "collation, ASC beside DESC, or NULLS FIRST)",
      advice(`ALTER TABLE ${quoted} ADD PRIMARY KEY (${columnList(columns)});`),
    );
  }
  const checked = columns.find(({ runsChecks }) => runsChecks);
  if (checked !== undefined) {
    return because(
      `has a key, ${checked.name}, whose type contains a domain: a read would run the domain's checks`,
      advice("give it a primary key of another type"),
    );
  }
  const isPublished = publishedBy.length > 0 || !PLUGINS[plugin].usesPublications;
  const sent = sentColumns(table, publishedBy, plugin);
  const unsent = columns.find(({ name }) => !sent.some((each) => each.name === name));
  if (isPublished && unsent !== undefined) return because(...whyUnsent(table, unsent.name));
  const inexact = table.columns.find(({ name, type }) =>
    (type === "real" || type === "double precision") && columns.some((each) => each.name === name)
  );
  if (inexact !== undefined && version < EXACT_FLOATS) {
    return because(
      `has a key of floats, ${inexact.name}, whose text is not exact before PostgreSQL 12`,
      advice("give it a primary key of another type"),
    );
  }
  if (needsPrimaryKey && !index.isPrimary) {
    return because(
      "has no primary key, which is all that the format publishes",
      advice(`ALTER TABLE ${quoted} ADD PRIMARY KEY (${columnList(columns)});`),
    );
  }
  return undefined;
}

function whyUnsent({ columns }: TableFacts, name: string): [found: string, remedy: Remedy] {
  const isGenerated = columns.some((each) => each.name === name && each.generated !== "");
  return isGenerated
    ? [
      `has a generated column in its key, ${name}, which is not sent (by pgoutput from PostgreSQL 18 on ` +
      "it is with publish_generated_columns)",
      advice("give it a primary key of plain columns"),
    ]
    : [
      `is published without ${name}, a column of its key`,
      advice("add it to the publication's column list"),
    ];
}

/** The index gives the order of the columns, or the same backwards. */
function hasPlainOrder(columns: readonly IndexColumnFacts[]): boolean {
  const [{ isDescending }] = columns as [IndexColumnFacts];
  return columns.every((column) =>
    column.isDefault && column.later && column.equal && column.isDescending === isDescending &&
    column.isNullsFirst === isDescending
  );
}

/** The same constraint, checked at once. */
function remade(table: TableFacts, { name, columns }: IndexFacts): string {
  const constraint = quoteIdentifier(name);
  return `ALTER TABLE ${quotedName(table)} DROP CONSTRAINT ${constraint}, ` +
    `ADD CONSTRAINT ${constraint} PRIMARY KEY (${columnList(columns)});`;
}

const columnList = (columns: readonly IndexColumnFacts[]) =>
  columns.map(({ name }) => quoteIdentifier(name)).join(", ");

function ofIdentity(table: TableFacts): Obstacle | undefined {
  const because = (found: string): Obstacle => ({
    kind: "replica identity",
    found: `${found}, so that its changes do not tell the key`,
    remedy: sql(`ALTER TABLE ${quotedName(table)} REPLICA IDENTITY DEFAULT;`),
    isOfKey: false,
  });
  // Without a primary key it is the index itself.
  const index = keyIndexOf(table);
  if (index?.isPrimary !== true) return undefined;
  if (table.replicaIdentity === "n") return because("has REPLICA IDENTITY NOTHING");
  if (table.replicaIdentity !== "i") return undefined;
  const identity = table.indexes.find(({ isIdentity }) => isIdentity);
  if (identity === undefined) return because("has lost the index of its replica identity");
  const told = namesOf(identity);
  return namesOf(index).every((name) => told.includes(name))
    ? undefined
    : because("has a replica identity without the primary key");
}

function ofPublications(
  table: TableFacts,
  publishedBy: readonly PublishedBy[],
  { plugin, publications }: Follows,
): Obstacle | undefined {
  if (!PLUGINS[plugin].usesPublications) return undefined;
  const because = (found: string, ...statements: readonly string[]): Obstacle => ({
    ...{ kind: "not published", found, isOfKey: false },
    remedy: { kind: "sql", statements },
  });
  if (publishedBy.length === 0) {
    const [first = ""] = publications;
    return because(
      `is not in ${publications.map((name) => JSON.stringify(name)).join(", ")}`,
      `ALTER PUBLICATION ${quoteIdentifier(first)} ADD TABLE ONLY ${quotedName(table)};`,
    );
  }
  const [root] = namedBy(publishedBy) as [PublishedBy];
  const index = keyIndexOf(table);
  const rootKey = table.ancestors[root.level - 1]?.key ?? [];
  if (index !== undefined && root.level > 0 && !sameNames(rootKey, namesOf(index))) {
    return because(
      `is published as ${root.schema}.${root.table}, which does not have its key`,
      `ALTER TABLE ${quotedName(root)} ADD PRIMARY KEY (${columnList(index.columns)});`,
    );
  }
  const missing = (["insert", "update", "delete"] as const)
    .filter((operation) => !publishedBy.some((each) => each[operation]));
  if (missing.length === 0) return undefined;
  const [{ name }] = publishedBy as unknown as [{ readonly name: string }];
  return because(
    `is published without its ${missing.map((operation) => `${operation}s`).join(" and ")}`,
    `ALTER PUBLICATION ${
      quoteIdentifier(name)
    } SET (publish = 'insert, update, delete, truncate');`,
  );
}

const namesOf = ({ columns }: IndexFacts) => columns.map(({ name }) => name);

export function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}

/** Of a partition, also what gives the next one its right: it gets none from the table above it. */
function ofRights(table: TableFacts): Obstacle[] {
  const { schema, role, owner, mayUse, maySelect, ancestors } = table;
  const to = quoteIdentifier(role);
  const of = quoteIdentifier(schema);
  const obstacles: Obstacle[] = [];
  if (!mayUse) {
    obstacles.push({
      kind: "schema right",
      found: `is in a schema that the role ${to} may not use`,
      remedy: sql(`GRANT USAGE ON SCHEMA ${of} TO ${to};`),
      isOfKey: false,
    });
  }
  if (!maySelect) {
    const statements = [`GRANT SELECT ON ${quotedName(table)} TO ${to};`];
    if (ancestors.length > 0) {
      statements.push(
        `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(owner)} IN SCHEMA ${of} ` +
          `GRANT SELECT ON TABLES TO ${to};`,
      );
    }
    obstacles.push({
      kind: "table right",
      found: `may not be read by the role ${to} (SELECT on the whole table)`,
      remedy: { kind: "sql", statements },
      isOfKey: false,
    });
  }
  return obstacles;
}

function ofRows({ isSecured, role }: TableFacts): Obstacle | undefined {
  if (!isSecured) return undefined;
  const to = quoteIdentifier(role);
  return {
    kind: "row security",
    found: `has row level security, which hides rows from the role ${to} (it has no BYPASSRLS)`,
    remedy: sql(`ALTER ROLE ${to} BYPASSRLS;`),
    isOfKey: false,
  };
}

/** A remedy behind what was found, on the same line. */
function adviceOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case "sql":
      return `run ${remedy.statements.join(" ")}`;
    case "advice":
      return remedy.text;
    default:
      throw new Error(`a table has no remedy of the kind ${remedy.kind}`);
  }
}

function sql(statement: string): Remedy {
  return { kind: "sql", statements: [statement] };
}

function advice(text: string): Remedy {
  return { kind: "advice", text };
}
