// @ts-types="@types/pg"
import type pg from "pg";

/**
 * What a server's error says beside its SQLSTATE is in whatever language the server speaks. Where one
 * SQLSTATE stands for several things, the function of the server that raised it tells them apart: it is
 * sent with each error (field `R`) and the same in all releases from 10 on.
 */
export type ServerRefusal =
  | "max_wal_senders"
  | "max_connections"
  | "role limit"
  | "database limit"
  | "no entry"
  | "role"
  | "no CONNECT"
  | "no REPLICATION"
  | "session option"
  | "pooler";

const TOO_MANY_CONNECTIONS = "53300";
const INVALID_AUTHORIZATION = "28000";
const INSUFFICIENT_PRIVILEGE = "42501";
const SYNTAX_ERROR = "42601";
const UNDEFINED_OBJECT = "42704";
const INVALID_PARAMETER_VALUE = "22023";
const CANNOT_CHANGE_RUNTIME_PARAMETER = "55P02";
/** Protocol violation: what PgBouncer answers to startup parameters that it does not know. */
const PROTOCOL_VIOLATION = "08P01";
const FEATURE_NOT_SUPPORTED = "0A000";

/** Why a login was refused, where the error's codes say it; undefined where they do not. */
export function refusalOf(
  { code, routine }: pg.DatabaseError,
  kind: "replication" | "ordinary",
): ServerRefusal | undefined {
  switch (code) {
    case TOO_MANY_CONNECTIONS:
      switch (routine) {
        case "InitializeSessionUserId":
          return "role limit";
        case "CheckMyDatabase":
          return "database limit";
        case "InitWalSenderSlot":
          return "max_wal_senders";
        // Walsenders have places of their own from 12 on.
        case "InitProcess":
          return kind === "replication" ? "max_wal_senders" : "max_connections";
        default:
          return routine === undefined ? undefined : "max_connections";
      }
    case INVALID_AUTHORIZATION:
      if (routine === "ClientAuthentication") return "no entry";
      return routine === "InitializeSessionUserId" ? "role" : undefined;
    case INSUFFICIENT_PRIVILEGE:
      if (routine === "CheckMyDatabase") return "no CONNECT";
      if (/^(set_config|call_\w+_check_hook)/.test(routine ?? "")) return "session option";
      return kind === "replication" ? "no REPLICATION" : undefined;
    // A login sets nothing but what its options say, and ours are those that every server takes.
    case SYNTAX_ERROR:
    case UNDEFINED_OBJECT:
    case INVALID_PARAMETER_VALUE:
    case CANNOT_CHANGE_RUNTIME_PARAMETER:
      return "session option";
    case PROTOCOL_VIOLATION:
    case FEATURE_NOT_SUPPORTED:
      // PostgreSQL names its function in every error.
      return routine === undefined ? "pooler" : undefined;
    default:
      return undefined;
  }
}

/** What to do about a connection limit of one role or one database. */
export function raiseLimit(what: "ROLE" | "DATABASE", quotedName: string): string {
  return `ALTER ${what} ${quotedName} CONNECTION LIMIT -1`;
}

/** The way around a pooler. */
export const AROUND_POOLER =
  "a connection pooler, such as PgBouncer, does not pass on what a run needs (a replication connection, " +
  "and settings of its own); give --pg-host and --pg-port of PostgreSQL itself";
