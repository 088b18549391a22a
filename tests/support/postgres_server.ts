// @ts-types="@types/pg"
import pg from "pg";
import { join } from "node:path";
import {
  type ConnectOptions,
  DEFAULT_SETTINGS,
  type PostgresServerOptions,
  type Row,
  type StopMode,
  type TestPostgres,
} from "./test_postgres.ts";
import {
  initdb,
  makeServerDirectory,
  type PostgresInstallation,
  run,
  serverIdentity,
  SUPERUSER,
  templateCluster,
  writeServerFile,
} from "./server_files.ts";
import { waitFor } from "./wait.ts";

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
      if (attempt === 100 || !/shared memory block|in use/.test(failure)) {
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

  async startStandby(settings: Readonly<Record<string, string | number>> = {}) {
    const directory = await makeServerDirectory();
    const standby = new PostgresServer(this.installation, directory, {});
    try {
      await this.sql("select pg_create_physical_replication_slot($1, true)", {
        values: [STANDBY_SLOT],
      });
      // There is no pg_basebackup in the embedded package.
      await this.stop("fast");
      await run("cp", ["-a", this.dataDir, standby.dataDir]);
      await this.start();
      // The slots are the primary's own, as with pg_basebackup.
      await run("sh", ["-c", 'rm -rf "$1"/pg_replslot/*', "sh", standby.dataDir]);
      await writeServerFile(join(standby.dataDir, "standby.signal"), "");
      const primary = `host=${this.host} port=${this.port} user=${SUPERUSER} dbname=postgres`;
      await standby.#appendSettings({
        primary_conninfo: primary,
        primary_slot_name: STANDBY_SLOT,
        hot_standby_feedback: "on",
        ...settings,
      });
      await standby.#startOnFreePort();
      standby.version = this.version;
      return standby;
    } catch (error) {
      await standby[Symbol.asyncDispose]();
      throw error;
    }
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
    await write("postgresql.auto.conf", settingLines(lines));
    await write(
      "pg_hba.conf",
      [
        `local all,replication ${SUPERUSER} trust`,
        ...(hba ?? ["local all,replication all trust", "host all,replication all all trust"]),
        "",
      ].join("\n"),
    );
  }

  async #appendSettings(settings: Readonly<Record<string, string | number>>): Promise<void> {
    const file = join(this.dataDir, "postgresql.auto.conf");
    const before = await Deno.readTextFile(file);
    await writeServerFile(file, before + settingLines(Object.entries(settings)));
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

/** The physical slot by which a standby follows. */
const STANDBY_SLOT = "standby";

function settingLines(settings: readonly (readonly [string, string | number])[]): string {
  return settings.map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
    .join("");
}
