import { getLogger } from "@logtape/logtape";
import { Checkpoint } from "../checkpoint.ts";
import { createDecoder } from "../decode/create_decoder.ts";
import { ColumnFilter, ruledTables } from "../format/filter/column_filter.ts";
import { createFormatter } from "../format/formats.ts";
import { createMessageFilter } from "../format/filter/message_filter.ts";
import { createTableFilter } from "../format/filter/table_filter.ts";
import { openWriter } from "../kinesis/writer/open_writer.ts";
import type { StreamWriter } from "../kinesis/writer/stream_writer.ts";
import { formatLsn } from "../base/lsn.ts";
import type { RunOptions } from "../options.ts";
import { runPipeline } from "../pipeline.ts";
import { loadCatalog } from "../postgres/catalog/catalog.ts";
import { connect } from "../postgres/connection/connection.ts";
import { Heartbeat } from "../postgres/session/heartbeat.ts";
import { publishedRoots } from "../postgres/catalog/publication_tables.ts";
import { prepareSlot } from "../postgres/slot/prepare_slot.ts";
import type { ReplicationSource } from "../postgres/session/replication_source.ts";
import { openSource } from "../postgres/session/source.ts";
import { readTableColumns } from "../postgres/catalog/table_columns.ts";
import { Publisher } from "../publisher.ts";
import type { RunObserver } from "../telemetry/observer.ts";
import { reportRun } from "../telemetry/run_report.ts";
import { WalGuard } from "./wal_guard.ts";
import { keepFresh } from "./catalog_refresh.ts";

/** When reading has ended, what was read has this long to be stored. What is not comes again. */
const DRAIN_MS = 5_000;

const logger = getLogger(["pg2kinesis", "run"]);

/**
 * Follows the slot from where it is until a stop or a failure: opens all parts, lets the pipeline
 * run, and stores and confirms in the end what was read.
 * @throws whatever ends it; what a stop interrupts fails in its own way.
 */
export async function follow(
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
  // Before the slot is made, which may take hours.
  parts.use(keepFresh(catalog, policy.refreshPkeysMs, stop));
  // Making a slot waits for all transactions that are running; a stop does not.
  stop.addEventListener("abort", () => ordinary.destroy(), { once: true, signal: failed.signal });
  const { format } = options;
  const ruled = await readTableColumns(ordinary, ruledTables(format, catalog), slotOptions);
  const columns = new ColumnFilter(format, ruled);
  const { plugin, publications } = slotOptions;
  const roots = plugin === "pgoutput" ? await publishedRoots(ordinary, publications) : [];
  const formatter = await createFormatter(format, plugin, catalog, columns, roots);
  for (const message of columns.doubts(catalog)) logger.warn("{message}", { message });
  const isWantedTable = createTableFilter(format, catalog);
  const slot = await prepareSlot(ordinary, slotOptions, isWantedTable);
  ordinary.destroy();

  const decoder = createDecoder(slot.plugin, {
    typeName: (oid, typmod) => catalog.typeName(oid, typmod),
    publishesMessage: createMessageFilter(format),
  });
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
    needsOnlyHead: (head) => decoder.needsOnlyHead(head),
    signal: AbortSignal.any([stop, reading.signal]),
  });
  parts.defer(() => opened.close());
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
    isWanted: (operation, table) => format.operations.has(operation) && isWantedTable(table),
    policy: { ...policy, onOversize: stream.onOversize },
  });
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
      aborted(stop, failed.signal),
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

/** `over`: it is waited for no more. */
function aborted(signal: AbortSignal, over?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true, signal: over });
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
  } catch {
    if (!deadline.aborted) return;
    logger.warn(
      "{bytes} bytes were not stored within {seconds} s; they are not confirmed and come again",
      { bytes: writer.pendingBytes, seconds: DRAIN_MS / 1000 },
    );
  }
}
