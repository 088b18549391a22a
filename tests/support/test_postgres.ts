// @ts-types="@types/pg"
import type pg from "pg";

/** One row of a result, by column name; values as npm:pg parses them (int8 and numeric as text). */
// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

export type StopMode = "smart" | "fast" | "immediate";

export interface ConnectOptions {
  /** Default `postgres`. */
  readonly database?: string;
  /** Default the superuser. */
  readonly user?: string;
}

export interface PostgresServerOptions {
  /** Lines for postgresql.conf, over the defaults of {@linkcode DEFAULT_SETTINGS}. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /**
   * Arguments for initdb beside the default `--encoding=UTF8 --locale=C` (the last one counts). A
   * cluster with arguments, even an empty list, has a system identifier of its own; the others are
   * copies of one template.
   */
  readonly initdbArgs?: readonly string[];
  /** Lines of pg_hba.conf for other than the superuser on the local socket, who is always let in. */
  readonly hba?: readonly string[];
  /** Turns TLS on. PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

/** A real PostgreSQL server of one test's own. `await using` stops it and removes its files. */
export interface TestPostgres extends AsyncDisposable {
  /** `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  /** Directory of the Unix socket. */
  readonly socketDir: string;
  readonly dataDir: string;
  readonly superuser: string;
  /** `server_version_num`: 150020, 180004. */
  readonly version: number;
  /** Runs SQL (several statements too) on a connection of its own; gives the last result's rows. */
  sql(text: string, options?: ConnectOptions & { values?: unknown[] }): Promise<Row[]>;
  /** Opens a connection by the local socket; the caller ends it. */
  connect(options?: ConnectOptions): Promise<pg.Client>;
  /** Creates a database with a name that no other has; `clauses` follow CREATE DATABASE name. */
  createDatabase(clauses?: string): Promise<string>;
  /** Starts it again on the same port, after a stop. */
  start(): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
  restart(mode?: StopMode): Promise<void>;
  /** Kills the postmaster with SIGKILL; its children follow by themselves. */
  kill9(): Promise<void>;
  /**
   * A hot standby that streams from this server, which is restarted for it. Once, since it takes the
   * physical slot `standby`. `settings` are its own.
   */
  startStandby(settings?: Readonly<Record<string, string | number>>): Promise<TestPostgres>;
  /** What the server has logged so far. */
  logs(): string;
}

export const DEFAULT_SETTINGS: Readonly<Record<string, string | number>> = {
  wal_level: "logical",
  fsync: "off",
  max_replication_slots: 20,
  max_wal_senders: 20,
  max_connections: 50,
  shared_buffers: "32MB",
  max_prepared_transactions: 5,
};
