import { startupOption } from "../../libpq/startup_option.ts";

/**
 * Every setting that our sessions pin. The server's file, `ALTER DATABASE` and `ALTER ROLE` set
 * defaults, and whoever owns the database sets them too: what is printed, whose functions are found
 * and what ends a session must not hang on those.
 *
 * Most are sent with the login, as `-c name=value` of the packet's `options`, which wins over what
 * database and role say and holds from the first statement on. A server refuses a login with a setting
 * that it does not know, so the younger ones are set by the first statement behind it.
 *
 * Of the person who runs this, `options` and `PGOPTIONS` stand before ours and lose against them, but
 * for the time zone: that one is theirs to choose.
 *
 * Looked at (pg_settings of 15 and 18) and left alone:
 * - `lc_monetary` says in which currency, and with how many decimals, a `money` is: another one would
 *   print another amount. It is the database's to say.
 * - `lc_messages` may be set by superusers alone; decisions are made by SQLSTATE, never by words.
 * - `xmloption`, `backslash_quote`, `transform_null_equals`, `timezone_abbreviations`
 *   and `default_text_search_config` change how texts are read, not how values are printed; what is
 *   written here does not hang on them.
 * - `wal_sender_timeout`, `tcp_user_timeout` and `logical_decoding_work_mem` are for operators to tune;
 *   status updates follow the first of them.
 * - `role` is how an operator lets a login act as another.
 */

/** `replication` is a walsender of the database, which also takes simple queries. */
export type ConnectionKind = "replication" | "ordinary";

interface SessionSetting {
  readonly name: string;
  readonly value: string | Readonly<Record<ConnectionKind, string>>;
  /** It is set behind the login, by servers from this `server_version_num` on. */
  readonly afterLogin?: number;
}

/**
 * The search path under which plugins print names. A plugin leaves out a type's schema where the bare
 * name finds the type: `pg_catalog` comes first, so that a bare `jsonb` is the built-in one whatever
 * lies in `public`, whose other types keep the bare names that consumers know.
 */
export const PRINTING_PATH = "pg_catalog, public";

export const SESSION_SETTINGS: readonly SessionSetting[] = [
  // Whose types, operators and functions a name finds. Temporary tables are looked at first unless
  // they are named last. CVE-2018-1058.
  {
    name: "search_path",
    value: { ordinary: "pg_catalog, pg_temp", replication: PRINTING_PATH },
  },

  // How values are printed.
  { name: "client_encoding", value: "UTF8" },
  { name: "DateStyle", value: "ISO, MDY" },
  { name: "IntervalStyle", value: "postgres" },
  // A timestamptz is printed in it, in keys too. See `usesTimeZone`.
  { name: "TimeZone", value: "UTC" },
  { name: "extra_float_digits", value: "1" },
  { name: "bytea_output", value: "hex" },
  // It would quote "jsonb" and "oid" as if they were a user's types.
  { name: "quote_all_identifiers", value: "off" },

  // `error` would silence the warnings by which a plugin says that it left a change out. `debug` would
  // send a message for nearly every change.
  { name: "client_min_messages", value: "notice" },

  // What ends a session or a statement. A walsender's runs as long as the program; questions to the
  // catalog are short, and none may hang forever.
  { name: "statement_timeout", value: { ordinary: "60s", replication: "0" } },
  { name: "lock_timeout", value: { ordinary: "10s", replication: "0" } },
  { name: "idle_in_transaction_session_timeout", value: "0" },
  { name: "idle_session_timeout", value: "0", afterLogin: 140000 },
  { name: "transaction_timeout", value: "0", afterLogin: 170000 },
  // Any error would end the session, also one that is only an answer.
  { name: "exit_on_error", value: "off" },

  // A hot standby refuses every statement of a serializable transaction.
  { name: "default_transaction_isolation", value: "read committed" },
  // CREATE PUBLICATION writes. Behind the login, so that `target_session_attrs` can
  // still see what the server's own value is.
  { name: "default_transaction_read_only", value: "off", afterLogin: 0 },

  // Literals of ours have their backslashes in E'' alone.
  { name: "standard_conforming_strings", value: "on" },
  // A backfill reads on behind a key, which may be an array with a NULL.
  { name: "array_nulls", value: "on" },
];

/** The command-line options of a session: the user's own, then ours, since the last one counts. */
export function startupOptions(kind: ConnectionKind, given: string | undefined): string {
  // Alone at the end it means nothing, but it would glue our first option to theirs.
  const own = (given ?? "").replace(/(?<!\\)((?:\\\\)*)\\$/, "$1");
  const ours = pinned(kind, given).filter(({ afterLogin }) => afterLogin === undefined)
    .map(({ name, value }) => startupOption(name, value));
  return [own, ...ours].join(" ").trim();
}

/** What a session finds when all that came with its login has arrived. */
export function searchPath(kind: ConnectionKind): string {
  return pinned(kind, undefined).find(({ name }) => name === "search_path")!.value;
}

/** Sets what a login cannot set, on a server of that version. */
export function statementAfterLogin(kind: ConnectionKind, version: number): string {
  return pinned(kind, undefined)
    .filter(({ afterLogin }) => afterLogin !== undefined && afterLogin <= version)
    .map(({ name, value }) => `SET ${name} = '${value}'`).join("; ");
}

function pinned(kind: ConnectionKind, given: string | undefined) {
  return SESSION_SETTINGS
    .filter(({ name }) => name !== "TimeZone" || !usesTimeZone(given ?? ""))
    .map(({ name, value, afterLogin }) => ({
      name,
      value: typeof value === "string" ? value : value[kind],
      afterLogin,
    }));
}

/** Whether command-line options choose the session's time zone. */
function usesTimeZone(options: string): boolean {
  const words = options.match(/(?:\\[^]|[^\\\s])+/g) ?? [];
  return words.some((word, index) => {
    const text = word.replace(/\\([^])/g, "$1");
    const setting = /^-c(?<setting>.+)|^--(?<long>.+)/s.exec(text)?.groups;
    const assignment = setting?.setting ?? setting?.long ??
      (words[index - 1] === "-c" ? text : "");
    return /^timezone=/i.test(assignment);
  });
}
