import type { Connection } from "../postgres/connection/connection.ts";
import {
  type KeyColumn,
  type PublishedBy,
  type Reader,
  readTableFacts,
  type TableFacts,
  type TableKind,
} from "./eligibility_facts.ts";
import { type Obstacle, obstaclesOf } from "./table_obstacles.ts";

/** One table, and whether a backfill can read it. */
export interface BackfillTable
  extends Pick<TableFacts, "oid" | "schema" | "table" | "name" | "quoted"> {
  /** Rows are read of a `table` alone; those of a partitioned one are in its partitions. */
  readonly kind: TableKind;
  readonly isTemporary: boolean;
  /** `schema.table` of the partitioned tables above it, the nearest first. */
  readonly ancestors: readonly string[];
  /** The name that its changes carry: with `publish_via_partition_root` that of a table above it. */
  readonly publishedAs: PublishedName;
  /** By what it is read and resumed, in key order; undefined where there is an obstacle to that. */
  readonly key: readonly KeyColumn[] | undefined;
  /** The server's last estimate; undefined where it has none. */
  readonly expectedRows: number | undefined;
  /**
   * What a row must satisfy for its INSERT to be published, as SQL about the bare names of its columns, each
   * function and operator with its schema unless it is of `pg_catalog`; undefined: nothing.
   */
  readonly rowFilter: string | undefined;
  /** The column list of the publications; undefined: all columns. */
  readonly publishedColumns: readonly string[] | undefined;
  /** Why it cannot be read; none: it can. */
  readonly obstacles: readonly Obstacle[];
}

export interface PublishedName {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
}

/**
 * Reads from the catalog which tables a backfill can read, in the order of their OIDs; `oids`: of these
 * alone. `connection` has the search path of an ordinary one and needs no right on any table. Gives nothing
 * where there is no such role.
 */
export async function readBackfillTables(
  connection: Connection,
  reader: Reader,
  oids?: readonly number[],
): Promise<BackfillTable[]> {
  const facts = await readTableFacts(connection, reader, oids);
  return facts.map((each) => describe(each, reader));
}

function describe(facts: TableFacts, reader: Reader): BackfillTable {
  const { oid, schema, table, name, quoted, kind, ancestors, expectedRows, index } = facts;
  const obstacles = obstaclesOf(facts, reader);
  const namedBy = topmost(facts.publishedBy);
  const published = namedBy[0] ?? facts;
  return {
    ...{ oid, schema, table, name, quoted, kind, ancestors, expectedRows, obstacles },
    isTemporary: facts.persistence === "t",
    publishedAs: {
      schema: published.schema,
      table: published.table,
      name: `${published.schema}.${published.table}`,
    },
    key: index === undefined || obstacles.some(({ isOfKey }) => isOfKey)
      ? undefined
      : index.columns.map(({ name, type }) => ({ name, type })),
    rowFilter: filterOf(namedBy.filter(({ insert }) => insert)),
    publishedColumns: namedBy[0]?.columns ?? undefined,
  };
}

/** Of several names the server takes the one that is the furthest above, and the rules that come with it. */
function topmost(publishedBy: readonly PublishedBy[]): readonly PublishedBy[] {
  const level = Math.max(...publishedBy.map((each) => each.level));
  return publishedBy.filter((each) => each.level === level);
}

/** One without a filter lets every row pass. */
function filterOf(publishing: readonly PublishedBy[]): string | undefined {
  const filters = publishing.map(({ filter }) => filter).filter((filter) => filter !== null);
  if (filters.length === 0 || filters.length < publishing.length) return undefined;
  return filters.map((filter) => `(${filter})`).join(" OR ");
}

/** A pattern of a request. */
export interface TablePattern {
  readonly matches: (qualifiedName: string) => boolean;
  /** It names one table, without any wildcard. */
  readonly isExact: boolean;
}

/**
 * What a pattern asks for: the tables that match, and the partitions of those. One that names exactly what
 * holds no rows of its own, such as a view, gets it, with the obstacle.
 */
export function chosenTables(
  tables: readonly BackfillTable[],
  { matches, isExact }: TablePattern,
): BackfillTable[] {
  return tables.filter((table) =>
    table.kind === "table" && !table.isTemporary
      ? matches(table.name) || table.ancestors.some(matches)
      : isExact && table.kind !== "partitioned" && matches(table.name)
  );
}
