// @ts-types="@types/pg"
import pg from "pg";
import { connect, type Connection } from "../postgres/connection/connection.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import { refusalOf } from "../postgres/connection/server_refusal.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { Remedy } from "../base/problem.ts";
import { connectionRemedy } from "./connection_checks.ts";
import type { ServerContext } from "./server_context.ts";

/** With less a moment's hiccup ends the connection. */
const SHORT_TIMEOUT_MS = 3_000;

/** The server's settings, and whether a walsender is available: only a replication connection shows it. */
export async function checkSettings(context: ServerContext, canReplicate: boolean): Promise<void> {
  const timeout = canReplicate ? await checkWalSender(context) : undefined;
  if (timeout !== undefined) checkTimeout(context, timeout);
  await checkKeepSize(context);
}

/** wal_sender_timeout as a run's own connection has it. */
interface Timeout {
  readonly ms: number;
  /** It comes from ALTER ROLE or ALTER DATABASE. */
  readonly isOfRole: boolean;
}

/** Undefined if no walsender is available. */
async function checkWalSender(
  { connection, facts, options, findings, signal }: ServerContext,
): Promise<Timeout | undefined> {
  // On a standby a run uses a second one to ask for the timeline.
  const [needed, available] = facts.isStandby
    ? [2, "two more are available"]
    : [1, "another one is available"];
  const [row] = await connection.query(
    "count the walsenders",
    `SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication)::pg_catalog.text AS used,
            pg_catalog.current_setting('max_wal_senders') AS max`,
  );
  const max = Number(row!.max);
  const opened: Connection[] = [];
  try {
    while (opened.length < needed) {
      opened.push(await connect(options.postgres, "replication", signal));
    }
    const [setting] = await opened[0]!.query(
      "ask for wal_sender_timeout",
      `SELECT setting, source FROM pg_catalog.pg_settings
        WHERE name OPERATOR(pg_catalog.=) 'wal_sender_timeout'`,
    );
    findings.ok("wal_senders", `${row!.used} of ${max} walsenders are in use; ${available}`);
    const { setting: ms, source } = setting!;
    return { ms: Number(ms), isOfRole: /^(user|database|database user)$/.test(source!) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    const refusal = error.cause instanceof pg.DatabaseError
      ? refusalOf(error.cause, "replication")
      : undefined;
    const remedy: Remedy | undefined = refusal === "max_wal_senders"
      ? {
        kind: "sql",
        statements: [`ALTER SYSTEM SET max_wal_senders = ${max + 10};`],
        then: "restart the server",
      }
      : connectionRemedy(error, options.postgres);
    findings.stop("wal_senders", error.message, remedy);
    return undefined;
  } finally {
    for (const replication of opened) replication.destroy();
  }
}

function checkTimeout({ findings, facts }: ServerContext, { ms, isOfRole }: Timeout): void {
  const sixtySeconds = "SET wal_sender_timeout = '60s';";
  const role = `${quoteIdentifier(facts.role)} IN DATABASE ${quoteIdentifier(facts.database)}`;
  const remedy: Remedy = isOfRole
    ? { kind: "sql", statements: [`ALTER ROLE ${role} ${sixtySeconds}`] }
    : facts.isRds
    ? inParameterGroup("wal_sender_timeout", "60000")
    : {
      kind: "sql",
      statements: [`ALTER SYSTEM ${sixtySeconds}`, "SELECT pg_catalog.pg_reload_conf();"],
    };
  if (ms === 0) {
    findings.warn(
      "wal_sender_timeout",
      "wal_sender_timeout is off: a dead connection holds the slot for hours",
      remedy,
    );
  } else if (ms < SHORT_TIMEOUT_MS) {
    findings.warn(
      "wal_sender_timeout",
      `wal_sender_timeout is ${ms} ms: a short hiccup of the network ends the connection`,
      remedy,
    );
  } else findings.ok("wal_sender_timeout", `wal_sender_timeout is ${ms / 1000} s`);
}

async function checkKeepSize({ connection, findings, facts }: ServerContext): Promise<void> {
  const rows = await connection.query(
    "ask for the limits of retained WAL",
    `SELECT name, setting FROM pg_catalog.pg_settings
      WHERE name OPERATOR(pg_catalog.=)
            ANY ('{max_slot_wal_keep_size,idle_replication_slot_timeout}'::pg_catalog.text[])`,
  );
  const settings = new Map(rows.map(({ name, setting }) => [name, Number(setting)]));
  const keepMb = settings.get("max_slot_wal_keep_size");
  if (keepMb === -1) {
    findings.warn(
      "max_slot_wal_keep_size",
      "max_slot_wal_keep_size is unlimited: a slot that nobody reads fills the server's disk; choose " +
        "what the disk can spare",
      facts.isRds ? inParameterGroup("max_slot_wal_keep_size", "51200") : {
        kind: "sql",
        statements: [
          "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';",
          "SELECT pg_catalog.pg_reload_conf();",
        ],
      },
    );
  } else if (keepMb !== undefined) {
    findings.ok(
      "max_slot_wal_keep_size",
      `max_slot_wal_keep_size is ${keepMb} MB: a run that is stopped for longer loses its slot`,
    );
  }
  // In seconds; came with 18.
  const idleSeconds = settings.get("idle_replication_slot_timeout") ?? 0;
  if (idleSeconds > 0) {
    findings.warn(
      "idle_replication_slot_timeout",
      `a slot that is not used for ${idleSeconds} s is lost (idle_replication_slot_timeout)`,
      {
        kind: "sql",
        statements: [
          "ALTER SYSTEM SET idle_replication_slot_timeout = 0;",
          "SELECT pg_catalog.pg_reload_conf();",
        ],
      },
    );
  }
}

function inParameterGroup(name: string, value: string): Remedy {
  return {
    kind: "command",
    command: "aws rds modify-db-parameter-group --db-parameter-group-name <group> --parameters " +
      `ParameterName=${name},ParameterValue=${value},ApplyMethod=immediate`,
  };
}
