import type { OutputPlugin } from "../../src/options.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import type { CommittedChange } from "./committed.ts";
import { STREAM } from "./fault_server_process.ts";
import type { FailoverBlow } from "./plan.ts";
import { createTables, TABLES } from "./workload.ts";

/** What a scenario does with a server. */
export type SiteServer = Pick<TestPostgres, "sql" | "connect" | "start" | "stop" | "kill9">;

/** The database of a scenario, its slot, and a second slot for who looks at what was committed. */
export interface Site extends AsyncDisposable {
  /** That takes connections now: after a failover, the standby. */
  readonly server: SiteServer;
  readonly database: string;
  readonly slot: string;
  /** By which the program finds its database, slot and stream. */
  readonly flags: readonly string[];
  /** After the program's end. Of all that was committed, in the order of commits. */
  committed(isPublished: (prefix: string) => boolean): Promise<readonly CommittedChange[]>;
  /** Kills the primary, and promotes its standby. `hold` is called while they part. */
  failOver(blow: FailoverBlow, hold: (isHeld: boolean) => Promise<void>): Promise<void>;
  /** What the program says of a failover, held against what it lost. */
  checkLog(log: string, published: ReadonlySet<string>): readonly string[];
}

/** Tables and publication, with no slot yet. */
export async function prepareDatabase(
  server: TestPostgres,
  plugin: OutputPlugin,
): Promise<FreshDatabase> {
  const db = await freshDatabase(server);
  await createTables(server, db.database);
  if (plugin === "pgoutput") {
    await db.sql(`create publication ${db.slot} for table ${TABLES.join(", ")}`);
  }
  return db;
}

/** The flags by which the program finds its database, slot and stream. */
export function connectionFlags(
  server: Pick<TestPostgres, "host" | "port" | "superuser">,
  database: string,
  slot: string,
  plugin: OutputPlugin,
): string[] {
  const { host, port, superuser } = server;
  return [
    ...["-h", host, "-p", String(port), "-u", superuser, "-d", database],
    ...["-s", slot, "-k", STREAM, "--pg-slot-output-plugin", plugin],
  ];
}
