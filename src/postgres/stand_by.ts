import { getLogger } from "@logtape/logtape";
import type { PostgresOptions, SlotOptions } from "../options.ts";
import { backoffMs, pause } from "./backoff.ts";
import { bounded } from "./bounded.ts";
import { connect, type Connection, type TextRow } from "./connection.ts";
import { PostgresError } from "./postgres_error.ts";

const logger = getLogger(["pg2kinesis", "standby"]);

const LOOK_MS = 1000;
/** For the server to tell who holds the slot. */
const ANSWER_TIMEOUT_MS = 5000;
/**
 * After the server itself was away: whoever followed the slot comes back within this, and has more of
 * it than we. Longer than the longest pause between its attempts to connect.
 */
const GRACE_MS = 6000;
const REMINDER_MS = 10 * 60_000;

/** The slot, the process that holds it and, where the role may see that, whose it is. */
const SLOT_QUERY = `
  SELECT server.in_recovery, s.*, a.application_name, pg_catalog.host(a.client_addr) AS client
    FROM (SELECT pg_catalog.pg_is_in_recovery()::text AS in_recovery) server
    LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = $1
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid`;

/**
 * Waits while another client holds the slot; resolves when nobody does, or when there is no slot to
 * begin with. PostgreSQL's lock on the slot decides who has it next: that is who starts to follow it
 * first. `isKnown`: it was there before.
 * @throws {PostgresError} when a known slot is gone, or cannot be looked at the first time; the
 * signal's reason when it aborts.
 */
export async function standBy(
  postgres: PostgresOptions,
  slot: SlotOptions,
  signal: AbortSignal,
  isKnown: boolean,
): Promise<void> {
  let connection: Connection | undefined;
  let holder: string | undefined;
  let failures = 0;
  let hasLooked = isKnown;
  let wasUsable = isKnown;
  let freeFromMs = 0;
  let wasPrimary: boolean | undefined;
  const wait = new Reminder();
  try {
    while (true) {
      signal.throwIfAborted();
      let row: TextRow;
      try {
        connection ??= await connect(postgres, "ordinary", signal);
        const asked = connection.query("look at the slot", SLOT_QUERY, [slot.name]);
        row = (await bounded(connection, asked, ANSWER_TIMEOUT_MS, signal))[0]!;
        const mayBeElsewhere = row.slot_name === null || row.synced === "t";
        if (hasLooked && wasPrimary !== false && row.in_recovery === "true" && mayBeElsewhere) {
          // One of several hosts, while the primary is away.
          const message = `${connection.place} is a standby, and the slot is on the primary`;
          throw new PostgresError(message, { transient: true });
        }
      } catch (error) {
        signal.throwIfAborted();
        connection?.destroy();
        connection = undefined;
        const heals = error instanceof PostgresError && error.transient;
        if (!heals || !hasLooked) throw error;
        const why = error.message;
        if (failures === 0) logger.info("cannot look at the slot: {why}; trying on", { why });
        else {wait.remind((since) =>
            logger.warn("no look at the slot {since}: {why}", { since, why })
          );}
        await pause(backoffMs(failures++, Math.random), signal);
        freeFromMs = performance.now() + GRACE_MS;
        continue;
      }
      failures = 0;
      if (row.slot_name === null) {
        if (!wasUsable) return;
        throw new PostgresError(
          `the slot ${
            JSON.stringify(slot.name)
          } is gone from ${connection.place}: it was dropped ` +
            "while this standby waited for it, and what it still had cannot be read; fill the gap " +
            "from the tables and start again with --create-slot",
          { transient: false },
        );
      }
      // One that is being made has confirmed nothing; without its maker it is gone again.
      wasUsable ||= row.confirmed_flush_lsn !== null;
      hasLooked = true;
      wasPrimary = row.in_recovery === "false";
      if (row.active_pid === null) {
        if (performance.now() >= freeFromMs) {
          if (holder !== undefined) logger.info("the slot {slot} is free", { slot: slot.name });
          return;
        }
      } else {
        const name = holderOf(row);
        const log = () =>
          logger.info("standing by: the slot {slot} is followed by {holder}", {
            slot: slot.name,
            holder: name,
          });
        if (name !== holder) log();
        else wait.remind(log);
        holder = name;
      }
      await pause(LOOK_MS, signal);
    }
  } finally {
    connection?.destroy();
  }
}

function holderOf({ active_pid: pid, application_name: application, client }: TextRow): string {
  const process = `the server's process ${pid}`;
  if (!application && !client) return process;
  return `${application || "a client"} at ${client ?? "the server's socket"} (${process})`;
}

/** Calls at most every ten minutes, the first time after as long. */
class Reminder {
  readonly #since = new Date();
  #lastMs = Date.now();

  remind(log: (since: string) => void): void {
    if (Date.now() - this.#lastMs < REMINDER_MS) return;
    this.#lastMs = Date.now();
    log(`since ${this.#since.toISOString()}`);
  }
}
