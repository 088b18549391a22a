import { getLogger } from "@logtape/logtape";
import { MAX_CONTROL_BYTES } from "../backfill/control_message.ts";
import { openBackfill } from "../backfill/open_backfill.ts";
import type { BackfillProgress } from "../backfill/progress.ts";
import { warnOfUnreadTables } from "../backfill/unread_tables.ts";
import type { Clock } from "../base/clock.ts";
import { Checkpoint } from "../checkpoint.ts";
import { BACKFILL_PREFIX } from "../decode/event.ts";
import type { PublishesMessage } from "../decode/message_prefix.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { ColumnFilter, ruledTables } from "../format/filter/column_filter.ts";
import { createMessageFilter, type MessageFilter } from "../format/filter/message_filter.ts";
import { createTableFilter } from "../format/filter/table_filter.ts";
import type { Formatter } from "../format/formatter.ts";
import { createFormatter } from "../format/formats.ts";
import { openStreams } from "../kinesis/writer/open_streams.ts";
import type { RunOptions } from "../options.ts";
import type { Stages } from "../pipeline.ts";
import { loadCatalog } from "../postgres/catalog/catalog.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { publishedTables } from "../postgres/catalog/published_tables.ts";
import { readTableColumns } from "../postgres/catalog/table_columns.ts";
import { connect, type Connection } from "../postgres/connection/connection.ts";
import type { ReplicationSource } from "../postgres/session/replication_source.ts";
import { openSource } from "../postgres/session/source.ts";
import { prepareSlot, type SlotInfo } from "../postgres/slot/prepare_slot.ts";
import { Publisher } from "../publisher.ts";
import { idleRoutes } from "../routes/destinations.ts";
import { fixedStreams } from "../routes/route.ts";
import { Router } from "../routes/router.ts";
import { templateStreams, todaysTables } from "../routes/todays_tables.ts";
import type { RunObserver } from "../telemetry/observer.ts";
import { keepFresh } from "./catalog_refresh.ts";

const logger = getLogger(["pg2kinesis", "run"]);

/** The stages of a run, with what only its ends have. */
export interface OpenStages extends Stages {
  readonly source: ReplicationSource;
  readonly slot: SlotInfo;
  readonly backfillProgress: () => BackfillProgress;
}

export interface Ends {
  /** Aborts when the run is to end. */
  readonly stop: AbortSignal;
  /** Aborts when no more is to be read from the slot. */
  readonly reading: AbortSignal;
}

/**
 * Opens the stages of a run and wires them to each other, in the order in which one needs the other.
 * Disposing `parts` closes what was opened, also after a failure.
 */
export async function openStages(
  options: RunOptions,
  { progress, stored }: RunObserver,
  { stop, reading }: Ends,
  clock: Clock,
  parts: AsyncDisposableStack,
): Promise<OpenStages> {
  const { postgres, slot: slotOptions, stream, format, policy } = options;

  // The stream comes before the slot: a slot that nobody can empty only piles up WAL. What fails
  // first is reported at once, and ends the rest.
  const failed = new AbortController();
  const open = AbortSignal.any([stop, failed.signal]);
  let source: ReplicationSource | undefined;
  const streams = openStreams(stream, open, () => source?.isOurs ?? true);
  parts.defer(() => streams.close());
  const openingFirst = Promise.all(
    fixedStreams(format.routes, stream.name).map((name) => streams.open(name)),
  );
  const connecting = connect(postgres, "ordinary", open);
  parts.defer(() => connecting.then((connection) => connection.destroy(), () => {}));
  const loadingCatalog = connecting.then(() => loadCatalog(postgres, clock, Math.random, open));
  parts.defer(() => loadingCatalog.then((catalog) => catalog.close(), () => {}));
  parts.defer(() => failed.abort());
  const [[only], ordinary, catalog] = await Promise.all([
    openingFirst,
    connecting,
    loadingCatalog,
  ]);
  // Before the slot is made, which may take hours.
  parts.use(keepFresh(catalog, policy.refreshPkeysMs, stop));
  // Making a slot waits for all transactions that are running; a stop does not.
  stop.addEventListener("abort", () => ordinary.destroy(), { once: true, signal: failed.signal });
  const published = PLUGINS[slotOptions.plugin].usesPublications
    ? await publishedTables(ordinary, slotOptions.publications)
    : undefined;
  const formatter = await openFormatter(options, catalog, ordinary, published?.roots ?? []);
  const isWantedTable = createTableFilter(format, catalog);
  const today = () => todaysTables(catalog, isWantedTable, published);
  void streams.lookAhead(templateStreams(format.routes, catalog, today));
  const slot = await prepareSlot(ordinary, slotOptions, isWantedTable);
  if (slotOptions.backfill && slot.created) {
    await warnOfUnreadTables(ordinary, options, slot.server.version, isWantedTable);
  }
  ordinary.destroy();

  const decoder = PLUGINS[slot.plugin].createDecoder({
    typeName: (oid, typmod) => catalog.typeName(oid, typmod),
    publishesMessage: withControlMessages(createMessageFilter(format)),
  });
  const checkpoint = new Checkpoint(slot.confirmedFlushLsn, () => source!.confirm(), stored);
  const opened = source = await openSource({
    postgres,
    slot: slotOptions,
    startLsn: slot.confirmedFlushLsn,
    flushLsn: () => checkpoint.flushLsn,
    clock,
    random: Math.random,
    needsOnlyHead: (head) => decoder.needsOnlyHead(head),
    signal: AbortSignal.any([stop, reading]),
  });
  parts.defer(() => opened.close());
  const publisher = new Publisher({
    ...{ formatter, catalog, progress, clock },
    marksCommits: format.commitRecords,
    transactions: format.debezium.transactions ? await streams.open(stream.name) : undefined,
    writer: format.routes.length === 0
      ? only!
      : new Router(format.routes, stream.name, slot.plugin, catalog, streams),
    isWanted: (operation, table) => format.operations.has(operation) && isWantedTable(table),
    policy: { ...policy, onOversize: stream.onOversize },
  });
  const columnFilter = new ColumnFilter(format);
  const { stage: backfill, driver } = openBackfill({
    ...{
      options,
      catalog,
      publisher,
      writer: streams,
      checkpoint,
      isWantedTable,
      columnFilter,
      clock,
    },
    random: Math.random,
  });
  parts.use(driver);
  void driver.run();
  return {
    source: opened,
    slot,
    decoder,
    catalog,
    backfill,
    publisher,
    writer: streams,
    checkpoint,
    progress,
    backfillProgress: () => driver.report.progress,
  };
}

/** A backfill's own messages go as far as the pipeline. */
function withControlMessages(isPublished: MessageFilter): PublishesMessage {
  return (prefix, bytes) =>
    prefix === BACKFILL_PREFIX ? bytes <= MAX_CONTROL_BYTES : isPublished(prefix);
}

/** The formatter with its filters, which have looked at the columns that their rules name. */
async function openFormatter(
  { format, slot }: RunOptions,
  catalog: Catalog,
  connection: Connection,
  roots: readonly string[],
): Promise<Formatter> {
  const ruled = await readTableColumns(connection, ruledTables(format, catalog), slot);
  const columns = new ColumnFilter(format, ruled);
  const formatter = await createFormatter(format, slot.plugin, catalog, columns, roots);
  for (const message of columns.doubts(catalog)) logger.warn("{message}", { message });
  for (const { route, why } of idleRoutes(format.routes, catalog)) {
    logger.warn("--route {route} takes no table now: {why}", { route, why });
  }
  return formatter;
}
