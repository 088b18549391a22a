import { getLogger } from "@logtape/logtape";
import { lookup } from "node:dns/promises";
import { isIP, Socket } from "node:net";
import type { Duplex } from "node:stream";
// @ts-types="@types/pg"
import pg from "pg";
import type { PostgresOptions } from "../../options.ts";
import { registerSecret } from "../../base/redaction.ts";
import { bounded } from "./bounded.ts";
import {
  type Attempt,
  cannotConnect,
  ConnectTimeout,
  explainFailure,
  type FailedAttempt,
  NoPassword,
  type Place,
  placeOf,
} from "./connect_failure.ts";
import { type Encryption, isSocketFolder, waysToConnect } from "../../libpq/tls.ts";
import { type LoginStage, LoginWatch } from "./login_watch.ts";
import { passwordFromFile } from "../../libpq/password_file.ts";
import { failed, isTransient, PostgresError } from "./postgres_error.ts";
import { warnOfPlainPassword } from "./plain_password.ts";
import { rdsToken } from "./rds_token.ts";
import {
  type ConnectionKind,
  searchPath,
  startupOptions,
  statementAfterLogin,
} from "./session_settings.ts";
import { SocketGuard } from "../../libpq/socket_owner.ts";
import { fitsSession } from "./target_session.ts";
import type { TextRow } from "./text_row.ts";
import { untilAborted } from "../../base/until_aborted.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

export type { ConnectionKind };

const KEEPALIVE_DELAY_MS = 30_000;

/** The parts of pg's insides that are used here; they are not in its types. */
interface PgInsides {
  readonly connection: pg.Connection & { readonly stream: Duplex };
}

/** A logged-in connection. */
export class Connection {
  /** Resolves when the connection is gone, with the reason; not after `destroy`. */
  readonly lost: Promise<Error>;
  #lose!: (reason: Error) => void;
  #reason: Error | undefined;
  #destroyed = false;
  /** Rejects what is waited for here. */
  readonly #waiting = new Set<(reason: Error) => void>();

