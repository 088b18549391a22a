// @ts-types="@types/pg"
import pg from "pg";
import { join } from "@std/path";
import {
  type ConnectOptions,
  DEFAULT_SETTINGS,
  type PostgresServerOptions,
  type Row,
  type StopMode,
  type TestPostgres,
} from "./test_postgres.ts";
import { waitFor } from "./wait.ts";

/** One installation of PostgreSQL. */
export interface PostgresInstallation {
  /** Directory of `initdb` and `postgres`. */
  readonly binDir: string;
  /** Names the installation in cached files. */
  readonly label: string;
  /** Where a template cluster may be kept. */
  readonly cacheDir: string;
}

/** PostgreSQL refuses to run as root; a test that is root starts it as this user (nobody). */
const NOBODY = 65534;
const SUPERUSER = "postgres";

/**
 * Runs the server beside a watcher, which ends it and removes its files when our end of the pipe is
 * closed: so not even a killed test leaves a server behind. (Deno kills its own children when it
 * ends, this shell too, but not theirs.) Signals to the whole group are left to the parent.
 */
const WRAPPER = `
trap '' INT TERM HUP
dir=$1 log=$2; shift 2
exec 3<&0
"$@" >>"$log" 2>&1 </dev/null 3<&- &
pid=$!
(
  cat <&3
  : >"$dir/orphaned"
  kill -QUIT $pid
  while kill -0 $pid; do sleep 0.1; done
  rm -rf "$dir"
) >/dev/null 2>&1 &
watcher=$!
wait $pid; code=$?
[ -e "$dir/orphaned" ] || kill -KILL $watcher
exit $code`;

