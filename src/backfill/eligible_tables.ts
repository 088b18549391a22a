import { PLUGINS } from "../decode/plugins.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import { asksFor, type TablePattern } from "./choose_tables.ts";
import { namedBy, readPublications } from "./publication_facts.ts";
import { readTableFacts, type TableFacts } from "./read_facts.ts";
import { JIT_VERSION, NO_JIT } from "./read_sql.ts";
import { type Follows, type Obstacle, obstaclesOf } from "./table_obstacles.ts";

/** Whose rights count, and how the run follows its slot. */
export interface Asking extends Follows {
  /** The role that reads; undefined: the one that asks. */
  readonly role: string | undefined;
}

/** One table, and whether a backfill can read it. */
export interface EligibleTable {
  readonly facts: TableFacts;
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The name that its changes carry: with `publish_via_partition_root` that of a table above it. */
  readonly publishedAs: string;
  /** With pgoutput, whether a publication of the run has it. */
  readonly isPublished: boolean;
  /** Why it cannot be read; none: it can. */
  readonly obstacles: readonly Obstacle[];
}

/**
 * Reads from the catalog which tables a backfill can read, in the order of their OIDs; `oids`: of these
 * alone. `connection` has the search path of an ordinary one and needs no right on any table. Gives nothing
 * where there is no such role.
 */
export async function readEligibleTables(
  connection: Connection,
  asking: Asking,
  oids?: readonly number[],
): Promise<EligibleTable[]> {
  const { role, plugin, publications, version } = asking;
  if (version >= JIT_VERSION) await connection.query("set up the session", `SET ${NO_JIT}`);
  const tables = await readTableFacts(connection, role, oids);
  const published = PLUGINS[plugin].usesPublications
    ? await readPublications(connection, publications, tables.map(({ oid }) => oid), version)
    : undefined;
  return tables.map((facts) => {
    const publishedBy = published?.get(facts.oid) ?? [];
    const [top] = namedBy(publishedBy);
    return {
      facts,
      name: facts.name,
      publishedAs: top === undefined ? facts.name : `${top.schema}.${top.table}`,
      isPublished: published === undefined || publishedBy.length > 0,
      obstacles: obstaclesOf(facts, publishedBy, asking),
    };
  });
}

/** What a pattern asks for. */
export function chosenTables(
  tables: readonly EligibleTable[],
  pattern: TablePattern,
): EligibleTable[] {
  return tables.filter(({ facts }) =>
    asksFor(pattern, { ...facts, ancestors: facts.ancestors.map(({ name }) => name) })
  );
}
