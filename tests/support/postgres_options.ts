import { assert, assertEquals, assertMatch } from "@std/assert";
import type { OutputPlugin, PostgresOptions, SlotOptions } from "../../src/options.ts";
import { connect, type Connection } from "../../src/postgres/connection/connection.ts";
import { PostgresError } from "../../src/postgres/connection/postgres_error.ts";
import { prepareSlot, type SlotInfo } from "../../src/postgres/slot/prepare_slot.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import type { TestPostgres } from "./test_postgres.ts";

/** How a run would connect to `server` by TCP, without TLS. */
export function postgresOptions(
  server: Pick<TestPostgres, "host" | "port" | "superuser">,
  changes: Partial<PostgresOptions> = {},
): PostgresOptions {
  return {
    hosts: [{ host: server.host, port: server.port }],
    database: "postgres",
    user: server.superuser,
    password: undefined,
    auth: "password",
    sslMode: "disable",
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
    sslNegotiation: "postgres",
    channelBinding: "prefer",
    requireAuth: undefined,
    requirePeer: undefined,
    targetSessionAttrs: "any",
    connectTimeoutMs: 10_000,
    sessionOptions: undefined,
    passwordFile: undefined,
    applicationName: "pg2kinesis",
    ...changes,
  };
}

export function slotOptions(
  db: Pick<FreshDatabase, "slot">,
  plugin: OutputPlugin,
  changes: Partial<SlotOptions> = {},
): SlotOptions {
  return {
    name: db.slot,
    plugin,
    create: false,
    recreate: false,
    failover: false,
    standby: false,
    silenceMs: 60_000,
    publications: [db.slot],
    ...changes,
  } as SlotOptions;
}

/** Runs `use` on an ordinary connection. */
export async function withConnection<T>(
  options: PostgresOptions,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(options, "ordinary");
  try {
    return await use(connection);
  } finally {
    connection.destroy();
  }
}

/** What a run does at its start. */
export async function prepare(
  db: FreshDatabase,
  plugin: OutputPlugin,
  changes: Partial<SlotOptions> = {},
  user: string = db.server.superuser,
): Promise<SlotInfo> {
  const postgres = postgresOptions(db.server, { database: db.database, user });
  return await withConnection(
    postgres,
    (connection) => prepareSlot(connection, slotOptions(db, plugin, changes)),
  );
}

/** Checks that `work` fails with one line that says all of `says`, and whether it may heal. */
export async function assertFails(
  work: Promise<unknown>,
  says: readonly (RegExp | string)[],
  transient: boolean,
): Promise<void> {
  const error = await work.then(() => undefined, (error) => error);
  assert(error instanceof PostgresError, `not a PostgresError: ${error?.stack ?? error}`);
  for (const what of says) {
    if (typeof what === "string") assert(error.message.includes(what), error.message);
    else assertMatch(error.message, what);
  }
  assert(!error.message.includes("\n"), error.message);
  assertEquals(error.transient, transient, error.message);
}
