import { join } from "node:path";
import { PostgresServer } from "./postgres_server.ts";
import { postgresCacheDir } from "./server_files.ts";
import type { PostgresServerOptions, TestPostgres } from "./test_postgres.ts";

/** Debian's package postgresql-15. */
const BIN_DIR = "/usr/lib/postgresql/15/bin";
const WAL2JSON = "/usr/lib/postgresql/15/lib/wal2json.so";

/** What a test prints when it has to skip. */
export const NO_DEBIAN_POSTGRES =
  "skipped: needs Debian's postgresql-15 and postgresql-15-wal2json (apt-get install)";

/** The directory of Debian's PostgreSQL 15 programs; undefined where it is not installed. */
export function findDebianPostgres(): string | undefined {
  return isFile(join(BIN_DIR, "postgres")) ? BIN_DIR : undefined;
}

/** Whether Debian's postgresql-15-wal2json is installed. */
export function hasWal2json(): boolean {
  return isFile(WAL2JSON);
}

/**
 * Starts Debian's PostgreSQL 15. From 15.20 on it allows only `pgoutput` and `test_decoding` as
 * plugins until a setting says more; where that setting exists, wal2json is allowed too, unless
 * `settings` has its own `output_plugin_libraries`.
 */
export async function startDebianPostgres(
  options: PostgresServerOptions = {},
): Promise<TestPostgres> {
  const binDir = findDebianPostgres();
  if (binDir === undefined) throw new Error(`${BIN_DIR}/postgres is not there`);
  const installation = { binDir, label: "debian-15", cacheDir: await postgresCacheDir() };
  const server = await PostgresServer.start(installation, options);
  try {
    if (options.settings?.output_plugin_libraries === undefined) await allowWal2json(server);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a test prints when it has to skip. */
export const NO_PLUGIN_LIST =
  "skipped: needs a PostgreSQL 15 with output_plugin_libraries (15.20) and postgresql-15-wal2json";

/** Whether Debian's PostgreSQL 15 is a release that can be told which plugins it allows. */
export function hasPluginList(): boolean {
  if (!hasWal2json()) return false;
  // The server's own list of settings leaves some out.
  const program = Deno.readFileSync(join(BIN_DIR, "postgres"));
  return new TextDecoder("latin1").decode(program).includes("output_plugin_libraries");
}

/** Starts one that allows only `plugins`; where `hasPluginList`. */
export async function startStrictPostgres(
  plugins: string,
  { settings, ...options }: PostgresServerOptions = {},
): Promise<TestPostgres> {
  return await startDebianPostgres({
    ...options,
    settings: { ...settings, output_plugin_libraries: plugins },
  });
}

async function allowWal2json(server: TestPostgres): Promise<void> {
  const setting = "output_plugin_libraries";
  const known = await server.sql("select 1 from pg_settings where name = $1", {
    values: [setting],
  });
  if (known.length === 0) return;
  // An unquoted list: in quotes it would be one library with commas in its name.
  await server.sql(`alter system set ${setting} = pgoutput, test_decoding, wal2json`);
  await server.sql("select pg_reload_conf()");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
