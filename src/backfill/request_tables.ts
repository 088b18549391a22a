import { getLogger } from "@logtape/logtape";
import { someOf } from "../base/quantity.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { BackfillState } from "./backfill_state.ts";
import { keyText } from "./changed_keys.ts";
import { chooseTables, matchesAny } from "./choose_tables.ts";
import type { OpenRequest } from "./control_message.ts";
import type { News } from "./news.ts";
import { isPlan, outlineOf } from "./read_plan.ts";
import type { Reader } from "./reader.ts";
import { sameNames } from "./table_obstacles.ts";
import { TableRead } from "./table_read.ts";
import { expectedOfAll, sizeUp } from "./table_sizes.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** Tables that are looked up by one statement. */
const FACTS_AT_ONCE = 500;
/** Of what somebody called a table. */
const MAX_SHOWN_LENGTH = 200;

export interface RequestTablesParts {
  readonly state: BackfillState;
  readonly catalog: Catalog;
  readonly isWantedTable: (qualifiedName: string) => boolean;
  /** Columns that are masked or excluded, by the name that the plugin gives the table. */
  readonly hiddenOf: (qualifiedName: string) => ReadonlySet<string>;
}

/** Finds the tables of a request, and what became of them. */
export class RequestTables {
  /** Of which the stops were looked at. */
  #stopped: { readonly request: OpenRequest; readonly tables: readonly TableRead[] } | undefined;

  constructor(private readonly parts: RequestTablesParts, private readonly news: News) {}

  /** Takes a request in hand: looks up its tables, and goes on where the last mark says. */
  async lookUp(reader: Reader, request: OpenRequest): Promise<void> {
    const { state, catalog, isWantedTable } = this.parts;
    await catalog.refresh();
    const { tables, unmatched, filtered } = chooseTables(
      request,
      await reader.candidates(),
      isWantedTable,
    );
    const { upTo, open } = state.ledger.resume;
    const openOf = (oid: number) => open.find((each) => each.oid === oid);
    const known = await this.#plan(
      reader,
      tables.filter(({ oid }) => oid > upTo || openOf(oid) !== undefined).map((each) =>
        new TableRead(each.oid, each.name, openOf(each.oid))
      ),
      request,
    );
    this.#refuse(request, unmatched, "there is no such table");
    this.#refuse(request, filtered, "the filters of the run leave it out");
    this.#takeEarlyKeys(known);
    state.setTables(known, request.id);
    this.news.tell(request, { news: "taken", tables: known.length });
    await sizeUp(reader, known);
    const rows = expectedOfAll(known);
    const told = { request: request.id, tables: known.length };
    if (rows === undefined) {
      logger.info(
        "backfill {request}: {tables} tables are to be read; how many rows they have is not known",
        told,
      );
    } else {
      logger.info("backfill {request}: {tables} tables with about {rows} rows are to be read", {
        ...told,
        rows,
      });
    }
  }

  /** Partitions that were attached meanwhile: whether there are any that can be read. */
  async findMore(reader: Reader, request: OpenRequest): Promise<boolean> {
    const { state, isWantedTable } = this.parts;
    const { tables } = chooseTables(
      request,
      await reader.candidates(),
      isWantedTable,
    );
    const { upTo } = state.ledger.resume;
    const isKnown = new Set(state.tables!.map(({ oid }) => oid));
    // Any other table that is made now has all its rows in the stream.
    const more = tables.filter(({ oid, ancestors }) =>
      ancestors.length > 0 && !isKnown.has(oid) && oid > upTo
    );
    if (more.length === 0) return false;
    const reads = more.map(({ oid, name }) => new TableRead(oid, name, undefined));
    const known = await this.#plan(reader, reads, request);
    if (known.length === 0) return false;
    await sizeUp(reader, known);
    const all = [...state.tables!, ...known].sort((left, right) => left.oid - right.oid);
    state.setTables(all, request.id);
    return true;
  }

  /** Ends the tables that were stopped meanwhile. */
  stop(request: OpenRequest): void {
    const tables = this.parts.state.tables!;
    if (request.except === undefined) return;
    if (this.#stopped?.request === request && this.#stopped.tables === tables) return;
    this.#stopped = { request, tables };
    const isStopped = matchesAny(request.except);
    for (const table of tables) {
      if (table.outcome !== undefined) continue;
      const ancestors = table.plan?.facts.ancestors.map(({ name }) => name) ?? [];
      if (![table.name, ...ancestors].some(isStopped)) continue;
      logger.info("the backfill of {table} was stopped", { table: table.name });
      table.end(false, "it was stopped");
    }
  }

  /** Gives those that are there; the ones that cannot be read have ended. */
  async #plan(
    reader: Reader,
    reads: readonly TableRead[],
    request: OpenRequest,
  ): Promise<TableRead[]> {
    const { hiddenOf } = this.parts;
    const known: TableRead[] = [];
    for (let from = 0; from < reads.length; from += FACTS_AT_ONCE) {
      const some = reads.slice(from, from + FACTS_AT_ONCE);
      const plans = await reader.plan(some.map(({ oid }) => oid));
      for (const table of some) {
        const plan = plans.get(table.oid);
        // Dropped since.
        if (plan === undefined) continue;
        if (isPlan(plan)) {
          table.plan = outlineOf(plan);
          const hidden = hiddenOf(plan.relation.qualifiedName);
          // Whoever forges a mark may say anything.
          if (table.after !== undefined && table.after.length !== plan.key.length) {
            table.beginAnew();
          }
          table.hidesKey = plan.key.some(({ name }) => hidden.has(name));
          known.push(table);
        } else if (request.tables === "all" && plan.isUnpublished) {
          logger.debug("{table} is not read: {reason}", { table: table.name, reason: plan.reason });
        } else {
          giveUp(table, plan.reason);
          known.push(table);
        }
      }
    }
    return known;
  }

  /** Keys that changes left without values before the tables were known (B7). */
  #takeEarlyKeys(tables: readonly TableRead[]): void {
    const { state } = this.parts;
    const { early } = state;
    state.forgetEarly();
    for (const table of tables) {
      // What is read from the beginning is read late enough.
      if (table.after === undefined) continue;
      const keys = early?.get(table.plan!.relation.qualifiedName);
      if (early === undefined || keys?.some(({ names }) => !sameNames(names, table.keyNames!))) {
        state.beginAnew(table);
        continue;
      }
      for (const { entry } of keys ?? []) table.again.set(keyText(entry.values), entry);
    }
  }

  /** Anybody may ask for anything, so that not each is worth a line. */
  #refuse(request: OpenRequest, names: readonly string[], reason: string): void {
    for (const table of names) this.news.tell(request, { news: "table", table, rows: 0, reason });
    if (names.length === 0) return;
    const shown = names.map((name) => name.slice(0, MAX_SHOWN_LENGTH));
    logger.error("nothing of {table} is read: {reason}", { table: someOf(shown), reason });
  }
}

/** The table ends without all its rows; the run goes on (B11). */
export function giveUp(table: TableRead, reason: string): void {
  logger.error("the backfill of {table} is given up: {reason}", { table: table.name, reason });
  table.end(false, reason);
}
