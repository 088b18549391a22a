// @ts-types="@types/pg"
import pg from "pg";
import type { PostgresOptions } from "../../options.ts";
import { SOCKET_FOLDERS } from "../../libpq/resolve_connection.ts";
import { isSocketFolder } from "../../libpq/tls.ts";
import { StrangeAnswer } from "./login_bounds.ts";
import { LoginRefused } from "./login_watch.ts";
import { describe, errorCode, isTransient, PostgresError } from "./postgres_error.ts";
import { AROUND_POOLER, raiseLimit, refusalOf, type ServerRefusal } from "./server_refusal.ts";
import { SocketRefused } from "../../libpq/socket_owner.ts";
import { quoteIdentifier } from "./sql_text.ts";

/** A server of `--pg-host`; the address stands in for what the name service says of the host. */
export type Place = PostgresOptions["hosts"][number];

/** One attempt to connect, as messages describe it. */
export interface Attempt extends Place {
  readonly encrypted: boolean;
  readonly kind: "replication" | "ordinary";
}

/** No answer within the connect timeout. */
export class ConnectTimeout extends Error {
  override name = "ConnectTimeout";
}

/** The server asks for a password and there is none. */
export class NoPassword extends Error {
  override name = "NoPassword";
}

/** A host and its port, or the path of the socket. */
export function placeOf({ host, port }: { host: string; port: number }): string {
  if (isSocketFolder(host)) return `${host}/.s.PGSQL.${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Why an attempt failed and what to do, in one line; never shows the password. */
export interface FailedAttempt {
  readonly attempt: Attempt;
  readonly why: string;
  readonly transient: boolean;
  readonly cause: unknown;
}

export function explainFailure(
  cause: unknown,
  attempt: Attempt,
  options: PostgresOptions,
): FailedAttempt {
  const { why, transient } = cause instanceof pg.DatabaseError
    ? {
      why: explainServer(cause, attempt, options),
      // As with Kinesis: whoever logs in to AWS again gives this process keys that are not expired.
      transient: isTransient(cause) || isTokenRefused(cause, options),
    }
    : explainNetwork(cause, attempt, options);
  return { attempt, why, transient, cause };
}

/** The error for one host, from the failures of the ways that were tried. */
export function cannotConnect(
  failures: readonly [FailedAttempt, ...FailedAttempt[]],
  options: PostgresOptions,
): PostgresError {
  // That a server has no TLS is no failure of a mode that goes on without it, unless TLS is needed.
  const told = options.channelBinding === "require"
    ? failures
    : failures.filter(({ cause }) => !hasNoTls(describe(cause)));
  const [first, ...others] = told.length > 0
    ? told as [FailedAttempt, ...FailedAttempt[]]
    : failures;
  const start = `cannot connect to PostgreSQL at ${placeOf(first.attempt)} ` +
    `(database ${JSON.stringify(options.database)}, role ${JSON.stringify(options.user)})`;
  const rest = others.filter(({ why }) => why !== first.why).map(({ attempt, why }) => {
    const at = attempt.address === first.attempt.address ? "" : `at ${attempt.address}, `;
    return `; ${at}${attempt.encrypted ? "with" : "without"} TLS: ${why}`;
  });
  return new PostgresError(`${start}: ${first.why}${rest.join("")}`, {
    transient: failures.some(({ transient }) => transient),
    cause: failures.at(-1)!.cause,
  });
}

/** What the server itself said. */
function explainServer(error: pg.DatabaseError, attempt: Attempt, options: PostgresOptions) {
  const said = describe(error);
  const role = quoteIdentifier(options.user);
  if (isTokenRefused(error, options)) return explainToken(said, attempt, role);
  const refusal = refusalOf(error, attempt.kind);
  if (refusal !== undefined) {
    return explainRefusal(refusal, said, attempt, role, options);
  }
  switch (error.code) {
    case "28P01":
      return `wrong password, or no such role; check --pg-user, and set PGPASSWORD or write it to ~/.pgpass. The server said: ${said}`;
    case "3D000":
      return `there is no such database; check --pg-dbname. The server said: ${said}`;
    case "55000":
      return `the database takes no connections (ALLOW_CONNECTIONS); check --pg-dbname. The server said: ${said}`;
    case "57P03":
      return `the server is starting up or shutting down; try again. The server said: ${said}`;
  }
  return said;
}

function isTokenRefused(error: pg.DatabaseError, { auth }: PostgresOptions): boolean {
  return auth === "rds-iam" && isLoginRefused(error.code) &&
    refusalOf(error, "ordinary") !== "no entry";
}

/** Whether a SQLSTATE says that the server does not let the role in as it came. */
export function isLoginRefused(code: string | undefined): boolean {
  return code !== undefined && code.startsWith("28");
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html */
function explainToken(said: string, { host, kind }: Attempt, role: string): string {
  const replication = kind === "replication"
    ? " (and, for replication, rds.iam_auth_for_replication = 1 in the parameter group)"
    : "";
  return `IAM or the server refused the token; that needs IAM database authentication${replication}, ` +
    `GRANT rds_iam TO ${role}, rds-db:connect in the policy, and the endpoint's own name, not ` +
    `an alias, as --pg-host (${host}). The server said: ${said}`;
}

