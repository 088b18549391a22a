import { getLogger } from "@logtape/logtape";
import { countOf, someOf } from "../base/quantity.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { isOlder } from "../postgres/catalog/transaction_snapshot.ts";
import type { BackfillState } from "./backfill_state.ts";
import { keyText } from "./changed_keys.ts";
import { chooseTables, matchesAny } from "./choose_tables.ts";
import type { OpenRequest } from "./control_message.ts";
import type { Resume } from "./ledger.ts";
import type { News } from "./news.ts";
import type { Candidate } from "./read_facts.ts";
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
/** Those below it never begin or end. */
const FIRST_NORMAL_XID = 3;
export const FILTERED = "the filters of the run leave it out";

export interface RequestTablesParts {
  readonly state: BackfillState;
  readonly catalog: Catalog;
  readonly isWantedTable: (qualifiedName: string) => boolean;
}

/** Finds the tables of a request, and what became of them. */
export class RequestTables {
  /** Of which the stops were looked at. */
  #stopped: { readonly request: OpenRequest; readonly tables: readonly TableRead[] } | undefined;

  constructor(private readonly parts: RequestTablesParts, private readonly news: News) {}

  /**
   * Takes a request in hand: looks up its tables by their names, or goes on with those that the last mark says
   * are left, whatever they are called now.
   */
  async lookUp(reader: Reader, request: OpenRequest): Promise<void> {
    const { state, catalog, isWantedTable } = this.parts;
    await catalog.refresh();
    const { upTo, open, left, since = await reader.oldestRunning() } = state.ledger.resume;
    const candidates = await reader.candidates();
    const openOf = (oid: number) => open.find((each) => each.oid === oid);
    const isHeld = (oid: number) => openOf(oid) !== undefined || left?.has(oid) === true;
    const { tables, unmatched, filtered } = chooseTables(
      request,
      candidates,
      isWantedTable,
      isHeld,
    );
    const isLeft = (oid: number) => isHeld(oid) || left === undefined && oid > upTo;
    const known = await this.#plan(
      reader,
      tables.filter((each) => isLeft(each.oid) || wasAttached(each, since)).map((each) =>
        new TableRead(each.oid, each.name, openOf(each.oid))
      ),
      request,
      isHeld,
    );
    const isFirstLook = upTo === 0 && open.length === 0 && left === undefined;
    if (isFirstLook) this.#refuse(request, unmatched, "there is no such table");
    else this.#tellDropped(request, state.ledger.resume, candidates);
    this.#refuse(
      request,
      filtered.filter(({ oid }) => isFirstLook || isHeld(oid)).map(({ name }) => name),
      FILTERED,
    );
    this.#takeEarlyKeys(known);
    state.setTables(known, request.id, since);
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
    const { since } = state;
    // One that could not be read may be published since, as a partition.
    const unread = new Set(
      state.tables!.filter(({ plan }) => plan === undefined).map(({ oid }) => oid),
    );
    const isKnown = new Set(state.tables!.map(({ oid }) => oid).filter((oid) => !unread.has(oid)));
    const { tables } = chooseTables(
      request,
      await reader.candidates(),
      isWantedTable,
      () => false,
    );
    // Any other table that is made now has all its rows in the stream.
    const more = tables.filter((each) => !isKnown.has(each.oid) && wasAttached(each, since!));
    if (more.length === 0) return false;
    const reads = more.map(({ oid, name }) => new TableRead(oid, name, undefined));
    const known = (await this.#plan(reader, reads, request, () => false))
      .filter(({ oid, plan }) => plan !== undefined || !unread.has(oid));
    if (known.length === 0) return false;
    await sizeUp(reader, known);
    const found = new Set(known.map(({ oid }) => oid));
    const all = [...state.tables!.filter(({ oid }) => !found.has(oid)), ...known]
      .sort((left, right) => left.oid - right.oid);
    state.setTables(all, request.id, since);
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
    isHeld: (oid: number) => boolean,
  ): Promise<TableRead[]> {
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
          // Whoever forges a mark may say anything.
          if (table.after !== undefined && table.after.length !== plan.key.length) {
            table.beginAnew();
          }
          known.push(table);
        } else if (request.tables === "all" && plan.isUnpublished && !isHeld(table.oid)) {
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
      if (table.after === undefined || table.plan === undefined) continue;
      const keys = early?.get(table.plan.relation.qualifiedName);
      if (early === undefined || keys?.some(({ names }) => !sameNames(names, table.keyNames!))) {
        state.beginAnew(table);
        continue;
      }
      for (const { entry } of keys ?? []) table.again.set(keyText(entry.values), entry);
    }
  }

  /** A run that was there would have given them up. */
  #tellDropped(request: OpenRequest, { open, left }: Resume, there: readonly Candidate[]): void {
    const oids = new Set(there.map(({ oid }) => oid));
    const reason = "it was dropped";
    for (const { oid, name, rows } of open) {
      if (oids.has(oid)) continue;
      const table = name.slice(0, MAX_SHOWN_LENGTH);
      logger.error("the backfill of {table} is given up: {reason}", { table, reason });
      this.news.tell(request, { news: "table", table, rows, reason });
    }
    const unread = [...left ?? []].filter((oid) => !oids.has(oid)).length;
    if (unread === 0) return;
    const table = countOf(unread, "table");
    logger.error("the backfill of {table} is given up: {reason}", {
      table,
      reason: "dropped before anything was read",
    });
    this.news.tell(request, { news: "table", table, rows: 0, reason });
  }

  /** Anybody may ask for anything, so that not each is worth a line. */
  #refuse(request: OpenRequest, names: readonly string[], reason: string): void {
    for (const table of names) this.news.tell(request, { news: "table", table, rows: 0, reason });
    if (names.length === 0) return;
    const shown = names.map((name) => name.slice(0, MAX_SHOWN_LENGTH));
    logger.error("nothing of {table} is read: {reason}", { table: someOf(shown), reason });
  }
}

/** Whether it came below a partitioned table since, itself or with one between the two. */
function wasAttached({ attachedBy }: Candidate, since: number): boolean {
  return attachedBy.some((xid) => xid >= FIRST_NORMAL_XID && !isOlder(xid, since));
}

/** The table ends without all its rows; the run goes on (B11). */
export function giveUp(table: TableRead, reason: string): void {
  logger.error("the backfill of {table} is given up: {reason}", { table: table.name, reason });
  table.end(false, reason);
}
