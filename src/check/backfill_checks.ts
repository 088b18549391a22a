import { hasRows } from "../backfill/choose_tables.ts";
import { type EligibleTable, readEligibleTables } from "../backfill/eligible_tables.ts";
import { readEmitRight } from "../backfill/emit_right.ts";
import { isMissed } from "../backfill/unread_tables.ts";
import type { ObstacleKind } from "../backfill/table_obstacles.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { publishesKeysOnly } from "../format/format_traits.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { Remedy } from "../base/problem.ts";
import { countOf, someOf } from "../base/quantity.ts";
import type { ServerContext } from "./server_context.ts";

/**
 * Which of the tables that are followed a backfill could read, and what the others lack. None of that hinders
 * a run without a backfill, which needs no right on them; with `--backfill` it is warned of.
 */
export async function checkBackfill(context: ServerContext): Promise<void> {
  const { connection, facts, findings, wanted, options: { slot } } = context;
  if (!PLUGINS[slot.plugin].sendsMessages(facts.version)) {
    findings.ok(
      "backfill",
      `not possible: pgoutput of PostgreSQL ${facts.versionName} sends no logical messages; that of 14 ` +
        "and newer does, and so do wal2json and test_decoding",
    );
    return;
  }
  const all = await readEligibleTables(connection, {
    role: undefined,
    plugin: slot.plugin,
    publications: slot.publications,
    version: facts.version,
    needsPrimaryKey: publishesKeysOnly(context.options.format),
  });
  const tables = all.filter((table) => hasRows(table.facts) && wanted(table.publishedAs));
  const readable = tables.filter(({ obstacles }) => obstacles.length === 0);
  findings.ok(
    "backfill",
    `a backfill can read ${readable.length} of the ${countOf(tables.length, "followed table")}`,
  );
  const isMissing = (table: EligibleTable) => slot.backfill && isMissed(table, wanted);
  reportObstacles(context, tables.filter(isMissing), true);
  reportObstacles(context, tables.filter((table) => !isMissing(table)), false);
  await checkEmitRight(context, readable.length);
}

/** One finding for each kind of obstacle. */
function reportObstacles(
  { findings }: ServerContext,
  tables: readonly EligibleTable[],
  areMissed: boolean,
): void {
  const byKind = new Map<ObstacleKind, { name: string; found: string; remedy: Remedy }[]>();
  for (const { name, obstacles } of tables) {
    for (const { kind, found, remedy } of obstacles) {
      byKind.set(kind, [...byKind.get(kind) ?? [], { name, found, remedy }]);
    }
  }
  for (const refused of byKind.values()) {
    const [{ found, remedy }] = refused as unknown as [typeof refused[number]];
    const isSame = refused.every((each) => each.found === found);
    const what = isSame
      ? `${someOf(refused.map(({ name }) => name))}: ${refused.length > 1 ? "each" : "it"} ${found}`
      : someOf(refused.map((each) => `${each.name}: it ${each.found}`), 3);
    const statements = refused.flatMap((each) =>
      each.remedy.kind === "sql" ? each.remedy.statements : []
    );
    const mends: Remedy = statements.length === 0
      ? remedy
      : { kind: "sql", statements: [...new Set(statements)] };
    if (areMissed) findings.warn("backfill", `--backfill does not read ${what}`, mends);
    else findings.ok("backfill", `no backfill of ${what}`, mends);
  }
}

/** The run writes messages, and whoever else may write them can ask it, and mislead it. */
async function checkEmitRight(
  { connection, findings, options: { slot } }: ServerContext,
  readable: number,
): Promise<void> {
  const right = await readEmitRight(connection, undefined);
  if (right === undefined || readable === 0) return;
  const { signature, role, mayEmit, isPublic } = right;
  const grant = `GRANT EXECUTE ON FUNCTION ${signature} TO ${quoteIdentifier(role)};`;
  if (!mayEmit) {
    const mends: Remedy = { kind: "sql", statements: [grant] };
    const who = `the role ${quoteIdentifier(role)}, which may not write the messages of a backfill`;
    if (slot.backfill) findings.stop("backfill", `--backfill reads nothing as ${who}`, mends);
    else findings.ok("backfill", `none by ${who}`, mends);
  } else if (isPublic) {
    findings.warn(
      "backfill_messages",
      "every role in the database may write the messages of a backfill: it can ask for one, and a forged " +
        "one can make it skip rows",
      {
        kind: "sql",
        statements: [`REVOKE EXECUTE ON FUNCTION ${signature} FROM PUBLIC;`, grant],
        then: "GRANT EXECUTE on it to the roles that ask for backfills or write messages",
      },
    );
  } else {
    findings.ok(
      "backfill_messages",
      "only roles with EXECUTE on pg_logical_emit_message() write them",
    );
  }
}
