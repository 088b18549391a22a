import type { Relation } from "../decode/event.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { namedBy, type PublishedBy } from "./publication_facts.ts";
import type { ColumnFacts, IndexColumnFacts, TableFacts } from "./read_facts.ts";
import { type Follows, keyIndexOf, obstaclesOf, reasonOf, sentColumns } from "./table_obstacles.ts";

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

/** What is kept of a plan from one read to the next: a request may be for 10,000 tables. */
export interface PlanOutline {
  readonly facts: Pick<TableFacts, "name" | "schema" | "table"> & {
    readonly ancestors: readonly Named[];
  };
  readonly relation: Relation;
  readonly key: readonly Named[];
  readonly columns: readonly Named[];
  readonly filter: string | undefined;
}

type Named = Pick<ReadColumn, "name">;

export function outlineOf({ facts, relation, key, columns, filter }: ReadPlan): PlanOutline {
  const { name, schema, table, ancestors } = facts;
  return {
    facts: { name, schema, table, ancestors: ancestors.map(named) },
    relation,
    key: key.map(named),
    columns: columns.map(named),
    filter,
  };
}

const named = ({ name }: Named): Named => ({ name });

export interface ReadColumn extends ColumnFacts {
  /** The type as the plugin names it. */
  readonly shownType: string;
}

/** Why a table cannot be read. */
export interface NoPlan {
  /** `it has no primary key, …; run ALTER TABLE …`. */
  readonly reason: string;
  /** Nobody asked for its changes. */
  readonly isUnpublished: boolean;
}

/** What keeps a table from being read, or how it is. */
export function planRead(
  facts: TableFacts,
  publishedBy: readonly PublishedBy[],
  follows: Follows,
): ReadPlan | NoPlan {
  const { plugin } = follows;
  const { usesPublications } = PLUGINS[plugin];
  const obstacles = obstaclesOf(facts, publishedBy, follows);
  if (obstacles.length > 0) {
    return {
      reason: reasonOf(obstacles),
      isUnpublished: usesPublications && publishedBy.length === 0,
    };
  }
  const index = keyIndexOf(facts);
  if (index === undefined) {
    return { reason: "it has no rows itself; name its partitions", isUnpublished: false };
  }
  const entries = usesPublications ? namedBy(publishedBy) : [];
  const { schema, table, level } = entries[0] ?? { ...facts, level: 0 };
  return {
    facts,
    relation: { schema, table, qualifiedName: `${schema}.${table}` },
    key: index.columns,
    primaryKey: !index.isPrimary
      ? undefined
      : facts.ancestors[level - 1]?.key ?? index.columns.map(({ name }) => name),
    columns: sentColumns(facts, publishedBy, plugin).map((column) => ({
      ...column,
      shownType: PLUGINS[plugin].shownType(column.type, column.fullType),
    })),
    filter: filterOf(entries),
  };
}

export function isPlan(plan: ReadPlan | NoPlan): plan is ReadPlan {
  return "relation" in plan;
}

/** Those of publications that publish INSERT, since it is rows that come; one without a filter lets every row pass. */
function filterOf(entries: readonly PublishedBy[]): string | undefined {
  const filters = entries.filter(({ insert }) => insert).map(({ filter }) => filter);
  if (filters.length === 0 || filters.includes(null)) return undefined;
  return [...new Set(filters)].map((filter) => `(${filter})`).join(" OR ");
}
