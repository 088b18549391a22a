import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { HEARTBEAT_PREFIX } from "../../decode/event.ts";
import { RunError } from "../../base/errors.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import type { PostgresOptions } from "../../options.ts";
import { bounded } from "../connection/bounded.ts";
import { isLoginRefused } from "../connection/connect_failure.ts";
import { connect, type Connection } from "../connection/connection.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import { quoteIdentifier } from "../connection/sql_text.ts";
import { READ_ONLY } from "../connection/target_session.ts";

const logger = getLogger(["pg2kinesis", "heartbeat"]);

/** For the server to emit one. */
const ANSWER_TIMEOUT_MS = 10_000;
const SAYING_RATE = { repeatMs: 600_000, saysNewReasons: true };

const UNDEFINED_FUNCTION = "42883";
const NO_RIGHT = "42501";

export interface HeartbeatOptions {
  readonly postgres: PostgresOptions;
  readonly intervalMs: number;
  readonly clock: Clock;
}

/**
 * Writes a logical message into the database's WAL again and again, so that there is always something
 * for the slot to follow. On its own connection, reopened whenever it is lost; what cannot be
 * emitted is warned of, and the run goes on.
 */
export class Heartbeat implements Disposable {
  /** Resolves when this server will never emit one. */
  readonly failure: Promise<Error>;
  #connection: Connection | undefined;
  readonly #closing = new AbortController();
  readonly #trouble: LastingTrouble;

  constructor(private readonly options: HeartbeatOptions) {
    this.#trouble = new LastingTrouble(options.clock, SAYING_RATE);
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.failure = promise;
    void this.#run().catch(resolve);
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#connection?.destroy();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#emit(signal);
        if (this.#trouble.over() !== undefined) logger.info("heartbeats are emitted again");
      } catch (error) {
        this.#letGo();
        if (signal.aborted) return;
        if (!(error instanceof PostgresError)) throw error;
        if (error.code === UNDEFINED_FUNCTION) {
          throw new RunError(
            `--heartbeat needs pg_logical_emit_message(), which this server does not have: ` +
              `${error.message}; leave --heartbeat out`,
            { cause: error },
          );
        }
        this.#warn(error);
      }
      await this.options.clock.sleep(this.options.intervalMs, signal);
    }
  }

  async #emit(signal: AbortSignal): Promise<void> {
    this.#connection ??= await this.#connect(signal);
    // It need not survive a crash, nor wait for standbys.
    const emitting = this.#connection.query(
      "emit a heartbeat",
      "SELECT pg_catalog.set_config('synchronous_commit', 'off', false), " +
        `pg_catalog.pg_logical_emit_message(true, '${HEARTBEAT_PREFIX}', ''::pg_catalog.text)`,
    );
    await bounded(this.#connection, emitting, ANSWER_TIMEOUT_MS, signal);
  }

  /** A slot may be on a standby, but a heartbeat comes from a primary: any of the hosts. */
  async #connect(signal: AbortSignal): Promise<Connection> {
    const { postgres } = this.options;
    const connection = await connect(
      { ...postgres, targetSessionAttrs: "primary" },
      "ordinary",
      signal,
    );
    connection.lost.then((why) => {
      logger.debug("the heartbeat's connection is lost: {why}", { why: why.message });
      if (this.#connection === connection) this.#letGo();
    });
    return connection;
  }

  #letGo(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  #warn(error: PostgresError): void {
    // Whoever follows the slot reports a server that is down.
    if (error.transient && error.code !== READ_ONLY && !isLoginRefused(error.code)) {
      logger.debug("no heartbeat: {why}", { why: error.message });
      return;
    }
    if (this.#trouble.failed(error.message) === undefined) return;
    logger.warn("no heartbeat: {why}{advice}", {
      why: error.message,
      advice: adviceFor(error, this.options.postgres),
    });
  }
}

function adviceFor(error: PostgresError, { user }: PostgresOptions): string {
  switch (error.code) {
    case NO_RIGHT:
      return "; run GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(boolean, text, text) " +
        `TO ${quoteIdentifier(user)} (on PostgreSQL 17 and newer: (boolean, text, text, boolean))`;
    case READ_ONLY:
      return "; name the primary in --pg-host too, or leave --heartbeat out";
    default:
      return "";
  }
}
