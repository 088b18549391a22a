import { getLogger } from "@logtape/logtape";
import { RunError } from "../../base/errors.ts";
import type { Connection } from "../../postgres/connection/connection.ts";
import { type BackfillNews, NEWS_CHANNEL, parseNews } from "../progress.ts";
import type { FollowedSlot } from "./followed_slot.ts";
import { doingOf, readersOf } from "./backfill_status.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** How often a run is looked at that says nothing. */
const LOOK_EVERY_MS = 10_000;

/** Follows what the run says of one request. Anybody in the database could say the like. */
export class NewsWatch {
  readonly #done = Promise.withResolvers<void>();
  #isWhole = true;

  constructor(
    private readonly primary: Connection,
    private readonly slot: FollowedSlot,
    private readonly request: string,
  ) {
    primary.client.on("notification", ({ channel, payload }) => {
      const news = channel === NEWS_CHANNEL ? parseNews(payload ?? "") : undefined;
      if (news?.slot === slot.name && news.request === request) this.#take(news);
    });
  }

  /**
   * Waits until the request has ended. Gives whether every row is stored.
   * @throws {RunError} when the connection is lost, or the signal aborts: the backfill goes on all the same.
   */
  async untilDone(signal: AbortSignal): Promise<boolean> {
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
    const looking = this.#keepLooking();
    try {
      await Promise.race([this.#done.promise, stopped, lost, looking.failed]);
    } finally {
      looking.stop();
    }
    return this.#isWhole;
  }

  #take({ news, table, rows = 0, tables, reason }: BackfillNews): void {
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

  /** Says how far it is, and when nobody reads. */
  #keepLooking() {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    failed.catch(() => {});
    let isIdle = false;
    const look = async () => {
      const [reader] = await readersOf(this.primary, this.slot.name);
      if (reader !== undefined) {
        const doing = doingOf(reader);
        const { percentage } = reader;
        if (percentage === undefined) {
          logger.info("the backfill goes on, how far is not known: {doing}", { doing });
        } else logger.info("the backfill is at {percentage} %: {doing}", { percentage, doing });
      } else if (await this.slot.follower() === undefined) {
        if (!isIdle) {
          logger.warn(
            "no run follows the slot {slot} now; the backfill goes on with the next one",
            {
              slot: this.slot.name,
            },
          );
        }
        isIdle = true;
        return;
      }
      isIdle = false;
    };
    const timer = setInterval(() => void look().catch(reject), LOOK_EVERY_MS);
    return { failed, stop: () => clearInterval(timer) };
  }
}
