import {
  type BackfillProgress,
  percentage,
  secondsLeft,
  type TableProgress,
  type WaitCause,
} from "../backfill/progress.ts";
import { formatCount, formatSeconds } from "../base/quantity.ts";
import type { Snapshot } from "./run_snapshot.ts";

const WAITING: Readonly<Record<WaitCause, string>> = {
  writer: "waits for a transaction that wrote to the table",
  behind: "waits until changes have caught up",
  kinesis: "waits for Kinesis",
  lock: "waits for a lock on the table",
  rate: "keeps to --backfill-rate",
  connection: "waits for a connection to the primary",
};

/** `waits for a lock on the table (process 4711)`. */
function waitingWords({ waiting }: Pick<TableProgress, "waiting">): string {
  if (waiting === undefined) return "";
  const { cause, detail } = waiting;
  return WAITING[cause] + (detail === undefined ? "" : ` (${detail})`);
}

/** Of what is read now, else of what waits. */
function current({ tables }: BackfillProgress): TableProgress | undefined {
  return tables.find(({ state, waiting }) => state === "reading" && waiting === undefined) ??
    tables.find(({ waiting }) => waiting !== undefined);
}

/**
 * How the backfills go, in a few words: `backfill 42 %, 12,345 rows/s, done in 4 min`, or where the number of
 * rows is not known `backfill 5,000 rows, 12,345 rows/s`. Empty when there is none.
 */
export function backfillWords({ backfill }: Snapshot, rowsPerSecond: number): string {
  if (backfill.requests.length === 0) return "";
  const share = percentage(backfill);
  const words = [
    `backfill ${share === undefined ? `${formatCount(backfill.rows)} rows` : `${share} %`}`,
  ];
  const table = current(backfill);
  if (table?.waiting !== undefined) words.push(waitingWords(table));
  else words.push(`${formatCount(rowsPerSecond)} rows/s`);
  const seconds = secondsLeft(backfill, rowsPerSecond);
  if (seconds !== undefined) words.push(`done in ${formatSeconds(seconds)}`);
  return words.join(", ");
}

/** What the page shows of a table; null: not known. */
export interface TableRow {
  readonly name: string;
  readonly state: TableProgress["state"];
  readonly rows: number;
  readonly expected: number | null;
  readonly rowsPerSecond: number;
  readonly secondsLeft: number | null;
  readonly readAgain: number;
  /** What it waits for, or why it was given up. */
  readonly note: string;
}

/** Each table beside what it was in the first of the earlier moments that knows it. */
export function tableRows(earlier: readonly Snapshot[], now: Snapshot): TableRow[] {
  const moments = earlier.map(({ atMs, backfill }) => ({
    seconds: Math.max(now.atMs - atMs, 1) / 1000,
    rows: new Map(backfill.tables.map((table) => [keyOf(table), table.rows])),
  }));
  return now.backfill.tables.map((table) => {
    const { name, state, rows, expected, readAgain, reason } = table;
    const since = moments.find((moment) => moment.rows.has(keyOf(table)));
    const isOpen = state === "reading" && since !== undefined;
    const rowsPerSecond = isOpen
      ? Math.max(0, rows - since.rows.get(keyOf(table))!) / since.seconds
      : 0;
    return {
      ...{ name, state, rows, rowsPerSecond, readAgain },
      expected: expected ?? null,
      secondsLeft: secondsLeft({ rows, expected }, rowsPerSecond) ?? null,
      note: reason ?? waitingWords(table),
    };
  });
}

/** A request may be for thousands. */
export function tablesNotListed({ backfill }: Snapshot): number {
  const { tables, tablesPending, tablesEnded, tablesGivenUp } = backfill;
  return Math.max(0, tablesPending + tablesEnded + tablesGivenUp - tables.length);
}

const keyOf = ({ request, name }: TableProgress) => `${request} ${name}`;
