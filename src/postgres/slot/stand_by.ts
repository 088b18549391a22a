import { getLogger } from "@logtape/logtape";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { keepTrying } from "../../base/keep_trying.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import type { PostgresOptions, SlotOptions } from "../../options.ts";
import { bounded } from "../connection/bounded.ts";
import { connect, type Connection } from "../connection/connection.ts";
import { isTrue, type TextRow } from "../connection/text_row.ts";
import { Healing } from "../connection/healing.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import { slotProblem } from "./slot_problem.ts";
import { readSlotRow, type SlotRow } from "./slot_row.ts";

const logger = getLogger(["pg2kinesis", "standby"]);

const LOOK_MS = 1000;
/** How long the server has to say who holds the slot. */
const ANSWER_TIMEOUT_MS = 5000;
/**
 * After the server itself was away: whoever followed the slot comes back within this, and keeps it. Longer
 * than the longest pause between its attempts to connect.
 */
const GRACE_MS = 6000;
const SAYING_RATE = { repeatMs: 10 * 60_000 };

/** The slot, the process that holds it and, where the role may see that, whose it is. */
const SLOT_QUERY = `
  SELECT server.in_recovery, s.*, a.application_name, pg_catalog.host(a.client_addr) AS client
    FROM (SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text AS in_recovery) server
    LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name OPERATOR(pg_catalog.=) $1
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) s.active_pid`;

/**
 * Waits while another client holds the slot; resolves when nobody does, or when there is no slot to
 * begin with. PostgreSQL's lock on the slot decides who has it next: that is who starts to follow it
 * first. `isKnown`: it was there before. Gives whether another client was seen to follow it.
 * @throws {PostgresError} when a known slot is gone, or cannot be looked at the first time; the
 * signal's reason when it aborts.
 */
export async function standBy(
  postgres: PostgresOptions,
  slot: SlotOptions,
  signal: AbortSignal,
  isKnown: boolean,
  clock: Clock,
  random: () => number,
): Promise<boolean> {
  using lookout = new Lookout(postgres, slot, signal, isKnown, clock, random);
  const waiting = new LastingTrouble(clock, { ...SAYING_RATE, saysNewReasons: true });
  let holder: string | undefined;
  for (let wasThere = isKnown;; await clock.sleep(LOOK_MS, signal)) {
    const seen = await lookout.look();
    if (seen.slot === undefined) {
      if (!wasThere) return false;
      throw new PostgresError(
        `the slot ${
          JSON.stringify(slot.name)
        } is gone from ${lookout.place}: it was dropped while ` +
          "this standby waited for it, and what it still had cannot be read; fill the gap from the " +
          "tables and start again with --create-slot",
        { transient: false },
      );
    }
    // One that is being made has confirmed nothing; without its maker it is gone again.
    wasThere ||= seen.slot.confirmedFlushLsn !== undefined;
    if (seen.holder === undefined) {
      if (clock.now() < lookout.graceEndsMs) continue;
      if (holder !== undefined) logger.info("the slot {slot} is free", { slot: slot.name });
      return wasThere && holder !== undefined;
    }
    holder = seen.holder;
    if (waiting.failed(holder) !== undefined) {
      logger.info("standing by: the slot {slot} is followed by {holder}", {
        slot: slot.name,
        holder,
      });
    }
  }
}

interface Seen {
  /** Undefined: there is none. */
  readonly slot: SlotRow | undefined;
  /** The client that follows it, for a person. */
  readonly holder: string | undefined;
}

/** Examines the slot on an ordinary connection, which is reopened for as long as it takes. */
class Lookout implements Disposable {
  /** By the clock's `now`: until then whoever followed the slot may come back to it. */
  graceEndsMs = -Infinity;
  #connection: Connection | undefined;
  #hasLooked: boolean;
  readonly #healing: Healing;
  /** Whether the slot was on a primary; undefined: not known yet. */
  #wasPrimary: boolean | undefined;

  constructor(
    private readonly postgres: PostgresOptions,
    private readonly slot: SlotOptions,
    private readonly signal: AbortSignal,
    isKnown: boolean,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {
    this.#hasLooked = isKnown;
    this.#healing = new Healing(clock);
  }

  get place(): string {
    return this.#connection!.place;
  }

  /**
   * @throws {PostgresError} what does not heal, and whatever comes at the first look.
   */
  look(): Promise<Seen> {
    const backoff = new Backoff(this.random);
    const trouble = new LastingTrouble(this.clock, SAYING_RATE);
    let hasFailed = false;
    const failed = (error: unknown) => {
      this[Symbol.dispose]();
      if (!this.#healing.heals(error) || !this.#hasLooked) throw error;
      hasFailed = true;
      const lasted = trouble.failed(error.message);
      if (lasted === undefined) return;
      logger.warn("cannot examine the slot since {since}: {why}", {
        since: lasted.since,
        why: error.message,
      });
    };
    return keepTrying(() => {
      if (hasFailed) this.graceEndsMs = this.clock.now() + GRACE_MS;
      return this.#ask();
    }, { clock: this.clock, signal: this.signal, pauseMs: () => backoff.nextMs(), failed });
  }

  async #ask(): Promise<Seen> {
    const connection = this.#connection ??= await connect(this.postgres, "ordinary", this.signal);
    const asked = connection.query("look at the slot", SLOT_QUERY, [this.slot.name]);
    const [row] = await bounded(connection, asked, ANSWER_TIMEOUT_MS, this.signal);
    const slot = readSlotRow(row!);
    const isStandby = isTrue(row!.in_recovery);
    const mayBeElsewhere = slot === undefined || slot.isSynced;
    if (this.#hasLooked && this.#wasPrimary !== false && isStandby && mayBeElsewhere) {
      // One of several hosts, while the primary is away.
      const message = `${connection.place} is a standby, and the slot is on the primary`;
      throw new PostgresError(message, { transient: true });
    }
    this.#hasLooked = true;
    this.#wasPrimary = !isStandby;
    return { slot, holder: this.#isWorthWaiting(slot, isStandby) ? holderOf(row!) : undefined };
  }

  /** Whether another client holds it, and nothing but that keeps us from following it. */
  #isWorthWaiting(slot: SlotRow | undefined, isStandby: boolean): boolean {
    if (slot?.activePid === undefined) return false;
    const { database } = this.postgres;
    return slotProblem(slot, { database, isStandby }, this.slot)?.transient !== false;
  }

  [Symbol.dispose](): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}

function holderOf({ active_pid: pid, application_name: application, client }: TextRow): string {
  const process = `the server's process ${pid}`;
  if (!application && !client) return process;
  return `${application || "a client"} at ${client ?? "the server's socket"} (${process})`;
}
