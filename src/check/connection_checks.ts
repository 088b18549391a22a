import { isIP } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import type { PostgresOptions } from "../options.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import { isSocketFolder } from "../libpq/tls.ts";
import type { PostgresError } from "../postgres/connection/postgres_error.ts";
import { raiseLimit, refusalOf } from "../postgres/connection/server_refusal.ts";
import { isHidden, quoteIdentifier } from "../postgres/connection/sql_text.ts";
import type { Remedy } from "../base/problem.ts";
import type { Findings } from "./finding.ts";
import { isTrue } from "../postgres/connection/text_row.ts";

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
  if (row !== undefined && isTrue(row.ssl)) {
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
  { user, database, sslMode }: PostgresOptions,
): Remedy | undefined {
  if (!(error.cause instanceof pg.DatabaseError)) return undefined;
  const { message } = error.cause;
  const role = quoteIdentifier(user);
  const sql = (statement: string): Remedy => ({ kind: "sql", statements: [`${statement};`] });
  const refusal = refusalOf(error.cause, "ordinary");
  switch (refusal) {
    case "role": {
      const create = `CREATE ROLE ${role} LOGIN REPLICATION`;
      const allow = `ALTER ROLE ${role} LOGIN`;
      // PostgreSQL has one SQLSTATE and one function for both. Its words decide nothing but which of two
      // harmless statements stands alone; in another language both are given.
      if (/does not exist$/.test(message)) return sql(create);
      if (/not permitted to log in$/.test(message)) return sql(allow);
      return { kind: "advice", text: `${create}; or, where the role is there, ${allow};` };
    }
    case "no entry": {
      // The client's address as the server sees it is nowhere else; it is in quotes in every language.
      const from = message.match(/[0-9a-fA-F:.]+/g)?.find((word) => isIP(word) !== 0);
      if (from === undefined) return undefined;
      // The file has no escapes, and takes what begins with a slash for a regular expression.
      if ([database, user].some((name) => isHidden(name) || name.startsWith("/"))) return undefined;
      const bits = isIP(from) === 6 ? 128 : 32;
      const kind = ["require", "verify-ca", "verify-full"].includes(sslMode) ? "hostssl" : "host";
      return {
        kind: "advice",
        text: `add to pg_hba.conf: ${kind} ${quoteIdentifier(database)} ${role} ${from}/${bits} ` +
          "scram-sha-256 (then SELECT pg_catalog.pg_reload_conf();)",
      };
    }
    case "no CONNECT":
      return sql(`GRANT CONNECT ON DATABASE ${quoteIdentifier(database)} TO ${role}`);
    case "role limit":
      return sql(raiseLimit("ROLE", role));
    case "database limit":
      return sql(raiseLimit("DATABASE", quoteIdentifier(database)));
    case "pooler":
      return { kind: "options", options: "--pg-host <PostgreSQL itself> --pg-port <its port>" };
    case "max_connections":
    case "max_wal_senders":
    case "no REPLICATION":
    case "session option":
    case undefined:
      return undefined;
    default:
      return refusal satisfies never;
  }
}
