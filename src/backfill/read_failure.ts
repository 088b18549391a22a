import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { BackfillState } from "./backfill_state.ts";
import { isPlan, outlineOf } from "./read_plan.ts";
import { FetchTooLarge, NotLarge } from "./large_row.ts";
import { type Job, type Reader, TableChanged } from "./reader.ts";
import { FILTERED, giveUp } from "./request_tables.ts";
import { type TableRead, TRY_AGAIN_MS } from "./table_read.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

const MAX_TIMEOUT_MS = 600_000;
/**
 * Connections that are lost one after the other while one table alone is read: it may be the table that breaks
 * them, as one that crashes the server.
 */
const MAX_LOST_READS = 10;

const LOCKED = "55P03";
const TIMED_OUT = "57014";
/** The class of what has a wrong form. */
const DATA_EXCEPTION = "22";
const ENDED_BY_TIMEOUT = ["25P03", "25P04"];

/** A read that began before the stream or a connection was begun anew. */
export class StaleRead extends Error {}

/**
 * - `settled`: it concerns one table, which is read in another way, later, or not at all.
 * - `ended with its connection`: likewise, and another connection is needed.
 * - `one of several`: which one of the tables is to be found out, by reading them one by one.
 * - `connection`: it is the connection that failed, and all is as before.
 */
export type Meaning = "settled" | "ended with its connection" | "one of several" | "connection";

export interface FailureParts {
  readonly state: BackfillState;
  readonly catalog: Catalog;
  readonly isWantedTable: (qualifiedName: string) => boolean;
  readonly clock: Clock;
}

/**
 * What a read that failed means for its tables. Whatever it is, it ends no run (B11). `hasRead`: they had been
 * read, and a mark was being written.
 */
export async function settleFailure(
  error: unknown,
  jobs: readonly Job[],
  reader: Reader,
  parts: FailureParts,
  hasRead = false,
): Promise<Meaning> {
  const { clock } = parts;
  if (error instanceof StaleRead) return "settled";
  if (error instanceof NotLarge) {
    jobs[0]!.table.largeRow = undefined;
    return "settled";
  }
  if (jobs.length === 0 || reader.isClosing) return "connection";
  if (error instanceof TableChanged) {
    await changed(error, parts);
    return "settled";
  }
  const code = error instanceof PostgresError ? error.code : undefined;
  const hasEnded = error instanceof FetchTooLarge || ENDED_BY_TIMEOUT.includes(code ?? "");
  const isTimeout = hasEnded || code === TIMED_OUT;
  // Then it was the mark that could not be written.
  if (hasRead && !isTimeout) return "connection";
  if (error instanceof PostgresError && !isTimeout && error.transient) {
    const { table } = jobs[0]!;
    if (jobs.length > 1 || ++table.lostReads < MAX_LOST_READS) return "connection";
    giveUp(
      table,
      `the connection was lost ${MAX_LOST_READS} times while it was read: ${reasonOf(error)}`,
    );
    return "ended with its connection";
  }
  if (jobs.length > 1 && code !== LOCKED) {
    if (hasEnded) reader.connection.destroy();
    return "one of several";
  }
  const table = code === LOCKED ? reader.locking! : jobs[0]!.table;
  if (code === LOCKED) {
    table.notBeforeMs = clock.now() + TRY_AGAIN_MS;
    table.waiting = {
      cause: "lock",
      detail: undefined,
      sinceMs: table.waiting?.cause === "lock" ? table.waiting.sinceMs : clock.wall(),
    };
  } else if (isTimeout) {
    readLess(table, jobs[0]!.again?.length, error);
  } else {
    // By its OID it may still be there, under another name, with another table or a view in its place; or
    // what it lacks now is known.
    const plan = (await reader.plan([table.oid])).get(table.oid);
    if (plan === undefined) giveUp(table, "it was dropped");
    else if (!isPlan(plan)) giveUp(table, plan.reason);
    else if (plan.facts.name === table.plan!.facts.name && !isOfOldKeys(table, code)) {
      giveUp(table, reasonOf(error));
    } else await changed(new TableChanged(table, plan, undefined), parts);
  }
  return hasEnded ? "ended with its connection" : "settled";
}

/** A text that was a key may be one no more, as where an enum's value was renamed. Once, lest it never end. */
function isOfOldKeys({ after, again, round }: TableRead, code: string | undefined): boolean {
  return code?.startsWith(DATA_EXCEPTION) === true && round === 0 &&
    (after !== undefined || again.size > 0);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `keys`: so many were read by themselves; undefined for a part of the scan. */
function readLess(table: TableRead, keys: number | undefined, error: unknown): void {
  if (keys !== undefined && keys > 1) {
    table.againAtOnce = Math.max(1, Math.floor(keys / 4));
  } else if (error instanceof FetchTooLarge) {
    if (error.rows > 0) table.maxRows = error.rows;
    else table.largeRow = keys === undefined ? "next" : "again";
  } else if (keys === undefined && table.maxRows > 1) {
    table.maxRows = Math.max(1, Math.floor(Math.min(table.maxRows, 100_000) / 2));
  } else if (table.timeoutMs < MAX_TIMEOUT_MS) {
    table.timeoutMs = Math.min(2 * table.timeoutMs, MAX_TIMEOUT_MS);
  } else {
    giveUp(table, "one row could not be read within ten minutes");
  }
}

async function changed(
  { table, plan, reason }: TableChanged,
  { state, catalog, isWantedTable }: FailureParts,
): Promise<void> {
  if (plan === undefined) return giveUp(table, reason ?? "it was dropped");
  // The name may be new, and what it is a partition of.
  await catalog.refresh();
  if (!isWantedTable(plan.facts.name)) return giveUp(table, FILTERED);
  logger.info("{table} was changed, and is read anew", { table: table.name });
  table.plan = outlineOf(plan);
  table.name = plan.facts.name;
  state.beginAnew(table);
  state.index();
}
