import { isIP } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import type { PostgresOptions } from "../options.ts";
import type { Connection } from "../postgres/connection.ts";
import { isSocketFolder } from "../postgres/encryption.ts";
import type { PostgresError } from "../postgres/postgres_error.ts";
import { isHidden, quoteIdentifier } from "../postgres/sql_text.ts";
import type { Remedy } from "../problem.ts";
import type { Findings } from "./finding.ts";

/** Says how the connection is protected, and what would protect it. */
export async function checkEncryption(
  connection: Connection,
  { sslMode }: PostgresOptions,
  findings: Findings,
): Promise<void> {
  const { host } = connection.attempt;
  const [row] = await connection.query(
    "ask how the connection is encrypted",
    `SELECT ssl::pg_catalog.text, version, cipher FROM pg_catalog.pg_stat_ssl
      WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`,
  );
  const verify: Remedy = {
    kind: "options",
    options: "--pg-sslmode verify-full --pg-sslrootcert <file>",
  };
  if (row?.ssl === "true") {
    const found = `${row.version}, ${row.cipher}, sslmode ${sslMode}`;
    if (sslMode === "verify-full") findings.ok("tls", found);
    else if (sslMode === "verify-ca") {
      findings.warn("tls", `${found}, which does not look at the server's name`, verify);
    } else findings.warn("tls", `${found}, which is not safe against an impostor`, verify);
  } else if (isSocketFolder(host) || isLoopback(host)) {
    findings.ok("tls", `not encrypted, and the server is on this machine (${host})`);
  } else {
    findings.warn(
      "tls",
      `not encrypted (sslmode ${sslMode}): passwords and changes can be read on the way`,
      verify,
    );
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** What lets us in; undefined where the message says all that can be said. */
export function connectionRemedy(
  error: PostgresError,
  { user, database }: PostgresOptions,
): Remedy | undefined {
  if (!(error.cause instanceof pg.DatabaseError)) return undefined;
  const { code, message } = error.cause;
  const role = quoteIdentifier(user);
  switch (code) {
    case "28000": {
      if (/role .* does not exist/.test(message)) {
        return { kind: "sql", statements: [`CREATE ROLE ${role} LOGIN REPLICATION;`] };
      }
      if (/not permitted to log in/.test(message)) {
        return { kind: "sql", statements: [`ALTER ROLE ${role} LOGIN;`] };
      }
      const from = /no pg_hba\.conf entry for host "([^"]+)"/.exec(message)?.[1];
      if (from === undefined) return undefined;
      // The file has no escapes, and takes what begins with a slash for a regular expression.
      if ([database, user].some((name) => isHidden(name) || name.startsWith("/"))) return undefined;
      const bits = isIP(from) === 6 ? 128 : 32;
      const kind = /SSL encryption|no encryption/.test(message) && /, SSL/.test(message)
        ? "hostssl"
        : "host";
      return {
        kind: "advice",
        text: `add to pg_hba.conf: ${kind} ${quoteIdentifier(database)} ${role} ${from}/${bits} ` +
          "scram-sha-256 (then SELECT pg_catalog.pg_reload_conf();)",
      };
    }
    case "42501":
      return /CONNECT/.test(String(error.cause.detail))
        ? {
          kind: "sql",
          statements: [`GRANT CONNECT ON DATABASE ${quoteIdentifier(database)} TO ${role};`],
        }
        : undefined;
    default:
      return undefined;
  }
}
