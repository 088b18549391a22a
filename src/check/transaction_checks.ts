import { isTrue, type TextRow } from "../postgres/connection/text_row.ts";
import { quoteLiteral } from "../postgres/connection/sql_text.ts";
import type { ServerContext } from "./server_context.ts";
import type { SlotPlan } from "./slot_checks.ts";
import { countOf, someOf } from "../base/quantity.ts";

/** Seconds from which on an open transaction is called long. */
const LONG_SECONDS = 300;

/**
 * Transactions that have written something, in any database: a slot keeps the WAL from the oldest of them
 * on, and making one waits until all that run have ended.
 */
export async function checkTransactions(
  { connection, findings }: ServerContext,
  { makes, existing }: SlotPlan,
): Promise<void> {
  const rows = await connection.query(
    "look for open transactions",
    `SELECT a.pid::pg_catalog.text AS pid, NULL AS gid, a.usename AS owner,
            pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) a.xact_start)
              ::pg_catalog.int8::pg_catalog.text AS seconds
       FROM pg_catalog.pg_stat_activity a
      WHERE a.backend_xid IS NOT NULL AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
      UNION ALL
     SELECT NULL, p.gid, p.owner,
            pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) p.prepared)
              ::pg_catalog.int8::pg_catalog.text
       FROM pg_catalog.pg_prepared_xacts p`,
  );
  rows.sort((a, b) => Number(b.seconds) - Number(a.seconds));
  const [right] = await connection.query(
    "ask what the role may see",
    `SELECT (r.rolsuper OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'))::pg_catalog.text AS sees
       FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user`,
  );
  const blind = isTrue(right?.sees)
    ? ""
    : " (of sessions of other roles this role sees only the prepared ones; pg_read_all_stats would)";
  const long = makes ? rows : rows.filter(({ seconds }) => Number(seconds) >= LONG_SECONDS);
  if (long.length === 0) {
    findings.ok("transactions", `none is open for long${blind}`);
    return;
  }
  const what = makes
    ? "creating the slot waits until they end"
    : `${existing === undefined ? "a slot" : "the slot"} keeps all WAL since the oldest`;
  findings.warn(
    "transactions",
    `${countOf(long.length, "open transaction")}, ${what}: ` +
      `${someOf(long.map(describe), 5)}; ending one rolls it back`,
    { kind: "sql", statements: long.map(ending) },
  );
}

function describe({ pid, gid, owner, seconds }: TextRow): string {
  const name = gid === null ? `process ${pid}` : `prepared ${JSON.stringify(gid)}`;
  return `${name} of ${owner} since ${seconds} s`;
}

function ending({ pid, gid }: TextRow): string {
  return typeof gid === "string"
    ? `ROLLBACK PREPARED ${quoteLiteral(gid)};`
    : `SELECT pg_catalog.pg_terminate_backend(${pid});`;
}
