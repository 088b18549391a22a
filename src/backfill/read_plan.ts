import type { Problem } from "../base/problem.ts";
import type { Relation } from "../decode/event.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { OutputPlugin } from "../options.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { PublishedTable } from "./publication_facts.ts";
import type { ColumnFacts, IndexColumnFacts, IndexFacts, TableFacts } from "./read_facts.ts";

/** How the rows of a table are read, and under which names they are published. */
export interface ReadPlan {
  readonly facts: TableFacts;
  /** As the plugin names it. */
  readonly relation: Relation;
  /** In the order by which it is read. */
  readonly key: readonly IndexColumnFacts[];
  /** The primary key, in the order of records; undefined where another index is the key. */
  readonly primaryKey: readonly string[] | undefined;
  /** As the plugin sends them. */
  readonly columns: readonly ReadColumn[];
  /** SQL of which one must be true for a row to be published; undefined: all are. */
  readonly filter: string | undefined;
}

export interface ReadColumn extends ColumnFacts {
  /** The type as the plugin names it. */
  readonly shownType: string;
}

export interface PlanOptions {
  readonly plugin: OutputPlugin;
  /** `server_version_num`. */
  readonly version: number;
  /** Who reads. */
  readonly role: string;
  /** The format publishes nothing but primary keys. */
  readonly needsPrimaryKey: boolean;
  /** With pgoutput, of this table and those above it. */
  readonly published: readonly PublishedTable[];
}

/** Floats are printed to their last digit since. */
const EXACT_FLOATS_VERSION = 120000;
/** Publications can have generated columns since. */
const GENERATED_COLUMNS_VERSION = 180000;

/** What keeps a table from being read, or how it is. */
export function planRead(facts: TableFacts, options: PlanOptions): ReadPlan | NoPlan {
  const problem = rightsProblem(facts, options.role) ?? kindProblem(facts);
  if (problem !== undefined) return problem;
  const index = chooseKey(facts);
  if ("found" in index) return index;
  const floating = facts.columns.find(({ name, isFloating }) =>
    isFloating && index.columns.some((column) => column.name === name)
  );
  if (floating !== undefined && options.version < EXACT_FLOATS_VERSION) {
    return advice(
      `the key of ${facts.name} has ${floating.name}, a ${floating.type}, whose text is not exact ` +
        "before PostgreSQL 12",
      "read the table with a newer server",
    );
  }
  if (options.needsPrimaryKey && !index.isPrimary) {
    return advice(
      `${facts.name} has no primary key, which is all that the format publishes`,
      "give it one, or publish whole rows with --full-change or another format",
    );
  }
  return PLUGINS[options.plugin].usesPublications
    ? planPublished(facts, index, options)
    : planWhole(facts, index, options.plugin);
}

/** Why a table cannot be read; `isUnpublished`: nobody asked for its changes. */
export interface NoPlan extends Problem {
  readonly isUnpublished?: true;
}

export function isPlan(plan: ReadPlan | NoPlan): plan is ReadPlan {
  return "relation" in plan;
}

function planWhole(facts: TableFacts, index: IndexFacts, plugin: OutputPlugin): ReadPlan {
  const { schema, table, name: qualifiedName } = facts;
  return {
    facts,
    relation: { schema, table, qualifiedName },
    key: index.columns,
    primaryKey: index.isPrimary ? namesOf(index) : undefined,
    columns: facts.columns.filter(({ generated }) => generated !== "virtual")
      .map((column) => shown(column, plugin)),
    filter: undefined,
  };
}

/** A column with its type as a change would name it. */
function shown(column: ColumnFacts, plugin: OutputPlugin) {
  return { ...column, shownType: PLUGINS[plugin].shownType(column.type, column.fullType) };
}

/** As pgoutput chooses: by the name that lies highest, with all publications that have it. */
function planPublished(
  facts: TableFacts,
  index: IndexFacts,
  { published, version, plugin }: PlanOptions,
): ReadPlan | NoPlan {
  const { name } = facts;
  const names = [name, ...facts.ancestors.map((ancestor) => ancestor.name)];
  const top = names.findLast((each) => published.some((entry) => entry.name === each));
  if (top === undefined) {
    const problem = advice(
      `no publication of the run has ${name}, so its changes are not published`,
      "add it with ALTER PUBLICATION … ADD TABLE …",
    );
    return { ...problem, isUnpublished: true };
  }
  const missing = (["insert", "update", "delete"] as const)
    .filter((operation) => !published.some((entry) => entry[operation]));
  if (missing.length > 0) {
    return advice(
      `the publications leave out the ${
        missing.join("s and ")
      }s of ${name}, without which what is ` +
        "read would not stay true",
      "publish insert, update and delete (ALTER PUBLICATION … SET (publish = …))",
    );
  }
  const entries = published.filter((entry) => entry.name === top);
  const listed = entries.map(({ columns }) => columns).find((columns) => columns !== undefined);
  const columns = facts.columns.filter(({ name, generated }) =>
    (listed?.includes(name) ?? true) &&
    (generated === "" || generated === "stored" && version >= GENERATED_COLUMNS_VERSION)
  );
  const hidden = index.columns.find((key) => !columns.some((column) => column.name === key.name));
  if (hidden !== undefined) {
    return advice(
      `the publications leave out ${hidden.name}, a column of the key of ${name}`,
      "add it to the column list",
    );
  }
  const ancestor = facts.ancestors.find((each) => each.name === top);
  if (ancestor !== undefined && !sameNames(ancestor.key ?? [], namesOf(index))) {
    return advice(
      `${name} is published as ${top}, which has not its primary key`,
      `give ${top} a primary key, or publish the partitions under their own names`,
    );
  }
  // A publication without a filter lets every row pass.
  const forInserts = entries.filter((entry) => entry.insert);
  const filters = forInserts.map(({ filter }) => filter);
  const schema = top.slice(0, top.length - tableOf(top, facts).length - 1);
  return {
    facts,
    relation: { schema, table: tableOf(top, facts), qualifiedName: top },
    key: index.columns,
    primaryKey: !index.isPrimary ? undefined : ancestor?.key ?? namesOf(index),
    columns: columns.map((column) => shown(column, plugin)),
    filter: filters.length === 0 || filters.includes(undefined)
      ? undefined
      : [...new Set(filters)].map((filter) => `(${filter})`).join(" OR "),
  };
}