/** The user and group that PostgreSQL runs as: ours, or nobody when we are root. */
export function serverIdentity(): { uid?: number; gid?: number } {
  return Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** A server with data, socket and log in one temporary directory. */
export class PostgresServer implements TestPostgres {
  readonly host = "127.0.0.1";
  readonly superuser = SUPERUSER;
  version = 0;
  port = 0;
  #process: Deno.ChildProcess | undefined;

  private constructor(
    private readonly installation: PostgresInstallation,
    private readonly directory: string,
    private readonly options: PostgresServerOptions,
  ) {}

  static async start(
    installation: PostgresInstallation,
    options: PostgresServerOptions = {},
  ): Promise<PostgresServer> {
    const directory = await makeServerDirectory();
    const server = new PostgresServer(installation, directory, options);
    try {
      await server.#createCluster();
      await server.#startOnFreePort();
      const rows = await server.sql("select current_setting('server_version_num')::int as version");
      server.version = rows[0]?.version;
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get dataDir(): string {
    return join(this.directory, "data");
  }

  get socketDir(): string {
    return this.directory;
  }

  get #logFile(): string {
    return join(this.directory, "log");
  }

  async sql(text: string, options: ConnectOptions & { values?: unknown[] } = {}): Promise<Row[]> {
    const client = await this.connect(options);
    try {
      const result: pg.QueryResult | pg.QueryResult[] = options.values === undefined
        ? await client.query(text)
        : await client.query(text, options.values);
      return (Array.isArray(result) ? result.at(-1)! : result).rows;
    } finally {
      await client.end();
    }
  }

  async connect({ database = "postgres", user = SUPERUSER }: ConnectOptions = {}) {
    const client = new pg.Client({ host: this.socketDir, port: this.port, user, database });
    // A server that is stopped under an idle connection is what many tests are about.
    client.on("error", () => {});
    await client.connect();
    return client;
  }

  async createDatabase(clauses = ""): Promise<string> {
    const name = `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    await this.sql(`create database ${name} ${clauses}`);
    return name;
  }

  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error("the server is started already");
    // After a kill the dead postmaster's children may hold its shared memory for a moment.
    for (let attempt = 1;; attempt++) {
      const failure = await this.#launch();
      if (failure === undefined) return;
      if (attempt === 20 || !/shared memory block|in use/.test(failure)) {
        throw new Error(`PostgreSQL (${this.installation.binDir}) did not start: ${failure}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    const signals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
    await this.#end(signals[mode]);
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  logs(): string {
    try {
      return Deno.readTextFileSync(this.#logFile);
    } catch {
      return "";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    await Deno.remove(this.directory, { recursive: true });
  }

  async #createCluster(): Promise<void> {
    const { initdbArgs, hba, tls, settings } = this.options;
    if (initdbArgs === undefined) {
      const template = await templateCluster(this.installation);
      await run("cp", ["-a", template, this.dataDir]);
    } else {
      await initdb(this.installation, this.dataDir, initdbArgs);
    }
    const write = (name: string, text: string) => writeServerFile(join(this.dataDir, name), text);
    const lines: [string, string | number][] = Object.entries({ ...DEFAULT_SETTINGS, ...settings });
    if (tls !== undefined) {
      await write("server.crt", tls.cert);
      await write("server.key", tls.key);
      lines.push(["ssl", "on"]);
      if (tls.ca !== undefined) {
        await write("root.crt", tls.ca);
        lines.push(["ssl_ca_file", "root.crt"]);
      }
    }
    await write(
      "postgresql.auto.conf",
      lines.map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`).join(""),
    );
    await write(
      "pg_hba.conf",
      [
        `local all,replication ${SUPERUSER} trust`,
        ...(hba ?? ["local all,replication all trust", "host all,replication all all trust"]),
        "",
      ].join("\n"),
    );
  }

  async #startOnFreePort(): Promise<void> {
    // Between the finding of a free port and its use another process may take it.
    for (let attempt = 1;; attempt++) {
      this.port = findFreePort();
      const failure = await this.#launch();
      if (failure === undefined) return;
      if (attempt === 5 || !failure.includes("Address already in use")) {
        throw new Error(`PostgreSQL (${this.installation.binDir}) did not start: ${failure}`);
      }
    }
  }

  /** Starts the server and waits until it takes connections; gives the log when it ends instead. */
  async #launch(): Promise<string | undefined> {
    const logBefore = this.logs().length;
    // A killed server leaves its PID file behind, which the new one replaces.
    const stalePid = this.#readPidFile()?.[0];
    const process = new Deno.Command("sh", {
      // deno-fmt-ignore
      args: [
        "-c", WRAPPER, "sh", this.directory, this.#logFile,
        join(this.installation.binDir, "postgres"), "-D", this.dataDir, "-p", String(this.port),
        "-c", "listen_addresses=127.0.0.1", "-c", `unix_socket_directories=${this.socketDir}`,
      ],
      cwd: this.directory,
      env: { LC_ALL: "C" },
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      ...serverIdentity(),
    }).spawn();
    let ended = false;
    process.status.then(() => ended = true);
    this.#process = process;
    const ready = await waitFor(
      () => {
        const lines = this.#readPidFile();
        if (ended) return "no";
        return lines?.[0] !== stalePid && lines?.[7]?.startsWith("ready") && "yes";
      },
      { what: `PostgreSQL to start`, timeoutMs: 60_000, found: () => this.logs() },
    );
    if (ready === "yes") return undefined;
    await process.stdin.close();
    this.#process = undefined;
    return this.logs().slice(logBefore);
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    const pid = Number(this.#readPidFile()?.[0]);
    // Without a PID file it is already ending by itself.
    if (pid > 0) {
      try {
        Deno.kill(pid, signal);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await process.status;
    // Ended already, the wrapper no longer takes the end of the pipe for our death.
    await process.stdin.close();
  }

  #readPidFile(): string[] | undefined {
    try {
      return Deno.readTextFileSync(join(this.dataDir, "postmaster.pid")).split("\n");
    } catch {
      return undefined;
    }
  }
}

/** A TCP port that was free a moment ago. */
export function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The socket lies in it too, and a socket's path has at most 107 bytes. */
async function makeServerDirectory(): Promise<string> {
  let directory = await Deno.makeTempDir({ prefix: "pg2k_" });
  if (directory.length > 80) {
    await Deno.remove(directory);
    directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "pg2k_" });
  }
  await giveToServer(directory);
  return directory;
}

/** A cluster made once by initdb; copying it takes a tenth of making one. */
async function templateCluster(installation: PostgresInstallation): Promise<string> {
  const template = join(installation.cacheDir, `cluster-${installation.label}`);
  await makeOnce(template, async (path) => {
    await initdb(installation, path, []);
  });
  return template;
}

/**
 * Makes `path` by `make`, unless it is there. Several processes may try at once: each makes a copy
 * under another name, and the first to rename it wins.
 */
export async function makeOnce(
  path: string,
  make: (path: string) => Promise<void>,
): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await make(draft);
    await Deno.rename(draft, path);
  } catch (error) {
    if (!(await exists(path))) throw error;
  } finally {
    if (await exists(draft)) await Deno.remove(draft, { recursive: true });
  }
}

async function initdb(
  installation: PostgresInstallation,
  dataDir: string,
  args: readonly string[],
): Promise<void> {
  // deno-fmt-ignore
  await run(join(installation.binDir, "initdb"), [
    "-D", dataDir, "-U", SUPERUSER, "-A", "trust", "--no-sync",
    "--encoding=UTF8", "--locale=C", ...args,
  ], serverIdentity());
}

async function run(
  command: string,
  args: string[],
  identity: { uid?: number; gid?: number } = {},
): Promise<void> {
  const output = await new Deno.Command(command, {
    args,
    cwd: "/",
    env: { LC_ALL: "C" },
    ...identity,
  }).output();
  if (!output.success) {
    const text = new TextDecoder().decode(output.stderr).trim();
    throw new Error(`${command} ${args.join(" ")} failed with exit code ${output.code}: ${text}`);
  }
}

async function writeServerFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, 0o600);
  await giveToServer(path);
}

/**
 * A directory for files that outlive the run. It belongs to the server's user, since initdb makes
 * the template cluster there.
 */
export async function postgresCacheDir(): Promise<string> {
  const owner = serverIdentity().uid ?? Deno.uid();
  const root = Deno.env.get("TMPDIR") ?? "/tmp";
  const directory = join(root, `pg2kinesis-postgres-${Deno.uid()}`);
  try {
    await Deno.mkdir(directory, { mode: 0o755 });
    await giveToServer(directory);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    await waitFor(async () => (await Deno.lstat(directory)).uid === owner, {
      what: `${directory} to belong to the user ${owner}: remove it`,
      timeoutMs: 1000,
    });
  }
  return directory;
}

/** Makes the user that runs the server the owner. */
export async function giveToServer(path: string): Promise<void> {
  const { uid, gid } = serverIdentity();
  if (uid !== undefined && gid !== undefined) await Deno.chown(path, uid, gid);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
