import { getLogger } from "@logtape/logtape";
import type { PostgresOptions } from "../options.ts";
import { connect, type Connection } from "./connection.ts";
import { errorCode, failed, type PostgresError } from "./postgres_error.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** A server in a stop or a crash says one of these to its ordinary connections. */
const SHUTDOWN_CODES = new Set(["57P01", "57P02", "57P03"]);

/** For an answer to a question about our walsender. */
const ANSWER_TIMEOUT_MS = 5000;

/**
 * An ordinary connection that stays open beside a replication connection. A walsender whose client
 * has not confirmed everything, and keeps it alive, blocks the server's fast shutdown; an ordinary
 * connection is ended at once and tells so.
 */
export class ServerWatch {
  readonly #connection: Connection;

  /** Undefined where there is no connection left for it: the replication goes on without. */
  static async open(
    postgres: PostgresOptions,
    place: { readonly host: string; readonly port: number },
    signal: AbortSignal,
    onShutdown: (error: PostgresError) => void,
  ): Promise<ServerWatch | undefined> {
    try {
      const same = { ...postgres, hosts: [place], targetSessionAttrs: "any" as const };
      return new ServerWatch(await connect(same, "ordinary", signal), onShutdown);
    } catch (error) {
      if (!signal.aborted) {
        logger.warn("nothing watches for a shutdown of the server: {why}", {
          why: error instanceof Error ? error.message : String(error),
        });
      }
      return undefined;
    }
  }

  private constructor(connection: Connection, onShutdown: (error: PostgresError) => void) {
    this.#connection = connection;
    connection.lost.then((error) => {
      if (SHUTDOWN_CODES.has(errorCode(error) ?? "")) {
        onShutdown(failed(`the server at ${connection.place} stops`, error));
      }
    });
  }

  /** Whether the server, asked now, shows the walsender at work, so that its silence means nothing. */
  async isSenderAtWork(pid: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ANSWER_TIMEOUT_MS);
    });
    // It waits for WAL, or for us to read: then it is not at work, and we should hear of it.
    const asked = this.#connection.query(
      "look at the walsender",
      `SELECT 1 FROM pg_catalog.pg_stat_activity
        WHERE pid = $1 AND COALESCE(pg_catalog.lower(wait_event), '') NOT IN
              ('walsenderwaitforwal', 'walsendermain', 'walsenderwritedata')`,
      [pid],
    ).then((rows) => rows.length > 0, () => false);
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#connection.destroy();
  }
}
