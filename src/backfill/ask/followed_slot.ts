import type { OutputPlugin, PostgresOptions } from "../../options.ts";
import { RunError } from "../../base/errors.ts";
import type { Lsn } from "../../base/lsn.ts";
import { connect, type Connection } from "../../postgres/connection/connection.ts";
import { placeOf } from "../../postgres/connection/connect_failure.ts";
import { PLUGINS } from "../../decode/plugins.ts";
import { PostgresError } from "../../postgres/connection/postgres_error.ts";
import { lsnOf } from "../../postgres/connection/text_row.ts";
import { findSlot, type SlotRow } from "../../postgres/slot/slot_row.ts";
import { READ_ONLY } from "../../postgres/connection/target_session.ts";
import { someOf } from "../../base/quantity.ts";

/** The server's process that serves a slot, and the role that it was logged in as. */
export interface Follower {
  readonly pid: string;
  /** Undefined where the server does not tell. */
  readonly role: string | undefined;
}

/** A slot at one moment. */
export interface SlotNow {
  /** Undefined: nobody follows it now. */
  readonly follower: Follower | undefined;
  /** Undefined while it is being made. */
  readonly confirmedLsn: Lsn | undefined;
}

/** A slot as somebody beside its run sees it, perhaps on a standby. */
export class FollowedSlot implements Disposable {
  constructor(
    readonly name: string,
    readonly plugin: OutputPlugin,
    /** To where the slot is. */
    private readonly connection: Connection,
    private readonly isOwn: boolean,
  ) {}

  /** Undefined: nobody follows the slot now. */
  async follower(): Promise<Follower | undefined> {
    return (await this.now())?.follower;
  }

  /** Undefined: it was dropped. */
  async now(): Promise<SlotNow | undefined> {
    const [row] = await this.connection.query(
      "ask who follows the slot",
      `SELECT s.active_pid::pg_catalog.text AS pid, a.usename AS role,
              s.confirmed_flush_lsn::pg_catalog.text AS confirmed
         FROM pg_catalog.pg_replication_slots s
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) s.active_pid
        WHERE s.slot_name OPERATOR(pg_catalog.=) $1`,
      [this.name],
    );
    if (row === undefined) return undefined;
    return {
      follower: row.pid ? { pid: row.pid, role: row.role ?? undefined } : undefined,
      confirmedLsn: lsnOf(row.confirmed),
    };
  }

  [Symbol.dispose](): void {
    if (this.isOwn) this.connection.destroy();
  }
}

const isPlugin = (name: string | undefined): name is OutputPlugin =>
  name !== undefined && Object.hasOwn(PLUGINS, name);

/** To the server that takes writes, of those that the options name. */
export async function connectToPrimary(
  postgres: PostgresOptions,
  signal: AbortSignal,
): Promise<Connection> {
  try {
    return await connect({ ...postgres, targetSessionAttrs: "primary" }, "ordinary", signal);
  } catch (error) {
    if (!(error instanceof PostgresError && error.code === READ_ONLY)) throw error;
    const [first] = postgres.hosts as [PostgresOptions["hosts"][0]];
    const found = postgres.hosts.length > 1
      ? error.message
      : `the server at ${placeOf(first)} is a standby`;
    throw new PostgresError(
      `${found}; a backfill is asked for on the primary: name it in --pg-host, beside the standby if that ` +
        "has the slot",
      { transient: false, code: error.code, cause: error },
    );
  }
}

/**
 * Finds the slot on the primary, else on one of the other hosts: from 16 on it may be on a standby.
 * @throws {RunError} where there is none of a run of ours.
 */
export async function findFollowedSlot(
  postgres: PostgresOptions,
  name: string,
  primary: Connection,
  signal: AbortSignal,
): Promise<FollowedSlot> {
  const here = await findSlot(primary, name);
  if (here !== undefined) {
    return new FollowedSlot(name, await pluginOf(name, here, primary, postgres), primary, false);
  }
  for (const host of postgres.hosts.length > 1 ? postgres.hosts : []) {
    const options: PostgresOptions = { ...postgres, hosts: [host], targetSessionAttrs: "standby" };
    let standby: Connection | undefined;
    try {
      standby = await connect(options, "ordinary", signal);
      const row = await findSlot(standby, name);
      if (row !== undefined) {
        const plugin = await pluginOf(name, row, standby, postgres);
        const found = new FollowedSlot(name, plugin, standby, true);
        standby = undefined;
        return found;
      }
    } catch (error) {
      signal.throwIfAborted();
      // The primary is no standby, and one that is away has no run either.
      if (!(error instanceof PostgresError)) throw error;
    } finally {
      standby?.destroy();
    }
  }
  const others = await primary.query(
    "look for replication slots",
    `SELECT s.slot_name AS name FROM pg_catalog.pg_replication_slots s
      WHERE s.slot_type OPERATOR(pg_catalog.=) 'logical'
        AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database()
      ORDER BY s.slot_name`,
  );
  throw new RunError(
    `there is no replication slot ${
      JSON.stringify(name)
    } on ${primary.place}; name the one that the ` +
      "run follows with --pg-slot-name" +
      (others.length === 0 ? "" : ` (here are ${someOf(others.map((row) => row.name!))})`) +
      ", and its server in --pg-host where it is a standby",
  );
}

async function pluginOf(
  slotName: string,
  { type, plugin, database, invalidation }: SlotRow,
  connection: Connection,
  wanted: PostgresOptions,
): Promise<OutputPlugin> {
  const name = JSON.stringify(slotName);
  if (type !== "logical" || !isPlugin(plugin)) {
    const what = type === "logical" ? `one of the plugin ${plugin}` : `a ${type} one`;
    throw new RunError(
      `the slot ${name} is ${what}, which no run of pg2kinesis follows; name the run's with ` +
        "--pg-slot-name",
    );
  }
  if (database !== wanted.database) {
    throw new RunError(
      `the slot ${name} is of the database ${JSON.stringify(database)}, not of ` +
        `${JSON.stringify(wanted.database)}; name its database with --pg-dbname`,
    );
  }
  if (invalidation !== undefined) {
    throw new RunError(
      `the slot ${name} is lost (${invalidation}): no run can follow it any more; make another, and ask ` +
        "its run",
    );
  }
  const [row] = await connection.query(
    "ask for the server's version",
    "SELECT pg_catalog.current_setting('server_version_num') AS number, " +
      "pg_catalog.current_setting('server_version') AS name",
  );
  if (!PLUGINS[plugin].sendsMessages(Number(row!.number))) {
    throw new RunError(
      `pgoutput of PostgreSQL ${
        row!.name
      } sends no logical messages, which a backfill is made of; that ` +
        "of 14 and newer does, and so do wal2json and test_decoding",
    );
  }
  return plugin;
}
