import { PLUGINS } from "../decode/plugins.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { Remedy } from "../base/problem.ts";
import type { KeyIndex, Reader, TableFacts } from "./eligibility_facts.ts";

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

/**
 * The rules, each of which a wrong or an endless backfill is behind: rows are read in the order of a key
 * that every change tells, by who may see all of them, and each of their changes is published.
 */
export function obstaclesOf(table: TableFacts, reader: Reader): Obstacle[] {
  if (table.kind === "partitioned") return [];
  if (table.kind !== "table" || table.persistence === "t") return [notATable(table)];
  return [
    unlogged(table),
    ofKey(table, reader),
    ofIdentity(table),
    ofPublications(table, reader),
    ofRights(table),
    ofRows(table),
  ].flatMap((each) => each ?? []);
}

function notATable({ kind, persistence }: TableFacts): Obstacle {
  const what = persistence === "t" ? "temporary table" : kind;
  return {
    kind: "not a table",
    found: `is a ${what}, whose rows are not in the WAL as a table's are`,
    remedy: advice("name the tables that its rows are of"),
    isOfKey: true,
  };
}

function unlogged({ persistence, quoted }: TableFacts): Obstacle | undefined {
  if (persistence !== "u") return undefined;
  return {
    kind: "unlogged",
    found: "is unlogged, so that no change of it is published",
    remedy: sql(`ALTER TABLE ${quoted} SET LOGGED;`),
    isOfKey: false,
  };
}

function ofKey(
  table: TableFacts,
  { plugin, version, needsPrimaryKey }: Reader,
): Obstacle | undefined {
  const { index, quoted } = table;
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
  if (index.method !== "btree") {
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
  if (columns.some(({ notNull }) => !notNull)) {
    return because(
      "has a replica identity with columns that may be null",
      sql(
        `ALTER TABLE ${quoted} ${
          columns.filter(({ notNull }) => !notNull)
            .map(({ name }) => `ALTER COLUMN ${quoteIdentifier(name)} SET NOT NULL`).join(", ")
        };`,
      ),
    );
  }
  // 0: ASC NULLS LAST; 3: DESC NULLS FIRST, which is the same read backwards.
  const [{ option }] = columns as unknown as [KeyIndex["columns"][number]];
  const hasOrder = (option === 0 || option === 3) &&
    columns.every((column) => column.isDefaultOrder && column.option === option);
  if (!hasOrder) {
    return because(
      `has in the index ${index.name} another order than that of its columns (an operator class, a ` +
        "collation, ASC beside DESC, or NULLS FIRST)",
      advice(`ALTER TABLE ${quoted} ADD PRIMARY KEY (${columnList(columns)});`),
    );
  }
  const unsent = columns.filter(({ name, generated }) =>
    generated && PLUGINS[plugin].usesPublications &&
    !table.publishedBy.some((each) => each.columns?.includes(name) ?? each.generated)
  );
  if (unsent.length > 0) {
    return because(
      `has a generated column in its key, ${unsent[0]!.name}, which pgoutput does not send (from ` +
        "PostgreSQL 18 on it does with publish_generated_columns)",
      advice("follow it with another plugin (--pg-slot-output-plugin test_decoding)"),
    );
  }
  const inexact = columns.find(({ type }) => type === "real" || type === "double precision");
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

/** The same constraint, checked at once. */
function remade({ quoted }: TableFacts, { name, columns }: KeyIndex): string {
  const constraint = quoteIdentifier(name);
  return `ALTER TABLE ${quoted} DROP CONSTRAINT ${constraint}, ` +
    `ADD CONSTRAINT ${constraint} PRIMARY KEY (${columnList(columns)});`;
}

const columnList = (columns: KeyIndex["columns"]) =>
  columns.map(({ name }) => quoteIdentifier(name)).join(", ");

function ofIdentity(
  { identity, identityColumns, index, quoted }: TableFacts,
): Obstacle | undefined {
  const because = (found: string): Obstacle => ({
    kind: "replica identity",
    found: `${found}, so that its changes do not tell the key`,
    remedy: sql(`ALTER TABLE ${quoted} REPLICA IDENTITY DEFAULT;`),
    isOfKey: false,
  });
  // Without a primary key it is the index itself.
  if (index?.isPrimary !== true) return undefined;
  if (identity === "n") return because("has REPLICA IDENTITY NOTHING");
  if (identity !== "i") return undefined;
  if (identityColumns === undefined) return because("has lost the index of its replica identity");
  return index.columns.every(({ name }) => identityColumns.includes(name))
    ? undefined
    : because("has a replica identity without the primary key");
}

function ofPublications(
  { publishedBy, quoted, index }: TableFacts,
  { plugin, publications }: Reader,
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
      `ALTER PUBLICATION ${quoteIdentifier(first)} ADD TABLE ONLY ${quoted};`,
    );
  }
  const root = publishedBy.reduce((top, each) => each.level > top.level ? each : top);
  if (index !== undefined && root.level > 0 && !isSame(root.rootKey ?? [], namesOf(index))) {
    const rootTable = `${quoteIdentifier(root.schema)}.${quoteIdentifier(root.table)}`;
    return because(
      `is published as ${root.schema}.${root.table}, which does not have its key`,
      `ALTER TABLE ${rootTable} ADD PRIMARY KEY (${columnList(index.columns)});`,
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

const namesOf = ({ columns }: KeyIndex) => columns.map(({ name }) => name);

const isSame = (left: readonly string[], right: readonly string[]) =>
  left.length === right.length && left.every((each, place) => each === right[place]);

/** Of a partition, also what gives the next one its right: it gets none from the table above it. */
function ofRights(
  { schema, quoted, role, owner, mayUse, maySelect, ancestors }: TableFacts,
): Obstacle[] {
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
    const statements = [`GRANT SELECT ON ${quoted} TO ${to};`];
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

function ofRows({ isRowSecured, role }: TableFacts): Obstacle | undefined {
  if (!isRowSecured) return undefined;
  const to = quoteIdentifier(role);
  return {
    kind: "row security",
    found: `has row level security, which hides rows from the role ${to} (it has no BYPASSRLS)`,
    remedy: sql(`ALTER ROLE ${to} BYPASSRLS;`),
    isOfKey: false,
  };
}

/** A remedy behind what was found, on the same line. */
export function adviceOf(remedy: Remedy): string {
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
