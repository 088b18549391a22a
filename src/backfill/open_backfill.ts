import type { Clock } from "../base/clock.ts";
import type { RecordWriter } from "../base/record_writer.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { ColumnFilter } from "../format/filter/column_filter.ts";
import type { RunOptions } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { Publisher } from "../publisher.ts";
import { BackfillDriver } from "./driver.ts";
import { BackfillState } from "./backfill_state.ts";
import { BackfillStage } from "./stage.ts";

export interface BackfillParts {
  readonly options: RunOptions;
  readonly catalog: Catalog;
  readonly publisher: Publisher;
  readonly writer: RecordWriter;
  readonly checkpoint: Checkpoint;
  readonly isWantedTable: (qualifiedName: string) => boolean;
  readonly columnFilter: ColumnFilter;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** The two sides of a run's backfills: what reads the tables, and what puts their rows into the stream. */
export interface Backfill {
  readonly stage: BackfillStage;
  readonly driver: BackfillDriver;
}

/** Nothing is connected to before something is asked for. */
export function openBackfill(parts: BackfillParts): Backfill {
  const { options: { postgres, slot, format, policy }, catalog, isWantedTable, columnFilter } =
    parts;
  const { publisher, writer, checkpoint, clock, random } = parts;
  const state = new BackfillState();
  const columns = (qualifiedName: string, rule?: "exclude") =>
    new Set(
      [...columnFilter.rulesOf(qualifiedName, catalog) ?? []]
        .filter(([, each]) => rule === undefined || each === rule).map(([name]) => name),
    );
  const shared = {
    state,
    slot: slot.name,
    plugin: slot.plugin,
    catalog,
    writer,
    checkpoint,
    clock,
  };
  const stage = new BackfillStage({
    ...shared,
    publisher,
    isWanted: (operation, name) => format.operations.has(operation) && isWantedTable(name),
  });
  const driver = new BackfillDriver({
    ...shared,
    postgres,
    isWantedTable,
    publications: slot.publications,
    needsPrimaryKey: format.formatter.startsWith("CSV") && !format.fullChange,
    excludedOf: (name) => columns(name, "exclude"),
    hiddenOf: (name) => columns(name),
    rate: policy.backfillRate,
    random,
  });
  return { stage, driver };
}
