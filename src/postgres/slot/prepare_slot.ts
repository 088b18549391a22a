import { getLogger } from "@logtape/logtape";
import type { Lsn } from "../../base/lsn.ts";
import { BACKFILL_PREFIX } from "../../decode/event.ts";
import { PLUGINS } from "../../decode/plugins.ts";
import type { OutputPlugin, SlotOptions } from "../../options.ts";
import { formatBytes } from "../../base/quantity.ts";
import type { Connection } from "../connection/connection.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import { checkPublications, createPublication, type WantedTable } from "./publications.ts";
import { checkServer, type ServerFacts } from "./server_facts.ts";
import { explainSlotFailure, type SlotStep } from "./slot_failure.ts";
import {
  activeElsewhere,
  confirmedText,
  foreignSlot,
  missingSlot,
  pluginProblem,
  type SlotProblem,
  slotProblem,
} from "./slot_problem.ts";
import { findSlot, type SlotRow } from "./slot_row.ts";
import { unreadBytes } from "./slot_state.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** How often to log that a slot still waits for open transactions. */
const TELL_EVERY_MS = 10_000;

/** Failover slots came with 17. */
export const FAILOVER_VERSION = 170000;
const DUPLICATE_OBJECT = "42710";

/** The slot as a run finds it at its start. */
export interface SlotInfo {
  readonly name: string;
  readonly plugin: OutputPlugin;
  readonly confirmedFlushLsn: Lsn;
  /** Whether this call made it. */
  readonly created: boolean;
  readonly server: ServerFacts;
}

/**
 * Checks that the slot can be followed, and makes it where the options ask for that. `connection` is
 * an ordinary one to the slot's database; `wanted` says which tables a publication should have.
 * @throws {PostgresError} one line with what to do.
 */
export async function prepareSlot(
  connection: Connection,
  options: SlotOptions,
  wanted: WantedTable = () => true,
): Promise<SlotInfo> {
  const { usesPublications } = PLUGINS[options.plugin];
  const server = await checkServer(connection, options.plugin);
  const refused = pluginProblem(server, options);
  if (refused !== undefined) throw asError({ ...refused, transient: false });
  const existing = await findSlot(connection, options.name);
  if (existing !== undefined && !options.recreate) {
    checkSlot(existing, server, options);
    if (options.backfill) {
      logger.info("the slot {name} exists, so --backfill reads nothing", { name: options.name });
    }
    if (usesPublications) await checkPublications(connection, options, true, wanted);
    return { ...identity(existing, options), created: false, server };
  }
  if (existing === undefined && !options.create && !options.recreate) {
    throw asError({ ...missingSlot(options, connection), transient: false });
  }
  // A publication younger than the slot cannot be read by it.
  if (usesPublications) {
    const made = options.createPublication &&
      await createPublication(connection, options, server.version, wanted);
    if (!made) await checkPublications(connection, options, false, wanted);
  }
  if (options.failover && server.version < FAILOVER_VERSION) {
    throw wrong(
      `${server.place} is PostgreSQL ${server.versionName}, and failover slots came with 17; leave ` +
        "out --slot-failover",
    );
  }
  if (options.backfill) checkBackfill(server, options);
  if (existing !== undefined) await dropSlot(connection, existing, server, options);
  try {
    await createSlot(connection, options);
  } catch (error) {
    // Another host with the same flags was faster.
    if (!(error instanceof PostgresError && error.code === DUPLICATE_OBJECT)) throw error;
    return await prepareSlot(connection, { ...options, recreate: false }, wanted);
  }
  const made = await findSlot(connection, options.name);
  if (made === undefined) {
    throw wrong(`the slot ${quote(options.name)} has disappeared; start again`);
  }
  return { ...identity(made, options), created: true, server };
}

function identity(slot: SlotRow, options: SlotOptions) {
  return {
    name: options.name,
    plugin: options.plugin,
    confirmedFlushLsn: slot.confirmedFlushLsn ?? 0n,
  };
}

function checkSlot(slot: SlotRow, server: ServerFacts, options: SlotOptions): void {
  const problem = slotProblem(slot, server, options);
  if (problem !== undefined) throw asError(problem);
  // Older servers do not have the column.
  if (options.failover && !slot.isFailover) {
    const command = `ALTER_REPLICATION_SLOT "${options.name}" (FAILOVER true)`;
    logger.warn(
      "the slot {name} exists but is no failover slot; --slot-failover applies only when it is created. Run " +
        "{command} on a replication connection (psql 'replication=database …') while nobody follows it",
      { name: options.name, command },
    );
  }
  if (slot.walStatus === "unreserved") {
    logger.warn(
      "the slot {name} is about to be lost: the server may remove its WAL (max_slot_wal_keep_size)",
      { name: options.name },
    );
  }
}

function asError({ found, advice, transient }: SlotProblem): PostgresError {
  return new PostgresError(`${found}; ${advice}`, {
    transient,
    code: transient ? "55006" : undefined,
  });
}

