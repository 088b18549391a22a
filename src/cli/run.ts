import { getLogger } from "@logtape/logtape";
import { Checkpoint } from "../checkpoint.ts";
import { createDecoder } from "../decode/create_decoder.ts";
import { DecodeError } from "../decode/decoder.ts";
import { RunError } from "../errors.ts";
import { createFormatter } from "../format/create.ts";
import { createTableFilter } from "../format/table_filter.ts";
import { openWriter } from "../kinesis/open_writer.ts";
import type { StreamWriter } from "../kinesis/stream_writer.ts";
import { formatLsn } from "../lsn.ts";
import type { RunOptions } from "../options.ts";
import { runPipeline } from "../pipeline.ts";
import { loadCatalog } from "../postgres/catalog.ts";
import { connect } from "../postgres/connection.ts";
import { PostgresError } from "../postgres/postgres_error.ts";
import { SLOT_TAKEN } from "../postgres/same_server.ts";
import { prepareSlot } from "../postgres/slot.ts";
import { Heartbeat } from "../postgres/heartbeat.ts";
import { openSource, type ReplicationSource } from "../postgres/source.ts";
import { standBy } from "../postgres/stand_by.ts";
import { Publisher } from "../publisher.ts";
import { RunObserver } from "../telemetry/observer.ts";
import { reportRun } from "../telemetry/report.ts";
import { WalGuard } from "../telemetry/wal_guard.ts";
import { keepFresh } from "./catalog_refresh.ts";
import { onStopSignal } from "./stop_signal.ts";

/** When reading has ended, what was read has this long to be stored. What is not comes again. */
const DRAIN_MS = 5_000;

const logger = getLogger(["pg2kinesis", "run"]);

/**
 * The main job: follows the slot until a stop signal or a failure.
 * @throws {RunError} one line for the operator; or a `UsageError`.
 */
export async function run(options: RunOptions): Promise<void> {
  using stop = onStopSignal();
  try {
    await using observed = await observe(options);
    const { observer } = observed;
    if (options.slot.standby) await takeTurns(options, observer, stop.signal);
    else await follow(options, observer, stop.signal);
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

/**
 * Follows the slot when nobody else does, and waits otherwise. Each time begins from nothing: what
 * was known of the slot, the tables and the stream is of an earlier time.
 */
async function takeTurns(
  options: RunOptions,
  observer: RunObserver,
  stop: AbortSignal,
): Promise<void> {
  for (let isFirst = true;; isFirst = false) {
    observer.enter("standby");
    await standBy(options.postgres, options.slot, stop, !isFirst);
    try {
      return await follow(options, observer, stop);
    } catch (error) {
      if (stop.aborted || !(error instanceof PostgresError)) throw error;
      const isTaken = error.code === SLOT_TAKEN;
      // The server may have gone away together with whoever followed the slot.
      if (!isTaken && (isFirst || !error.transient)) throw error;
      logger.warn("{message}; standing by", { message: error.message });
    }
  }
}

async function follow(
  options: RunOptions,
  observer: RunObserver,
  stop: AbortSignal,
): Promise<void> {
  const { postgres, slot: slotOptions, stream, policy, telemetry } = options;
  await using parts = new AsyncDisposableStack();
  const { progress } = observer;
  observer.enter("starting");

  // The stream comes before the slot: a slot that nobody can empty only piles up WAL. What fails
  // first is told at once, and ends the rest.
  const failed = new AbortController();
  const open = AbortSignal.any([stop, failed.signal]);
  let source: ReplicationSource | undefined;
  const openingWriter = openWriter(stream, open, () => source?.isOurs ?? true);
  parts.defer(() => openingWriter.then((writer) => writer.close(), () => {}));
  const connecting = connect(postgres, "ordinary", open);
  parts.defer(() => connecting.then((connection) => connection.destroy(), () => {}));
  const loadingCatalog = connecting.then(() => loadCatalog(postgres, open));
  parts.defer(() => loadingCatalog.then((catalog) => catalog.close(), () => {}));
  parts.defer(() => failed.abort());
  const [writer, ordinary, catalog] = await Promise.all([
    openingWriter,
    connecting,
    loadingCatalog,
  ]);
  // Making a slot waits for all transactions that are running; a stop does not.
  stop.addEventListener("abort", () => ordinary.destroy(), { once: true });
  const formatter = await createFormatter(options.format, slotOptions.plugin, catalog);
  const slot = await prepareSlot(ordinary, slotOptions, createTableFilter(options.format));
  ordinary.destroy();

  const reading = new AbortController();
  const checkpoint = new Checkpoint(
    slot.confirmedFlushLsn,
    () => source!.confirm(),
    observer.stored,
  );
  const opened = source = await openSource({
    postgres,
    slot: slotOptions,
    startLsn: slot.confirmedFlushLsn,
    flushLsn: () => checkpoint.flushLsn,
    signal: AbortSignal.any([stop, reading.signal]),
  });
  parts.defer(() => opened.close());
  parts.use(keepFresh(catalog, policy.refreshPkeysMs, stop));
  const guard = new WalGuard(slot.name, telemetry, () => checkpoint.flushLsn);
  parts.use(
    observer.attach({
      checkpoint,
      writer,
      source: opened,
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

  const { maxRecordBytes } = writer;
  const publisher = new Publisher({
    ...{ formatter, writer, catalog, progress, maxRecordBytes },
    policy: { ...policy, onOversize: stream.onOversize },
  });
  const typeName = (oid: number, typmod: number) => catalog.typeName(oid, typmod);
  const decoder = createDecoder(slot.plugin, { typeName });
  const pipeline = runPipeline({
    ...{ source: opened, decoder, catalog, publisher, writer, checkpoint, progress },
  });
  const heartbeat = policy.heartbeatMs > 0
    ? parts.use(new Heartbeat({ postgres, intervalMs: policy.heartbeatMs }))
    : undefined;
  let isTaken = false;
  opened.taken.then(() => isTaken = true);
  try {
    await Promise.race([
      pipeline,
      rejection(writer.failure),
      rejection(opened.taken),
      rejection(guard.failure),
      ...heartbeat === undefined ? [] : [rejection(heartbeat.failure)],
      aborted(stop),
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
      logger.info("confirming {lsn}", { lsn: formatLsn(checkpoint.flushLsn) });
    }
  }
}

async function rejection(failure: Promise<Error>): Promise<never> {
  throw await failure;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

/** Stores what was read, as far as that can be had soon. */
async function drain(pipeline: Promise<void>, writer: StreamWriter): Promise<void> {
  const deadline = AbortSignal.timeout(DRAIN_MS);
  // The pipeline may be waiting for room in the writer; its own failure was seen by the caller.
  await Promise.race([pipeline.catch(() => {}), writer.failure, aborted(deadline)]);
  try {
    await writer.drain(deadline);
  } catch (error) {
    if (!deadline.aborted) return;
    logger.warn(
      "{bytes} bytes were not stored within {seconds} s; they are not confirmed and come again",
      { bytes: writer.pendingBytes, seconds: DRAIN_MS / 1000, error },
    );
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
