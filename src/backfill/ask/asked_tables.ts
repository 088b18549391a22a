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
import { readCandidates } from "../read_facts.ts";
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
    if (chosen.length === 0) {
      throw new RunError(matchesNothing(pattern, tables.map(({ name }) => name), isExact));
    }
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
    // A statement's semicolon is one already.
    logger.warn("{why}; the others are read", { why: whyRefused(table).replace(/;$/, "") });
  }
  if (refused.size > MAX_TOLD) {
    logger.warn("{count} more tables cannot be read; pg2kinesis check names them", {
      count: refused.size - MAX_TOLD,
    });
  }
  return readable.size;
}

/** A slip of the pen would leave a backfill going; the pattern may also name a table that is gone. */
export async function warnOfUnmatched(
  connection: Connection,
  patterns: readonly string[],
): Promise<void> {
  const names = (await readCandidates(connection)).map(({ name }) => name);
  for (const pattern of patterns) {
    const { matches, isExact } = parsePattern(pattern);
    if (names.some(matches)) continue;
    logger.warn("this may end nothing: {why}", { why: matchesNothing(pattern, names, isExact) });
  }
}

function matchesNothing(
  pattern: string,
  names: readonly string[],
  isExact: boolean,
): string {
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
