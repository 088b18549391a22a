import { getLogger } from "@logtape/logtape";
import type { PostgresOptions } from "../../options.ts";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import { bounded } from "../connection/bounded.ts";
import { connect, type Connection } from "../connection/connection.ts";
import type { TextRow } from "../connection/text_row.ts";
import { saysItStops } from "../connection/healing.ts";
import { errorCode, failed, PostgresError } from "../connection/postgres_error.ts";
import { readSlotState, SLOT_STATE_QUERY, type SlotState } from "../slot/slot_state.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** For an answer to a question about our walsender. */
const ANSWER_TIMEOUT_MS = 5000;

/** The pause before it is reopened. */
const PAUSES = { firstMs: 2_000, longestMs: 120_000 };
const SAYING_RATE = { repeatMs: 600_000 };

/**
 * An ordinary connection that stays open beside a replication connection. A walsender whose client
 * has not confirmed everything, and keeps it alive, blocks the server's fast shutdown; an ordinary
 * connection is ended at once and says so. If there is no connection left for it, replication continues
 * without it; one that is cut is reopened.
 */
export class ServerWatch {
  #connection: Connection | undefined;
  /** Resolves when the present connection is of no more use. */
  #gone = Promise.withResolvers<Error>();
  readonly #closing = new AbortController();
  readonly #place: PostgresOptions;

  /** `place` is where the replication connection is. */
  constructor(
    postgres: PostgresOptions,
    place: { readonly host: string; readonly port: number },
    private readonly onShutdown: (error: PostgresError) => void,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {
    this.#place = { ...postgres, hosts: [place], targetSessionAttrs: "any" };
    void this.#keep();
  }

  /** Whether the server, asked now, shows the walsender at work, so that its silence means nothing. */
  async isSenderAtWork(pid: number): Promise<boolean> {
    // It waits for WAL, or for us to read: then it is not at work, and we should hear of it.
    const rows = await this.#ask(
      "look at the walsender",
      `SELECT 1 FROM pg_catalog.pg_stat_activity
        WHERE pid OPERATOR(pg_catalog.=) $1
          AND COALESCE(pg_catalog.lower(wait_event), '') OPERATOR(pg_catalog.<>)
              ALL ('{walsenderwaitforwal,walsendermain,walsenderwritedata}'::pg_catalog.text[])`,
      [pid],
    );
    return rows !== undefined && rows.length > 0;
  }

  /** Whether the server, asked now, shows the slot held by this walsender; undefined: no answer. */
  async isHeldBy(slotName: string, pid: number): Promise<boolean | undefined> {
    const rows = await this.#ask(
      "look at the slot",
      "SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name OPERATOR(pg_catalog.=) $1",
      [slotName],
    );
    return rows && rows[0]?.active_pid === String(pid);
  }

  /** What the server, asked now, says of a slot; undefined: no answer. */
  async slotState(slotName: string): Promise<SlotState | undefined> {
    const rows = await this.#ask("ask what the slot retains", SLOT_STATE_QUERY, [slotName]);
    return rows && readSlotState(rows[0]!);
  }

  close(): void {
    this.#closing.abort();
    this.#connection?.destroy();
  }

  async #ask(doing: string, text: string, values: unknown[]): Promise<TextRow[] | undefined> {
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    try {
      return await bounded(connection, connection.query(doing, text, values), ANSWER_TIMEOUT_MS);
    } catch (error) {
      // A connection that was given up does not report its end.
      if (connection === this.#connection) this.#gone.resolve(error as Error);
      return undefined;
    }
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(this.random, PAUSES);
    const trouble = new LastingTrouble(this.clock, SAYING_RATE);
    while (!signal.aborted) {
      try {
        const connection = await connect(this.#place, "ordinary", signal);
        const gone = Promise.withResolvers<Error>();
        connection.lost.then(gone.resolve);
        this.#gone = gone;
        this.#connection = connection;
        if (signal.aborted) return connection.destroy();
        if (trouble.over() !== undefined) {
          logger.info("watching for a shutdown of the server again");
        }
        const reason = await gone.promise;
        this.#connection = undefined;
        connection.destroy();
        if (saysItStops({ code: errorCode(reason) })) {
          return this.onShutdown(failed(`the server at ${connection.place} stops`, reason));
        }
        backoff.reset();
        logger.debug("the connection that watches the server is reopened: {why}", {
          why: reason.message,
        });
      } catch (error) {
        if (signal.aborted) return;
        // Nobody else is let in any more: the server waits for our replication connection.
        if (error instanceof PostgresError && saysItStops(error)) {
          return this.onShutdown(error);
        }
        const why = error instanceof Error ? error.message : String(error);
        if (trouble.failed(why) !== undefined) {
          logger.warn("nothing watches for a shutdown of the server: {why}", { why });
        }
      }
      await this.clock.sleep(backoff.nextMs(), signal);
    }
  }
}
