import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { RunError } from "../../base/errors.ts";
import type { Lsn } from "../../base/lsn.ts";
import { formatBytes } from "../../base/quantity.ts";
import type { Connection } from "../../postgres/connection/connection.ts";
import { type BackfillNews, NEWS_CHANNEL, parseNews, type ReaderName } from "../progress.ts";
import type { FollowedSlot } from "./followed_slot.ts";
import { doingOf, readersOf } from "./backfill_status.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** How often a run is looked at that says nothing. */
const LOOK_EVERY_MS = 10_000;
/** A run that reads says something more often, and one that lost its connection has it back by then. */
const QUIET_MS = 60_000;

/** Follows what the run says of one request. Anybody in the database could say the like. */
export class NewsWatch {
  readonly #done = Promise.withResolvers<void>();
  #isWhole = true;
  #heardMs = -Infinity;

  constructor(
    private readonly primary: Connection,
    private readonly slot: FollowedSlot,
    private readonly request: string,
    private readonly clock: Clock,
  ) {
    primary.client.on("notification", ({ channel, payload }) => {
      const news = channel === NEWS_CHANNEL ? parseNews(payload ?? "") : undefined;
      if (news?.slot === slot.name && news.request === request) this.#take(news);
    });
  }

  /**
   * Waits until the request, which stands at `asked` in the WAL, has ended. Gives whether every row is stored.
   * @throws {RunError} when the connection is lost, or the signal aborts: the backfill goes on all the same;
   * when the slot is gone, or its run says nothing of the request, as where it ended while a run was killed.
   */
  async untilDone(asked: Lsn, signal: AbortSignal): Promise<boolean> {
    const goesOn = "the backfill goes on; pg2kinesis backfill --status tells how";
    const stopped = new Promise<never>((_, reject) => {
      const giveUp = () =>
        reject(new RunError(`no longer waiting for the request ${this.request}: ${goesOn}`));
      signal.addEventListener("abort", giveUp, { once: true });
      if (signal.aborted) giveUp();
    });
    const lost = this.primary.lost.then((why) => {
      throw new RunError(
        `the connection by which the run tells how far it is was lost (${why.message}); ${goesOn}`,
        { cause: why },
      );
    });
    // Whichever loses the race is nobody's.
    stopped.catch(() => {});
    lost.catch(() => {});
    const over = new AbortController();
    const looking = this.#keepLooking(asked, over.signal);
    looking.catch(() => {});
    try {
      await Promise.race([this.#done.promise, stopped, lost, looking]);
    } finally {
      over.abort();
    }
    return this.#isWhole;
  }

  #take({ news, table, rows = 0, tables, reason }: BackfillNews): void {
    this.#heardMs = this.clock.now();
    switch (news) {
      case "taken":
        logger.info("the run has taken the request {request}: {tables} to read", {
          request: this.request,
          tables: tables === undefined ? "tables" : `${tables} tables`,
        });
        return;
      case "table":
        if (reason === undefined) {
          logger.info("{table}: all {rows} rows are stored", { table, rows });
        } else {
          this.#isWhole = false;
          logger.warn("{table} was given up after {rows} rows: {reason}", { table, rows, reason });
        }
        return;
      case "done":
        if ((tables ?? 0) > 0) this.#isWhole = false;
        logger.info("the request {request} has ended", { request: this.request });
        return this.#done.resolve();
      default:
        return news satisfies never;
    }
  }

  /** Says how far it is, and when nobody reads; ends with `over`. */
  async #keepLooking(asked: Lsn, over: AbortSignal): Promise<void> {
    let quietSinceMs: number | undefined;
    let isIdle = false;
    while (!over.aborted) {
      await this.clock.sleep(LOOK_EVERY_MS, over);
      if (over.aborted) return;
      const [reader] = await readersOf(this.primary, this.slot.name);
      const slot = await this.slot.now();
      if (slot === undefined) {
        throw new RunError(
          `the slot ${this.slot.name} was dropped, and the request ${this.request} with it; ask again ` +
            "when a run follows a new one",
        );
      }
      const { follower, confirmedLsn = asked } = slot;
      const isQuiet = reader === undefined && follower !== undefined && confirmedLsn > asked;
      if (!isQuiet) quietSinceMs = undefined;
      else this.#giveUpQuiet(quietSinceMs ??= this.clock.now());
      if (reader !== undefined) sayHowFar(reader);
      else if (follower === undefined && !isIdle) {
        logger.warn("no run follows the slot {slot} now; the backfill goes on with the next one", {
          slot: this.slot.name,
        });
      } else if (follower !== undefined && confirmedLsn <= asked) {
        logger.info("the run has not taken the request yet: {bytes} of WAL come before it", {
          bytes: formatBytes(Number(asked - confirmedLsn)),
        });
      }
      isIdle = reader === undefined && follower === undefined;
    }
  }

  #giveUpQuiet(sinceMs: number): void {
    const { name } = this.slot;
    if (this.clock.now() - Math.max(sinceMs, this.#heardMs) < QUIET_MS) return;
    throw new RunError(
      `the run that follows the slot ${name} reads no table, and has said nothing of the request ` +
        `${this.request} for a minute: it cannot go on, has ended unheard (as when the run was killed at ` +
        `its end), or the run does not know of it; look for "backfill ${this.request}" in the run's log, ` +
        "and ask again if it is not there",
    );
  }
}

function sayHowFar(reader: ReaderName): void {
  const doing = doingOf(reader);
  const { percentage } = reader;
  if (percentage === undefined) {
    logger.info("the backfill goes on, how far is not known: {doing}", { doing });
  } else logger.info("the backfill is at {percentage} %: {doing}", { percentage, doing });
}
