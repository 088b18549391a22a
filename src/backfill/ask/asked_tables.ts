import { getLogger } from "@logtape/logtape";
import { didYouMean, nearest } from "../../base/did_you_mean.ts";
import { RunError } from "../../base/errors.ts";
import type { Connection } from "../../postgres/connection/connection.ts";
import { parsePattern } from "../choose_tables.ts";
import {
  type Asking,
  chosenTables,
  type EligibleTable,
  readEligibleTables,
} from "../eligible_tables.ts";
import { reasonOf } from "../table_obstacles.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** How many tables that a wildcard chose and that cannot be read are named one by one. */
const MAX_TOLD = 10;

/**
 * Holds patterns against the database: each must choose a table that can be read, and one that names a table
 * exactly that very one. What a wildcard chooses beside is warned of. Gives how many tables will be read.
 * @throws {RunError} one line with the statement that mends it.
 */
export async function checkAskedTables(
  connection: Connection,
  patterns: readonly string[],
  asking: Asking,
): Promise<number> {
  const tables = await readEligibleTables(connection, asking);
  const readable = new Set<EligibleTable>();
  const refused = new Set<EligibleTable>();
  for (const pattern of patterns) {
    const parsed = parsePattern(pattern);
    const { isExact } = parsed;
    const chosen = chosenTables(tables, parsed);
    if (chosen.length === 0) throw new RunError(matchesNothing(pattern, tables, isExact));
    const failing = chosen.filter(({ obstacles }) => obstacles.length > 0);
    if (failing.length === chosen.length || isExact && failing.length > 0) {
      throw new RunError(
        failing.length === 1
          ? whyRefused(failing[0]!)
          : `${whyRefused(failing[0]!)}; nor can ${failing.length - 1} more of --table ${pattern}`,
      );
    }
    for (const table of chosen) (table.obstacles.length > 0 ? refused : readable).add(table);
  }
  for (const table of [...refused].slice(0, MAX_TOLD)) {
    logger.warn("{why}; the others are read", { why: whyRefused(table) });
  }
  if (refused.size > MAX_TOLD) {
    logger.warn("{count} more tables cannot be read; pg2kinesis check names them", {
      count: refused.size - MAX_TOLD,
    });
  }
  return readable.size;
}

function matchesNothing(
  pattern: string,
  tables: readonly EligibleTable[],
  isExact: boolean,
): string {
  const names = tables.map(({ name }) => name);
  return isExact
    ? names.includes(pattern)
      ? `${pattern} has no partitions, and so no rows`
      : `there is no table ${pattern} in the database, which is looked for as schema.table` +
        didYouMean(nearest(pattern, names))
    : `--table ${pattern} matches none of the database's tables; it is compared with schema.table`;
}

/** One line: `public.orders cannot be backfilled: it …; run GRANT …`. */
export function whyRefused({ name, obstacles }: EligibleTable): string {
  return `${name} cannot be backfilled: ${reasonOf(obstacles)}`;
}
