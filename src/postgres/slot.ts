import { getLogger } from "@logtape/logtape";
import { type Lsn, parseLsn } from "../lsn.ts";
import type { OutputPlugin, SlotOptions } from "../options.ts";
import type { Connection, TextRow } from "./connection.ts";
import { PostgresError } from "./postgres_error.ts";
import { checkPublications, createPublication, type WantedTable } from "./publications.ts";
import { checkServer, type ServerFacts } from "./server_facts.ts";
import { allowPlugin, explainSlotFailure } from "./slot_failure.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

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
  const server = await checkServer(connection, options.plugin);
  checkPluginIsAllowed(server.outputPluginLibraries, options);
  const existing = await findSlot(connection, options.name);
  if (existing !== undefined && !options.recreate) {
    checkSlot(existing, server, options);
    if (options.plugin === "pgoutput") {
      await checkPublications(connection, options, true, wanted);
    }
    return { ...identity(existing, options), created: false, server };
  }
  if (existing === undefined && !options.create && !options.recreate) {
    throw wrong(
      `there is no replication slot ${
        quote(options.name)
      } on ${connection.place}; create it with ` +
        "--create-slot, or name another one with --pg-slot-name",
    );
  }
  // A publication younger than the slot cannot be read by it.
  if (options.plugin === "pgoutput") {
    const made = options.createPublication &&
      await createPublication(connection, options, server.version, wanted);
    if (!made) await checkPublications(connection, options, false, wanted);
  }
  if (existing !== undefined) await dropSlot(connection, existing, options);
  await createSlot(connection, options);
  const made = await findSlot(connection, options.name);
  if (made === undefined) throw wrong(`the slot ${quote(options.name)} is gone again; start again`);
  return { ...identity(made, options), created: true, server };
}

/** Newer releases have a list of the plugins that may be used; it counts for existing slots too. */
function checkPluginIsAllowed(libraries: string | undefined, { plugin }: SlotOptions): void {
  if (libraries === undefined || libraries.includes(plugin)) return;
  throw wrong(
    `the server does not allow the plugin ${plugin}: output_plugin_libraries is ` +
      `${quote(libraries)}; ${allowPlugin(libraries, plugin)}`,
  );
}

function identity(slot: TextRow, options: SlotOptions) {
  return {
    name: options.name,
    plugin: options.plugin,
    confirmedFlushLsn: parseLsn(slot.confirmed_flush_lsn ?? "0/0"),
  };
}

/** The row of `pg_replication_slots`; what an old server does not have is undefined. */
async function findSlot(connection: Connection, name: string): Promise<TextRow | undefined> {
  const rows = await connection.query(
    `look for the replication slot ${quote(name)}`,
    "SELECT * FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
    [name],
  );
  return rows[0];
}

function checkSlot(slot: TextRow, server: ServerFacts, options: SlotOptions): void {
  const name = quote(options.name);
  const choices =
    "follow it with its own settings, name another slot with --pg-slot-name, or make " +
    "it anew with --recreate-slot";
  if (slot.slot_type !== "logical") {
    throw wrong(
      `the slot ${name} is a ${slot.slot_type} one; a logical one is needed: name another`,
    );
  }
  const wanted = [options.plugin, server.database];
  if (slot.plugin !== wanted[0] || slot.database !== wanted[1]) {
    throw wrong(
      `the slot ${name} is there with plugin ${slot.plugin} in database ${
        quote(slot.database!)
      }, ` +
        `and plugin ${wanted[0]} in database ${quote(wanted[1]!)} was asked for; ${choices}`,
    );
  }
  if (slot.temporary === "t") {
    throw wrong(`the slot ${name} is a temporary one of another session; name another`);
  }
  if (slot.two_phase === "t") {
    throw wrong(
      `the slot ${name} decodes prepared transactions (two_phase), which is not supported; make it ` +
        "anew with --recreate-slot",
    );
  }
  const invalid = invalidation(slot);
  if (invalid !== undefined) {
    throw wrong(
      `the slot ${name} is lost (${invalid}): changes since ${
        slot.confirmed_flush_lsn ?? "?"
      } can ` +
        "no longer be read from it; make it anew with --recreate-slot and fill the gap from the tables",
    );
  }
  if (slot.active === "t") throw activeElsewhere(slot, name);
  if (slot.wal_status === "unreserved") {
    logger.warn(
      "the slot {name} is about to be lost: the server may remove its WAL (max_slot_wal_keep_size)",
      { name: options.name },
    );
  }
}

/** Why the slot can never be read again; undefined when it can. */
function invalidation(slot: TextRow): string | undefined {
  if (slot.invalidation_reason) return slot.invalidation_reason;
  if (slot.conflicting === "t") return "it conflicted with recovery";
  return slot.wal_status === "lost" ? "its WAL was removed" : undefined;
}

function activeElsewhere(slot: TextRow, name: string): PostgresError {
  return new PostgresError(
    `the slot ${name} is active: the server's process ${slot.active_pid} serves it to another ` +
      "client; stop that one, or " +
      `end it with SELECT pg_terminate_backend(${slot.active_pid})`,
    { transient: true, code: "55006" },
  );
}

async function dropSlot(
  connection: Connection,
  slot: TextRow,
  options: SlotOptions,
): Promise<void> {
  const name = quote(options.name);
  if (slot.slot_type !== "logical") {
    throw wrong(`the slot ${name} is a ${slot.slot_type} one, not ours to drop; name another`);
  }
  if (slot.active === "t") throw activeElsewhere(slot, name);
  await ask(connection, options, `drop the slot ${name}`, {
    text: "SELECT pg_catalog.pg_drop_replication_slot($1)",
    values: [options.name],
  });
  logger.info("dropped the slot {name}, which had confirmed {lsn}", {
    name: options.name,
    lsn: slot.confirmed_flush_lsn,
  });
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
  await ask(connection, options, `create the slot ${quote(options.name)}`, {
    // The function asks for the same right as the replication command: REPLICATION.
    text: "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1, $2)",
    values: [options.name, options.plugin],
  });
}

async function ask(
  connection: Connection,
  options: SlotOptions,
  doing: string,
  statement: { readonly text: string; readonly values: readonly unknown[] },
): Promise<void> {
  try {
    await connection.query(doing, statement.text, statement.values);
  } catch (error) {
    throw error instanceof PostgresError ? explainSlotFailure(error, options) : error;
  }
}

function wrong(message: string): PostgresError {
  return new PostgresError(message, { transient: false });
}

function quote(name: string): string {
  return JSON.stringify(name);
}
