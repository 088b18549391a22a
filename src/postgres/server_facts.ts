import type { OutputPlugin } from "../options.ts";
import type { Connection } from "./connection.ts";
import { PostgresError } from "./postgres_error.ts";

/** What a run must know of the server. */
export interface ServerFacts {
  /** `server_version_num`: 150020. */
  readonly version: number;
  readonly database: string;
  readonly isStandby: boolean;
  /** The setting of newer releases that allows plugins; undefined where it is not, or not shown to us. */
  readonly outputPluginLibraries: string | undefined;
}

/** Logical decoding with pgoutput, and `pg_replication_slots.temporary`, came with 10. */
const OLDEST_VERSION = 100000;
/** Logical decoding on a standby came with 16. */
const STANDBY_VERSION = 160000;

/**
 * Reads them, and refuses a server that this program cannot follow.
 * @throws {PostgresError} one line with what to do.
 */
export async function checkServer(
  connection: Connection,
  plugin: OutputPlugin,
): Promise<ServerFacts> {
  const [row] = await connection.query(
    `ask ${connection.place} for its settings`,
    `SELECT pg_catalog.current_setting('server_version_num') AS version,
            pg_catalog.current_setting('server_version') AS version_name,
            pg_catalog.current_setting('wal_level') AS wal_level,
            pg_catalog.current_database() AS database,
            pg_catalog.current_setting('server_encoding') AS encoding,
            pg_catalog.pg_is_in_recovery()::text AS standby,
            -- current_setting() would fail for a role that may not see it.
            (SELECT setting FROM pg_catalog.pg_settings
              WHERE name = 'output_plugin_libraries') AS libraries,
            r.rolname AS role, (r.rolsuper OR r.rolreplication)::text AS may_replicate,
            -- On Amazon RDS the right comes from membership in this role.
            EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication'
                    AND pg_catalog.pg_has_role(g.oid, 'MEMBER'))::text AS rds_replication
       FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  );
  const version = Number(row?.version);
  const refuse = (message: string) => {
    throw new PostgresError(message, { transient: false });
  };
  if (version < OLDEST_VERSION) {
    refuse(`${connection.place} is PostgreSQL ${row!.version_name}; 10 or newer is needed`);
  }
  const isStandby = row!.standby === "true";
  if (isStandby && version < STANDBY_VERSION) {
    refuse(
      `${connection.place} is a standby, where PostgreSQL ${row!.version_name} cannot decode ` +
        "changes (16 and newer can); connect to the primary",
    );
  }
  if (row!.wal_level !== "logical") {
    refuse(
      `wal_level of ${connection.place} is ${row!.wal_level}; run ALTER SYSTEM SET wal_level = ` +
        "logical (on Amazon RDS: rds.logical_replication = 1 in the parameter group) and restart the server",
    );
  }
  if (row!.may_replicate !== "true" && row!.rds_replication !== "true") {
    const role = JSON.stringify(row!.role);
    refuse(
      `the role ${role} may not replicate; run ALTER ROLE ${role} REPLICATION ` +
        `(on Amazon RDS: GRANT rds_replication TO ${role})`,
    );
  }
  if (row!.encoding !== "UTF8" && plugin !== "pgoutput") {
    refuse(
      `the database ${JSON.stringify(row!.database)} is encoded in ${
        row!.encoding
      }, and ${plugin} ` +
        "would send its bytes unconverted; use --pg-slot-output-plugin pgoutput",
    );
  }
  return {
    version,
    database: row!.database!,
    isStandby,
    outputPluginLibraries: row!.libraries ?? undefined,
  };
}