function explainRefusal(
  refusal: ServerRefusal,
  said: string,
  attempt: Attempt,
  role: string,
  { database, sslCert, sessionOptions }: PostgresOptions,
): string {
  const answer = `. The server said: ${said}`;
  switch (refusal) {
    case "max_wal_senders":
      return `all max_wal_senders are in use; end one, or raise the setting${answer}`;
    case "max_connections":
      return `the server has no connection left; end some, or raise max_connections${answer}`;
    case "role limit":
      return "the role's own CONNECTION LIMIT is used up; end some of its sessions, or run " +
        `${raiseLimit("ROLE", role)}${answer}`;
    case "database limit":
      return "the database's own CONNECTION LIMIT is used up; end some of its sessions, or run " +
        `${raiseLimit("DATABASE", quoteIdentifier(database))}${answer}`;
    case "role":
      return `${said}; check --pg-user`;
    case "no CONNECT":
      return `the role may not connect to this database; run GRANT CONNECT ON DATABASE ` +
        `${quoteIdentifier(database)} TO ${role}${answer}`;
    case "no REPLICATION":
      return `the role may not replicate; run ALTER ROLE ${role} REPLICATION ` +
        `(on Amazon RDS: GRANT rds_replication TO ${role})${answer}`;
    case "session option":
      return sessionOptions === undefined
        ? said
        : `the server refuses an option of the session; check PGOPTIONS (in a URL: options) and PGTZ${answer}`;
    case "pooler":
      return `that is not PostgreSQL itself: ${AROUND_POOLER}. It said: ${said}`;
    case "no entry": {
      // Logical replication connections match the database's entries, not "replication".
      const encryption = !attempt.encrypted
        ? ", or --pg-sslmode require where that one is hostssl"
        : sslCert === undefined
        ? ", or --pg-sslcert where that one asks for a certificate"
        : "";
      return "pg_hba.conf of the server admits nobody this way; it needs an entry for this host, role and " +
        'database, before any that rejects them (the keyword "replication" does not cover logical ' +
        `replication)${encryption}${answer}`;
    }
    default:
      return refusal satisfies never;
  }
}

