import { getLogger } from "@logtape/logtape";
import { publishesKeysOnly } from "../format/format_traits.ts";
import type { RunOptions } from "../options.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import { hasRows } from "./choose_tables.ts";
import { type EligibleTable, readEligibleTables } from "./eligible_tables.ts";
import { type ObstacleKind, reasonOf } from "./table_obstacles.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** How many are named one by one. */
const MAX_TOLD = 10;

/** Tables of which no change is published: they are followed by nobody, and missed by nobody. */
const NOT_FOLLOWED: readonly ObstacleKind[] = ["unlogged", "not published"];

/** Whether a table is followed whose rows cannot be read: by what is `wanted`, a name of the stream's. */
export function isMissed(table: EligibleTable, wanted: (qualifiedName: string) => boolean) {
  const { facts, publishedAs, obstacles } = table;
  return hasRows(facts) && wanted(publishedAs) && obstacles.length > 0 &&
    !obstacles.some(({ kind }) => NOT_FOLLOWED.includes(kind));
}

/** Says of a backfill of all tables, when it is asked for, which ones it will not read. */
export async function warnOfUnreadTables(
  connection: Connection,
  { slot, format }: RunOptions,
  version: number,
  wanted: (qualifiedName: string) => boolean,
): Promise<void> {
  const tables = await readEligibleTables(connection, {
    role: undefined,
    plugin: slot.plugin,
    publications: slot.publications,
    version,
    needsPrimaryKey: publishesKeysOnly(format),
  });
  const missed = tables.filter((table) => isMissed(table, wanted));
  for (const { name, obstacles } of missed.slice(0, MAX_TOLD)) {
    logger.warn("--backfill does not read {table}: {reason}", {
      table: name,
      reason: reasonOf(obstacles),
    });
  }
  if (missed.length > MAX_TOLD) {
    logger.warn("--backfill does not read {count} more tables; pg2kinesis check names them", {
      count: missed.length - MAX_TOLD,
    });
  }
}
