import type { Follower } from "./all_plugins.ts";
import type { StoredRecord } from "./read_back.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import type { Row } from "./test_postgres.ts";

/** Asks for a backfill as a person does, in SQL. */
export async function ask(db: FreshDatabase, tables: readonly string[] | "all", id: string) {
  await db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
    JSON.stringify({ slot: db.slot, id, tables }),
  ]);
}

/** Waits until a request has ended. */
export async function ended(follower: Follower, id: string, timeoutMs = 60_000): Promise<void> {
  await follower.program.waitForLog(new RegExp(`backfill ${id} has ended`), timeoutMs);
}

/** A record of the JSON format with its numbers as text. */
export function parsed({ text }: StoredRecord): Row {
  return JSON.parse(
    text,
    (_key, value, context?: { source?: string }) =>
      typeof value === "number" ? context?.source ?? String(value) : value,
  );
}

interface RowState {
  readonly position: string;
  /** Undefined: deleted. */
  readonly row: Row | undefined;
}

/**
 * The rows that a consumer has who began with none, by table and key: by the last record of a key, or by the
 * highest position. It keeps what an update left in TOAST, and takes along what a key that moved left there.
 */
export function consumed(
  records: readonly StoredRecord[],
  by: "last" | "position",
): Map<string, Row> {
  const rows = new Map<string, RowState>();
  /** What a key that moved away had, by that key and the move's position. */
  const moved = new Map<string, Row>();
  for (const record of records) {
    const change = parsed(record);
    if (change.op === "backfill" || change.op === "message") continue;
    const table = `${change.schema}.${change.table}:`;
    const position = positionOf(change);
    if (change.op === "truncate") {
      for (const [key, state] of rows) {
        const isOlder = by === "last" || state.position < position;
        if (key.startsWith(table) && isOlder) rows.set(key, { position, row: undefined });
      }
      continue;
    }
    const key = table + JSON.stringify(change.key);
    const state = rows.get(key);
    const isOld = by === "position" && state !== undefined && state.position >= position;
    if (isOld) continue;
    if (change.op === "delete") {
      if (change.moved_to !== undefined && state?.row !== undefined) {
        moved.set(`${key} ${position}`, state.row);
      }
      rows.set(key, { position, row: undefined });
      continue;
    }
    const from = change.moved_from === undefined
      ? undefined
      : moved.get(`${table}${JSON.stringify(change.moved_from)} ${position}`);
    const before = change.op === "update"
      ? state?.row
      : from ?? (change.moved_from === undefined ? undefined : state?.row);
    rows.set(key, { position, row: { ...before, ...change.after } });
  }
  const present = new Map<string, Row>();
  for (const [key, { row }] of rows) if (row !== undefined) present.set(key, row);
  return present;
}

/** Compares as text as it does as positions: timeline, commit, place in the transaction. */
export function positionOf({ timeline, commit_lsn, seq }: Row): string {
  const [high = "0", low = "0"] = String(commit_lsn).split("/");
  return [timeline, high, low, seq].map((part) => String(part).padStart(10, "0")).join(" ");
}
