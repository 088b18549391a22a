import { getLogger } from "@logtape/logtape";
import { systemClock } from "../base/clock.ts";
import { DecodeError } from "../decode/decoder.ts";
import { RunError } from "../base/errors.ts";
import { untilAborted } from "../base/until_aborted.ts";
import { tryFormatter } from "../format/formats.ts";
import type { RunOptions } from "../options.ts";
import { placeOf } from "../postgres/connection/connect_failure.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import { SLOT_TAKEN, SlotInDoubt } from "../postgres/session/same_server.ts";
import { standBy } from "../postgres/slot/stand_by.ts";
import { RunObserver } from "../telemetry/observer.ts";
import { outliveHangUp } from "./catalog_refresh.ts";
import { follow } from "./follow.ts";
import { onStopSignal } from "./stop_signal.ts";

/** Before a standby whose turn failed looks at the slot again. */
const RETRY_MS = 1000;

const logger = getLogger(["pg2kinesis", "run"]);

/**
 * The main job: follows the slot until a stop signal or a failure.
 * @throws {RunError} one line for the operator; or a `UsageError`.
 */
export async function run(options: RunOptions): Promise<void> {
  using stop = onStopSignal();
  try {
    // A standby would else meet what is wrong with it only in its turn.
    await untilAborted(tryFormatter(options.format), stop.signal);
    await using observed = await observe(options);
    const { observer } = observed;
    using _hangUp = outliveHangUp(() => observer.snapshot().state === "standby");
    if (options.slot.standby) await takeTurns(options, observer, stop.signal);
    else await followAlone(options, observer, stop.signal);
  } catch (error) {
    // Whatever a stop interrupts fails in its own way; nothing was lost by it.
    if (!stop.signal.aborted) throw forOperator(error);
    logger.debug("stopped with {error}", { error });
  }
  logger.info("stopped");
}

/** What looks at the run, and serves what it sees where that is asked for. */
async function observe({ postgres, slot, stream, telemetry }: RunOptions) {
  const observer = new RunObserver({
    host: postgres.hosts.map(placeOf).join(", "),
    database: postgres.database,
    slot: slot.name,
    plugin: slot.plugin,
    stream: stream.name,
  });
  if (telemetry.metricsAddress === undefined) {
    return { observer, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const { serveTelemetry } = await import("../telemetry/telemetry_server.ts");
  const server = serveTelemetry(telemetry.metricsAddress, telemetry, observer);
  return { observer, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Begins again where another client came between: as a new run, but with the slot that is there. */
async function followAlone(
  options: RunOptions,
  observer: RunObserver,
  stop: AbortSignal,
): Promise<void> {
  for (let { slot } = options;; slot = { ...slot, create: false, recreate: false }) {
    try {
      return await follow({ ...options, slot }, observer, systemClock, stop);
    } catch (error) {
      if (stop.aborted || !(error instanceof SlotInDoubt)) throw error;
      sayInDoubt(error);
    }
  }
}

function sayInDoubt({ message }: SlotInDoubt): void {
  logger.warn("{message}; what was not confirmed is read again", { message });
}

/**
 * Follows the slot when nobody else does, and waits otherwise. Each time begins from nothing: what
 * was known of the slot, the tables and the stream is of an earlier time.
 */
async function takeTurns(
  options: RunOptions,
  observer: RunObserver,
  stop: AbortSignal,
): Promise<void> {
  // What fails at the first look fails for good; a standby that has waited for weeks tries again.
  for (let hasBegun = false;;) {
    observer.enter("standby");
    const hasWaited = await standBy(
      ...[options.postgres, options.slot, stop, hasBegun, systemClock, Math.random] as const,
    );
    hasBegun ||= hasWaited;
    try {
      return await follow(options, observer, systemClock, stop);
    } catch (error) {
      if (stop.aborted || !(error instanceof PostgresError)) throw error;
      const isTaken = error.code === SLOT_TAKEN;
      // The server may have gone away together with whoever followed the slot.
      if (!isTaken && !(hasBegun && error.transient)) throw error;
      hasBegun = true;
      if (error instanceof SlotInDoubt) sayInDoubt(error);
      else logger.warn("{message}; standing by", { message: error.message });
      if (!isTaken) await systemClock.sleep(RETRY_MS, stop);
    }
  }
}

function forOperator(error: unknown): unknown {
  if (!(error instanceof DecodeError)) return error;
  return new RunError(
    `${error.message}; nothing from there on was confirmed. Please report it; meanwhile another ` +
      "plugin (--pg-slot-output-plugin with a new slot) may read it",
    { cause: error },
  );
}