/** What the system, the name service, TLS or our own timer said. */
function explainNetwork(error: unknown, attempt: Attempt, options: PostgresOptions) {
  const said = describe(error);
  const later = (why: string) => ({ why, transient: true });
  const never = (why: string) => ({ why, transient: false });
  if (error instanceof ConnectTimeout) {
    return later(
      `no answer within ${
        options.connectTimeoutMs / 1000
      } s; check --pg-host, --pg-port and firewalls`,
    );
  }
  if (error instanceof LoginRefused) return never(said);
  // Whoever put himself in the server's place while that is away is not to end a run that waits for it.
  if (error instanceof SocketRefused || error instanceof StrangeAnswer) return later(said);
  if (error instanceof NoPassword) {
    return never("the server asks for a password; set PGPASSWORD or write it to ~/.pgpass");
  }
  // Each version of Deno has other words for it, 2.4 none at all.
  if (isSocketFolder(attempt.host) && !mayWriteTo(placeOf(attempt))) {
    return never(
      `this executable may use sockets in ${SOCKET_FOLDERS.join(", ")} alone; connect by TCP ` +
        "(--pg-host localhost), or name one of these folders in the server's unix_socket_directories",
    );
  }
  switch (errorCode(error)) {
    case "ECONNREFUSED":
      return later(
        "connection refused: nothing listens there; check --pg-host and --pg-port, and that the server runs",
      );
    case "ENOENT":
      return later(
        "there is no such socket; check --pg-host and --pg-port, and that the server runs",
      );
    case "EACCES":
    case "EPERM":
      return never(`this user may not use the socket: ${said}`);
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return later(
        `the host name cannot be resolved (${errorCode(error)}); check --pg-host`,
      );
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return later(
        `there is no route to that host (${errorCode(error)}); check --pg-host and routes`,
      );
  }
  if (attempt.encrypted) {
    const why = explainTls(said, errorCode(error), options);
    if (why !== undefined) return never(why);
  }
  if (error instanceof Deno.errors.NotCapable || errorCode(error) === "ERR_ACCESS_DENIED") {
    return never(said);
  }
  if (/SASL|SCRAM|channel binding/i.test(said)) return never(`the login failed: ${said}`);
  return later(
    said === "Connection terminated unexpectedly"
      ? "the server closed the connection before it answered; is that PostgreSQL?"
      : said,
  );
}

/** Deno wants the right to write to a socket before it connects to it. */
function mayWriteTo(path: string): boolean {
  return Deno.permissions.querySync({ name: "write", path }).state === "granted";
}

const hasNoTls = (said: string) => said === "The server does not support SSL connections";

/** The words of Deno's TLS, which are OpenSSL's on newer and rustls' on older versions. */
function explainTls(
  said: string,
  code: string | undefined,
  options: PostgresOptions,
): string | undefined {
  if (hasNoTls(said)) {
    return `the server does not offer TLS, which --pg-sslmode ${options.sslMode} asks for`;
  }
  const facts = `${code ?? ""} ${said}`;
  const answer = `. TLS said: ${said}`;
  if (/ALTNAME_INVALID|not valid for( name)?|NotValidForName/i.test(facts)) {
    return "the server's certificate is for another host; connect by the name it was made for, or " +
      `use --pg-sslmode verify-ca${answer}`;
  }
  // Deno 2.9 has this one code for a certificate of another authority and for one that has expired.
  if (code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE") {
    return "the server's certificate was not made by an authority that is trusted here, or it has " +
      `expired; give the right authority with --pg-sslrootcert, or renew the certificate${answer}`;
  }
  if (/EXPIRED/i.test(facts)) return `the server's certificate has expired${answer}`;
  if (/NOT_YET_VALID|NotValidYet/i.test(facts)) {
    return `the server's certificate is not valid yet; check the clocks${answer}`;
  }
  if (/UNABLE_TO_|SELF_SIGNED|UnknownIssuer|CERT_UNTRUSTED|CaUsedAsEndEntity/i.test(facts)) {
    return "the server's certificate was not made by an authority that is trusted here; give the " +
      `right one with --pg-sslrootcert${answer}`;
  }
  if (/CERT|SSL|TLS|handshake|alert|peer sent/i.test(facts)) return `TLS failed: ${said}`;
  return undefined;
}