async function dropSlot(
  connection: Connection,
  slot: SlotRow,
  server: ServerFacts,
  options: SlotOptions,
): Promise<void> {
  const foreign = foreignSlot(slot, server, options);
  if (foreign !== undefined) throw asError(foreign);
  if (slot.isActive) throw asError(activeElsewhere(slot, options.name));
  const unread = await unreadBytes(connection, options.name);
  await ask(connection, options, "drop", {
    text: "SELECT pg_catalog.pg_drop_replication_slot($1)",
    values: [options.name],
  });
  logger.warn(
    "--recreate-slot dropped the slot {name}, which had confirmed {lsn}: {unread} of WAL after that " +
      "were not read from it, and no run will publish the changes there; remove the flag from a command " +
      "that is started again, since each start drops the slot",
    {
      name: options.name,
      lsn: confirmedText(slot),
      unread: unread === undefined ? "an unknown amount" : formatBytes(unread),
    },
  );
}

async function createSlot(
  connection: Connection,
  options: SlotOptions,
): Promise<void> {
  logger.info(
    "creating the slot {name} with plugin {plugin}; that waits for all transactions that are open now",
    { name: options.name, plugin: options.plugin },
  );
  await connection.query("wait for open transactions", "SET statement_timeout = 0");
  await connection.query("wait for open transactions", "SET lock_timeout = 0");
  await giveUpWithUs(connection);
  let waitedMs = 0;
  const waiting = setInterval(() => {
    waitedMs += TELL_EVERY_MS;
    logger.warn(
      "the slot {name} is not created yet after {seconds} s: transactions that were open before are " +
        "still open; SELECT pid, usename, xact_start FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT " +
        "NULL shows them, SELECT * FROM pg_catalog.pg_prepared_xacts those that are prepared",
      { name: options.name, seconds: waitedMs / 1000 },
    );
  }, TELL_EVERY_MS);
  try {
    if (options.backfill) return await createWithRequest(connection, options);
    await ask(connection, options, "create", {
      // The function asks for the same right as the replication command: REPLICATION.
      text: "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1, $2" +
        (options.failover ? ", failover => true)" : ")"),
      values: [options.name, options.plugin],
    });
  } finally {
    clearInterval(waiting);
  }
}

/** Slots can be copied since. */
const COPY_VERSION = 120000;

function checkBackfill(server: ServerFacts, { plugin }: SlotOptions): void {
  const { place, versionName, version } = server;
  if (version < COPY_VERSION) {
    throw wrong(
      `--backfill needs PostgreSQL 12, and ${place} is ${versionName}; create the slot without it, then ` +
        "run pg2kinesis backfill",
    );
  }
  if (!PLUGINS[plugin].sendsMessages(version)) {
    throw wrong(
      `--backfill needs PostgreSQL 14 with pgoutput, and ${place} is ${versionName}; use test_decoding ` +
        "or wal2json",
    );
  }
  if (server.isStandby) {
    throw wrong(
      `--backfill cannot write its request on ${place}, a standby; create the slot without it, then ` +
        "run pg2kinesis backfill, which asks the primary",
    );
  }
}

/**
 * Makes a slot that sends the request for a backfill first, by way of one that ends with the session: a
 * crash leaves nothing behind, or all of it.
 */
async function createWithRequest(connection: Connection, options: SlotOptions): Promise<void> {
  const { name, plugin } = options;
  const temporary = `pg2kinesis_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  await ask(connection, options, "create", {
    text: "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1, $2, true)",
    values: [temporary, plugin],
  });
  await ask(connection, options, "create", {
    text: "SELECT pg_catalog.set_config('synchronous_commit', 'local', false), " +
      `pg_catalog.pg_logical_emit_message(true, '${BACKFILL_PREFIX}', $1::pg_catalog.text)`,
    values: [JSON.stringify({ kind: "request", slot: name, id: "create-slot", tables: "all" })],
  });
  await ask(connection, options, "create", {
    text: "SELECT lsn FROM pg_catalog.pg_copy_logical_replication_slot($1, $2, false)",
    values: [temporary, name],
  });
  await ask(connection, options, "create", {
    text: "SELECT pg_catalog.pg_drop_replication_slot($1)",
    values: [temporary],
  });
}

/**
 * Lets the server see while it waits that we are gone: it would make the slot all the same, and that
 * would hold back WAL for nobody. PostgreSQL 14 and up can, not on every system.
 */
async function giveUpWithUs(connection: Connection): Promise<void> {
  try {
    await connection.query(
      "wait for open transactions",
      "SET client_connection_check_interval = '500ms'",
    );
  } catch (error) {
    if (!(error instanceof PostgresError) || error.code === undefined) throw error;
    logger.debug("the server does not watch its clients: {message}", { message: error.message });
  }
}

async function ask(
  connection: Connection,
  options: SlotOptions,
  step: SlotStep,
  statement: { readonly text: string; readonly values: readonly unknown[] },
): Promise<void> {
  try {
    await connection.query(
      `${step} the slot ${quote(options.name)}`,
      statement.text,
      statement.values,
    );
  } catch (error) {
    throw error instanceof PostgresError ? explainSlotFailure(error, step, options) : error;
  }
}

function wrong(message: string): PostgresError {
  return new PostgresError(message, { transient: false });
}

function quote(name: string): string {
  return JSON.stringify(name);
}
