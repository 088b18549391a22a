import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { formatLsn } from "../base/lsn.ts";
import { aborted } from "../base/until_aborted.ts";
import type { RunOptions } from "../options.ts";
import { runPipeline } from "../pipeline.ts";
import { Heartbeat } from "../postgres/session/heartbeat.ts";
import type { RunObserver } from "../telemetry/observer.ts";
import { reportRun } from "../telemetry/run_report.ts";
import { drain } from "./drain.ts";
import { openStages } from "./stages.ts";
import { WalGuard } from "./wal_guard.ts";

const logger = getLogger(["pg2kinesis", "run"]);

/**
 * Follows the slot from where it is until a stop or a failure: opens all parts, lets the pipeline
 * run, and stores and confirms in the end what was read.
 * @throws whatever ends it; what a stop interrupts fails in its own way.
 */
export async function follow(
  options: RunOptions,
  observer: RunObserver,
  clock: Clock,
  stop: AbortSignal,
): Promise<void> {
  const { postgres, stream, policy, telemetry } = options;
  await using parts = new AsyncDisposableStack();
  observer.enter("starting");
  const reading = new AbortController();
  const stages = await openStages(
    options,
    observer,
    { stop, reading: reading.signal },
    clock,
    parts,
  );
  const { slot, source, writer, checkpoint } = stages;
  const guard = new WalGuard(slot.name, telemetry, () => checkpoint.flushLsn, clock);
  parts.use(
    observer.attach({
      ...{ checkpoint, writer, source, backfill: { progress: stages.backfillProgress } },
      onSlotState: (state) => guard.look(state),
    }),
  );
  parts.use(reportRun(observer, options.log));
  logger.info("following slot {slot} ({plugin}) of database {database} from {lsn}, into {stream}", {
    slot: slot.name,
    plugin: slot.plugin,
    database: postgres.database,
    lsn: formatLsn(slot.confirmedFlushLsn),
    stream: stream.name,
  });

  const pipeline = runPipeline(stages);
  const heartbeat = policy.heartbeatMs > 0
    ? parts.use(new Heartbeat({ postgres, intervalMs: policy.heartbeatMs, clock }))
    : undefined;
  const over = new AbortController();
  parts.defer(() => over.abort());
  let isTaken = false;
  source.taken.then(() => isTaken = true);
  try {
    await Promise.race([
      pipeline,
      rejection(writer.failure),
      rejection(source.taken),
      rejection(guard.failure),
      ...heartbeat === undefined ? [] : [rejection(heartbeat.failure)],
      aborted(stop, over.signal),
    ]);
  } finally {
    reading.abort();
    observer.enter("stopping");
    if (isTaken) {
      // Another client stores it now; what we still put could come behind its later changes.
      logger.warn("dropping {bytes} bytes that were not stored", { bytes: writer.pendingBytes });
      pipeline.catch(() => {});
    } else {
      await drain(pipeline, writer);
      if (checkpoint.size > 0) {
        logger.info(
          "a transaction was not stored as a whole: it is not confirmed and will be sent again",
        );
      }
      logger.info("confirming {lsn}", { lsn: formatLsn(checkpoint.flushLsn) });
    }
  }
}

async function rejection(failure: Promise<Error>): Promise<never> {
  throw await failure;
}