  constructor(
    readonly client: pg.Client,
    /** The plain socket, also under TLS. */
    readonly socket: Socket,
    readonly attempt: Attempt,
  ) {
    this.lost = new Promise((resolve) => this.#lose = resolve);
    client.on("error", (error) => {
      this.#reason ??= error;
      if (!this.#destroyed) this.#lose(this.#reason);
    });
    client.on("end", () => {
      if (!this.#destroyed) this.#lose(this.#reason ?? new Error("the connection was closed"));
    });
  }

  /** `host:port`, or the path of the socket. */
  get place(): string {
    return placeOf(this.attempt);
  }

  /** What the protocol is spoken over: the socket, or TLS over it. */
  get stream(): Duplex {
    return (this.client as unknown as PgInsides).connection.stream;
  }

  /**
   * Runs one statement. A replication connection takes no parameters.
   * @throws {PostgresError} `cannot <doing>: …`
   */
  async query(doing: string, text: string, values?: readonly unknown[]): Promise<TextRow[]> {
    try {
      const result = await this.untilDestroyed(this.client.query<TextRow>(
        values === undefined ? { text } : { text, values: [...values] },
      ));
      return result.rows;
    } catch (error) {
      throw failed(`cannot ${doing}`, error);
    }
  }

  /** Waits for an answer. Over TLS on Deno 2.4, pg itself would not notice a `destroy`, and would wait forever. */
  async untilDestroyed<T>(asked: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.add(reject);
    asked.then(resolve, reject);
    if (this.#destroyed) this.#endWaiting();
    try {
      return await promise;
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /** Closes the socket at once. `pg.Client.end()` would hang over TLS on Deno 2.4. */
  destroy(): void {
    this.#destroyed = true;
    this.stream.destroy();
    this.socket.destroy();
    this.#endWaiting();
  }

  #endWaiting(): void {
    const reason = this.#reason ?? new Error("Connection terminated");
    for (const end of this.#waiting) end(reason);
  }
}

/**
 * Connects to the first host that lets us in and is of the wanted kind, each by the ways that the
 * sslmode allows, as libpq does.
 * @throws {PostgresError} one line that says for each host why not; the signal's reason when it aborts.
 */
export async function connect(
  options: PostgresOptions,
  kind: ConnectionKind,
  signal?: AbortSignal,
): Promise<Connection> {
  // "prefer-standby" takes any server in a second round.
  const rounds = options.targetSessionAttrs === "prefer-standby"
    ? ["standby", "any"] as const
    : [options.targetSessionAttrs];
  const failures: PostgresError[] = [];
  for (const wanted of rounds) {
    for (const place of options.hosts) {
      signal?.throwIfAborted();
      try {
        const connection = await connectToHost(place, options, kind, signal);
        const misfit = await bounded(
          connection,
          settle(connection, kind).then(() => fitsSession(connection, wanted)),
          options.connectTimeoutMs,
          signal,
        );
        if (misfit === undefined) return connection;
        connection.destroy();
        failures.push(misfit);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof PostgresError)) throw error;
        failures.push(error);
        if (isRefusal(error)) throw error;
      }
    }
  }
  if (failures.length === 1) throw failures[0]!;
  throw new PostgresError([...new Set(failures.map((failure) => failure.message))].join("; "), {
    transient: failures.some((failure) => failure.transient),
    code: failures.at(-1)?.code,
    cause: failures,
  });
}

/**
 * Makes sure that our settings arrived with the login, and sets those that cannot come with it.
 * @throws {PostgresError} where something in between kept them.
 */
async function settle(connection: Connection, kind: ConnectionKind): Promise<void> {
  const { place } = connection;
  try {
    const [row] = await connection.query(
      `ask ${place} for its version`,
      "SELECT pg_catalog.current_setting('search_path') AS path, " +
        "pg_catalog.current_setting('server_version_num') AS version",
    );
    if (row!.path !== searchPath(kind)) {
      throw new PostgresError(
        `what answers at ${place} withholds the settings that a session starts with (search_path is ` +
          `${
            JSON.stringify(row!.path)
          }), as a connection pooler does; connect to PostgreSQL itself`,
        { transient: false },
      );
    }
    const statement = statementAfterLogin(kind, Number(row!.version));
    await connection.query(`set up the session at ${place}`, statement);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** As in libpq, a server that refuses the login ends the search: the next would be a surprise. */
function isRefusal(error: PostgresError): boolean {
  return error.cause instanceof pg.DatabaseError && !isTransient(error.cause);
}

async function connectToHost(
  place: Place,
  options: PostgresOptions,
  kind: ConnectionKind,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const failures: FailedAttempt[] = [];
  const note = (error: unknown, attempt: Attempt) => {
    signal?.throwIfAborted();
    failures.push(explainFailure(error, attempt, options));
  };
  const ways = await waysToConnect(place.host, options);
  const token = options.auth === "rds-iam"
    ? await rdsToken(place, options.user, signal)
    : undefined;
  let addresses: string[] = [];
  try {
    addresses = await withinTime(options, signal, (stop) => addressesOf(place, stop));
  } catch (error) {
    note(error, { ...place, encrypted: false, kind });
  }
  for (const address of addresses) {
    // The stage that the last attempt reached decides what is tried next, as in libpq.
    let next: NextTry = "address";
    const unanswered = failures.length;
    for (const way of ways) {
      const attempt = { ...place, address, encrypted: way.kind === "tls", kind };
      let login: Login | undefined;
      try {
        const started = login = startLogin(attempt, way, options, token);
        return await withinTime(options, signal, (stop) => logIn(started, stop));
      } catch (error) {
        note(error, attempt);
        next = nextTry(error, login?.watch.stage ?? "connecting", attempt);
      }
      if (next !== "way") break;
    }
    if (next === "address") continue;
    // What this one said counts, whatever became of those before it.
    failures.splice(0, unanswered);
    break;
  }
  throw cannotConnect(failures as [FailedAttempt, ...FailedAttempt[]], options);
}

/** Work that has the connect timeout for itself, and ends when the caller wants no more. */
async function withinTime<T>(
  { connectTimeoutMs }: PostgresOptions,
  signal: AbortSignal | undefined,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = connectTimeoutMs > 0
    ? setTimeout(() => deadline.abort(new ConnectTimeout()), connectTimeoutMs)
    : undefined;
  try {
    return await work(
      signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]),
    );
  } finally {
    clearTimeout(timer);
  }
}

type NextTry = "way" | "address" | "nothing";

/**
 * What libpq tries after a failure: the sslmode's other way when TLS did not come about or when the
 * server refused the login; the host's next address when nothing answered at this one. What this
 * program itself refused stays refused.
 */
function nextTry(error: unknown, stage: LoginStage, { encrypted }: Attempt): NextTry {
  if (error instanceof ConnectTimeout || stage === "connecting") return "address";
  if (error instanceof pg.DatabaseError) return stage === "authenticated" ? "nothing" : "way";
  return encrypted && stage === "connected" ? "way" : "nothing";
}

/** All addresses of a host, in the system's order, as libpq tries them. */
async function addressesOf({ host, address }: Place, signal: AbortSignal): Promise<string[]> {
  if (address !== undefined) return [address];
  if (isSocketFolder(host) || isIP(host) !== 0) return [host];
  const found = await untilAborted(lookup(host, { all: true }), signal);
  return found.map(({ address }) => address);
}

interface Login {
  readonly connection: Connection;
  readonly watch: LoginWatch;
}

function startLogin(
  attempt: Attempt & { readonly address: string },
  way: Encryption,
  options: PostgresOptions,
  token: string | undefined,
): Login {
  const { address } = attempt;
  const guard = guardSocket(attempt, options);
  const socket = new Socket();
  const client = new pg.Client({
    host: address,
    port: attempt.port,
    database: options.database,
    user: options.user,
    password: async () => {
      const refusal = watch.refusal();
      if (refusal !== undefined) throw refusal;
      const password = token ?? await findPassword(attempt, options);
      warnOfPlainPassword(watch.method, way, attempt);
      return password;
    },
    ssl: way.kind === "tls" ? way.options : false,
    sslnegotiation: options.sslNegotiation,
    enableChannelBinding: way.kind === "tls" && way.mayBind,
    stream: () => socket,
    application_name: options.applicationName,
    options: startupOptions(attempt.kind, options.sessionOptions),
    keepAlive: !isSocketFolder(address),
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    types: { getTypeParser: () => (value: string) => value },
    // "false" keeps an environment variable PGREPLICATION out.
    replication: attempt.kind === "replication" ? "database" : "false",
  } as pg.ClientConfig);
  const watch = new LoginWatch(client, options, guard);
  return { watch, connection: new Connection(client, socket, attempt) };
}

/** @throws {SocketRefused} for a socket of somebody who is not to have what is said to it. */
function guardSocket(attempt: Attempt, { requirePeer }: PostgresOptions): SocketGuard | undefined {
  if (!isSocketFolder(attempt.host)) return undefined;
  if (requirePeer !== undefined) {
    return new SocketGuard(placeOf(attempt), { kind: "peer", user: requirePeer });
  }
  return attempt.guessed ? new SocketGuard(placeOf(attempt), { kind: "guessed" }) : undefined;
}

async function logIn({ connection, watch }: Login, signal: AbortSignal): Promise<Connection> {
  const { client, socket, place, attempt } = connection;
  try {
    await untilAborted(client.connect(), signal);
  } catch (error) {
    // On Deno 2.4 a Unix socket closes before it says why, and pg knows only that it closed.
    const why = watch.stage === "connecting" ? socket.errored ?? error : error;
    connection.destroy();
    throw why;
  }
  logger.debug("logged in at {place} ({kind}), {encryption}, by {method}", {
    place,
    kind: attempt.kind,
    encryption: attempt.encrypted ? "with TLS" : "without TLS",
    method: watch.method,
  });
  return connection;
}

/** Asked only when the server asks; at every connect, so that a changed file counts. */
async function findPassword(attempt: Attempt, options: PostgresOptions): Promise<string> {
  const { database, user, passwordFile } = options;
  const password = options.password ??
    await passwordFromFile({ ...attempt, database, user }, passwordFile);
  if (password === undefined) throw new NoPassword();
  registerSecret(password);
  return password;
}