/** A name with a dot in it is taken apart rightly where it is the table's own. */
function tableOf(qualifiedName: string, { name, table }: TableFacts): string {
  return qualifiedName === name ? table : qualifiedName.slice(qualifiedName.indexOf(".") + 1);
}

function kindProblem({ kind, isPermanent, name }: TableFacts): Problem | undefined {
  const what = kind !== "r" ? KINDS[kind] ?? "no table" : isPermanent ? undefined : "not logged";
  if (what === undefined) return undefined;
  return advice(
    `${name} is ${what}, so the slot sends no changes of it`,
    "leave it out",
  );
}

const KINDS: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  p: "a partitioned table without partitions",
};

function rightsProblem(facts: TableFacts, role: string): Problem | undefined {
  const { name, mayUse, maySelect, isSecured } = facts;
  const schema = quoteIdentifier(facts.schema);
  const table = `${schema}.${quoteIdentifier(facts.table)}`;
  const grantee = quoteIdentifier(role);
  const statements = [
    ...mayUse ? [] : [`GRANT USAGE ON SCHEMA ${schema} TO ${grantee};`],
    ...maySelect ? [] : [`GRANT SELECT ON TABLE ${table} TO ${grantee};`],
  ];
  if (statements.length > 0) {
    return {
      found: `the role ${grantee} may not read ${name}`,
      advice: `run ${statements.join(" ")}`,
      remedy: { kind: "sql", statements },
    };
  }
  if (!isSecured) return undefined;
  const statement = `ALTER ROLE ${grantee} BYPASSRLS;`;
  return {
    found: `row level security hides rows of ${name} from the role ${grantee}`,
    advice: `run ${statement}`,
    remedy: { kind: "sql", statements: [statement] },
  };
}

/** The primary key; without one, the index that is the replica identity. */
function chooseKey({ name, replicaIdentity, indexes }: TableFacts): IndexFacts | Problem {
  const primary = indexes.find(({ isPrimary }) => isPrimary);
  const identity = replicaIdentity === "i"
    ? indexes.find(({ isIdentity }) => isIdentity)
    : undefined;
  const index = primary ?? identity;
  if (index === undefined) {
    return advice(
      `${name} has no primary key to read it by`,
      "give it one, or a unique index of columns that are NOT NULL as REPLICA IDENTITY USING INDEX",
    );
  }
  const wrong = indexProblem(index);
  if (wrong !== undefined) {
    return advice(`the key of ${name} ${wrong}`, "give it a primary key that is none of that");
  }
  const tellsKey = replicaIdentity === "f" || replicaIdentity === "d" && index === primary ||
    identity !== undefined && namesOf(index).every((column) => namesOf(identity).includes(column));
  if (!tellsKey) {
    return advice(
      `the replica identity of ${name} does not tell its key`,
      "set REPLICA IDENTITY DEFAULT or FULL",
    );
  }
  return index;
}

function indexProblem({ isValid, isImmediate, isPlain, columns }: IndexFacts): string | undefined {
  if (!isImmediate) return "is deferrable, so no change tells the old one";
  if (!isValid) return "has an index that is not valid";
  if (!isPlain) return "has an index that is no btree of columns";
  if (columns.some(({ isNotNull }) => !isNotNull)) return "has a column that may be NULL";
  if (columns.some(({ isDefault, later, equal }) => !isDefault || !later || !equal)) {
    return "has an operator class or collation of its own";
  }
  if (columns.some(({ isDescending }) => isDescending !== columns[0]!.isDescending)) {
    return "is ascending in one column and descending in another";
  }
  return undefined;
}

function namesOf({ columns }: IndexFacts): readonly string[] {
  return columns.map(({ name }) => name);
}

export function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}

function advice(found: string, text: string): Problem {
  return { found, advice: text, remedy: { kind: "advice", text } };
}
