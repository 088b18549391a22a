import { getLogger } from "@logtape/logtape";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { keepTrying } from "../../base/keep_trying.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import { formatLsn, type Lsn } from "../../base/lsn.ts";
import { Healing } from "../connection/healing.ts";
import type { PostgresError } from "../connection/postgres_error.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** While the server cannot be reached, the log says so this often. */
const SAYING_RATE = { repeatMs: 60_000 };

export interface Reconnecting {
  readonly clock: Clock;
  /** For the jitter: numbers in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Gives the LSN from which it continues. */
  readonly connect: () => Promise<Lsn>;
  /** Why there is no connection now. */
  readonly lost: (why: string) => void;
}

/**
 * Connects again after a loss, for as long as that takes.
 * @throws what does not heal; the signal's reason when it aborts.
 */
export async function reconnect(
  loss: PostgresError,
  { clock, random, signal, connect, lost }: Reconnecting,
): Promise<void> {
  const backoff = new Backoff(random);
  const healing = new Healing(clock);
  const trouble = new LastingTrouble(clock, SAYING_RATE);
  healing.heals(loss);
  trouble.failed(loss.message);
  lost(loss.message);
  logger.warn("{loss}; connecting again", { loss: loss.message });
  const failed = (error: unknown) => {
    if (!healing.heals(error)) throw error;
    const { message: why } = error;
    lost(why);
    logger.debug("not connected: {why}", { why });
    const lasted = trouble.failed(why);
    if (lasted === undefined) return;
    logger.warn("not connected since {since}: {why}", { since: lasted.since, why });
  };
  await clock.sleep(backoff.nextMs(), signal);
  const lsn = await keepTrying(connect, {
    clock,
    signal,
    pauseMs: () => backoff.nextMs(),
    failed,
  });
  logger.info("connected again after {seconds} s; continuing from {lsn}", {
    seconds: Math.round(trouble.over()!.lastsMs) / 1000,
    lsn: formatLsn(lsn),
  });
}
