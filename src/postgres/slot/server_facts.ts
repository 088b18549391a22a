import { PLUGINS } from "../../decode/plugins.ts";
import type { OutputPlugin } from "../../options.ts";
import type { Problem, Remedy } from "../../base/problem.ts";
import type { Connection } from "../connection/connection.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import { quoteIdentifier } from "../connection/sql_text.ts";
import { isTrue } from "../connection/text_row.ts";

/** What a run must know of the server. */
export interface ServerFacts {
  /** `host:port`, or the path of the socket. */
  readonly place: string;
  /** `server_version_num`: 150020. */
  readonly version: number;
  /** "15.20 (Debian 15.20-0+deb12u1)". */
  readonly versionName: string;
  readonly walLevel: string;
  readonly database: string;
  /** Of the database: `UTF8`. */
  readonly encoding: string;
  readonly isStandby: boolean;
  /** Amazon RDS or Aurora: settings are changed in a parameter group there. */
  readonly isRds: boolean;
  /** The role that is logged in. */
  readonly role: string;
  readonly mayReplicate: boolean;
  /** The setting of newer releases that allows plugins; undefined where it is not, or not shown to us. */
  readonly outputPluginLibraries: string | undefined;
}

/** Logical decoding with pgoutput, and `pg_replication_slots.temporary`, came with 10. */
const OLDEST_VERSION = 100000;
/** Logical decoding on a standby came with 16. */
const STANDBY_VERSION = 160000;

/** What to do about a server that is a standby. */
export const TO_PRIMARY =
  "connect to the primary (of several hosts, target_session_attrs=primary in --pg-url finds it)";

/** The checks of a server, in their order. */
export type ServerCheck = "version" | "standby" | "wal_level" | "role" | "encoding";

/**
 * Reads them, and refuses a server that this program cannot follow.
 * @throws {PostgresError} one line with what to do.
 */
export async function checkServer(
  connection: Connection,
  plugin: OutputPlugin,
): Promise<ServerFacts> {
  const facts = await readServerFacts(connection);
  for (const { found, advice } of serverProblems(facts, plugin).values()) {
    throw new PostgresError(`${found}; ${advice}`, { transient: false });
  }
  return facts;
}

export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const [row] = await connection.query(
    `ask ${connection.place} for its settings`,
    `SELECT pg_catalog.current_setting('server_version_num') AS version,
            pg_catalog.current_setting('server_version') AS version_name,
            pg_catalog.current_setting('wal_level') AS wal_level,
            pg_catalog.current_database() AS database,
            pg_catalog.current_setting('server_encoding') AS encoding,
            pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby,
            -- current_setting() would fail for a role that may not see it.
            (SELECT setting FROM pg_catalog.pg_settings
              WHERE name OPERATOR(pg_catalog.=) 'output_plugin_libraries') AS libraries,
            r.rolname AS role, (r.rolsuper OR r.rolreplication)::pg_catalog.text AS may_replicate,
            EXISTS (SELECT FROM pg_catalog.pg_roles g
                     WHERE g.rolname OPERATOR(pg_catalog.=) 'rds_replication')::pg_catalog.text AS rds,
            -- On Amazon RDS the right comes from membership in this role.
            EXISTS (SELECT FROM pg_catalog.pg_roles g
                     WHERE g.rolname OPERATOR(pg_catalog.=) 'rds_replication'
                       AND pg_catalog.pg_has_role(g.oid, 'MEMBER'))::pg_catalog.text AS rds_replication
       FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user`,
  );
  return {
    place: connection.place,
    version: Number(row!.version),
    versionName: row!.version_name!,
    walLevel: row!.wal_level!,
    database: row!.database!,
    encoding: row!.encoding!,
    isStandby: isTrue(row!.standby),
    isRds: isTrue(row!.rds),
    role: row!.role!,
    mayReplicate: isTrue(row!.may_replicate) || isTrue(row!.rds_replication),
    outputPluginLibraries: row!.libraries ?? undefined,
  };
}

/** Why this program cannot follow the server, in the order in which a run would say so. */
export function serverProblems(
  facts: ServerFacts,
  plugin: OutputPlugin,
): ReadonlyMap<ServerCheck, Problem> {
  const { place, version, versionName, walLevel, encoding, database } = facts;
  const problems = new Map<ServerCheck, Problem>();
  if (version < OLDEST_VERSION) {
    problems.set("version", {
      found: `${place} is PostgreSQL ${versionName}`,
      advice: "10 or newer is needed",
      remedy: { kind: "advice", text: "upgrade the server to PostgreSQL 10 or newer" },
    });
  }
  if (facts.isStandby && version < STANDBY_VERSION) {
    problems.set("standby", {
      found:
        `${place} is a standby, where PostgreSQL ${versionName} cannot decode changes (16 and ` +
        "newer can)",
      advice: TO_PRIMARY,
      remedy: { kind: "advice", text: TO_PRIMARY },
    });
  }
  if (walLevel !== "logical") {
    problems.set("wal_level", {
      found: `wal_level of ${place} is ${walLevel}`,
      advice:
        "run ALTER SYSTEM SET wal_level = logical (on Amazon RDS: rds.logical_replication = 1 " +
        "in the parameter group) and restart the server",
      remedy: walLevelRemedy(facts),
    });
  }
  if (!facts.mayReplicate) {
    const role = quoteIdentifier(facts.role);
    problems.set("role", {
      found: `the role ${role} may not replicate`,
      advice:
        `run ALTER ROLE ${role} REPLICATION (on Amazon RDS: GRANT rds_replication TO ${role})`,
      remedy: {
        kind: "sql",
        statements: [
          facts.isRds ? `GRANT rds_replication TO ${role};` : `ALTER ROLE ${role} REPLICATION;`,
        ],
      },
    });
  }
  if (encoding !== "UTF8" && !PLUGINS[plugin].sendsUtf8) {
    problems.set("encoding", {
      found: `the database ${JSON.stringify(database)} is encoded in ${encoding}, and ${plugin} ` +
        "would send its bytes unconverted",
      advice: "use --pg-slot-output-plugin pgoutput",
      remedy: { kind: "options", options: "--pg-slot-output-plugin pgoutput" },
    });
  }
  return problems;
}

function walLevelRemedy({ isRds }: ServerFacts): Remedy {
  if (!isRds) {
    return {
      kind: "sql",
      statements: ["ALTER SYSTEM SET wal_level = logical;"],
      then: "restart the server",
    };
  }
  return {
    kind: "command",
    command: "aws rds modify-db-parameter-group --db-parameter-group-name <group> --parameters " +
      "ParameterName=rds.logical_replication,ParameterValue=1,ApplyMethod=pending-reboot",
    then: "reboot the instance",
  };
}
