/** What a backfill can wait for. */
export const WAIT_CAUSES = [
  /** A transaction that wrote to the table and is still open. */
  "writer",
  /** The run has not caught up with the changes. */
  "behind",
  /** Kinesis, which has not stored what was read before. */
  "kinesis",
  /** A lock on the table that is stronger than ACCESS SHARE. */
  "lock",
  /** The limit of `--backfill-rate`. */
  "rate",
  /** A connection to the primary. */
  "connection",
] as const;

export type WaitCause = typeof WAIT_CAUSES[number];

export interface Waiting {
  readonly cause: WaitCause;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Such as "process 4711", without names that users chose. */
  readonly detail: string | undefined;
}

export type TableState = "pending" | "reading" | "ended" | "given up";

export interface TableProgress {
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The id of the request. */
  readonly request: string;
  readonly state: TableState;
  /** Records that were published, those that were read again included. */
  readonly rows: number;
  /** By the server's estimate; undefined: not known, or it turned out to be too low. */
  readonly expected: number | undefined;
  readonly readAgain: number;
  readonly waiting: Waiting | undefined;
  /** When its first read began, in milliseconds since 1970; of this run. */
  readonly beganMs: number | undefined;
  /** Why it was given up, one line. */
  readonly reason: string | undefined;
}

/** Tables listed by name in {@linkcode BackfillProgress}. */
export const MAX_LISTED_TABLES = 100;

/** How the backfills of a run stand; of this run alone, but for `rows` of a table that it went on with. */
export interface BackfillProgress {
  /** Ids of the requests that have not ended, in their order. */
  readonly requests: readonly string[];
  /** Those being read, then waiting, then ended last; at most {@linkcode MAX_LISTED_TABLES}. */
  readonly tables: readonly TableProgress[];
  /** Of the requests that have not ended. */
  readonly tablesPending: number;
  readonly tablesEnded: number;
  readonly tablesGivenUp: number;
  /** Of the requests that have not ended: what was published. */
  readonly rows: number;
  /** What all their tables are expected to have; undefined where of one it is not known. */
  readonly expected: number | undefined;
  /** Since the run began, for counters. */
  readonly totals: {
    readonly rows: number;
    readonly readAgain: number;
    readonly tablesGivenUp: number;
    readonly malformedMessages: number;
    /** Seconds by cause. */
    readonly waited: Readonly<Record<WaitCause, number>>;
  };
}

export const NO_BACKFILL: BackfillProgress = {
  requests: [],
  tables: [],
  tablesPending: 0,
  tablesEnded: 0,
  tablesGivenUp: 0,
  rows: 0,
  expected: 0,
  totals: {
    rows: 0,
    readAgain: 0,
    tablesGivenUp: 0,
    malformedMessages: 0,
    waited: { writer: 0, behind: 0, kinesis: 0, lock: 0, rate: 0, connection: 0 },
  },
};

/** From 0 to 100, whole, rounded down; 99 at most before the end. Undefined: not known. */
export function percentage(
  { rows, expected, tablesPending }: Pick<BackfillProgress, "rows" | "expected" | "tablesPending">,
): number | undefined {
  if (expected === undefined) return undefined;
  if (tablesPending === 0) return 100;
  return Math.min(99, Math.floor(100 * rows / Math.max(1, expected, rows)));
}

/** By what the server expects, should all go on like this; undefined: nobody can tell. */
export function secondsLeft(
  { rows, expected }: { readonly rows: number; readonly expected: number | undefined },
  rowsPerSecond: number,
): number | undefined {
  if (expected === undefined || expected <= rows || rowsPerSecond < 1) return undefined;
  return (expected - rows) / rowsPerSecond;
}

/** What the reading connection is called, for whoever looks at `pg_stat_activity`. */
export interface ReaderName {
  /** Undefined: not known. */
  readonly percentage: number | undefined;
  /** Perhaps only its beginning. */
  readonly slot: string;
  readonly doing: "reading" | WaitCause;
  /** Perhaps only its beginning; every character that is not ASCII is a question mark. Empty without one. */
  readonly table: string;
}

/** `NAMEDATALEN` less one, to which PostgreSQL cuts it. */
const MAX_NAME_BYTES = 63;
const MAX_SLOT_BYTES = 24;

/** `42% backfill pg2kinesis reading public.orders`, in 63 bytes; with `?%` where it is not known. */
export function printReaderName({ percentage, slot, doing, table }: ReaderName): string {
  const ascii = table.replace(/[^\x20-\x7E]/gu, "?");
  return `${percentage ?? "?"}% backfill ${slot.slice(0, MAX_SLOT_BYTES)} ${doing} ${ascii}`
    .slice(0, MAX_NAME_BYTES).trimEnd();
}

const READER_NAME = new RegExp(
  `^(\\d{1,3}|\\?)% backfill ([a-z0-9_]{1,${MAX_SLOT_BYTES}}) (reading|${
    WAIT_CAUSES.join("|")
  })(?: (.*))?$`,
);

/** Undefined for the name of any other connection. Whoever may log in can choose a name like one. */
export function parseReaderName(name: string): ReaderName | undefined {
  const [, percentage, slot, doing, table = ""] = READER_NAME.exec(name) ?? [];
  if (percentage === undefined || Number(percentage) > 100) return undefined;
  return {
    percentage: percentage === "?" ? undefined : Number(percentage),
    slot: slot!,
    doing: doing as ReaderName["doing"],
    table,
  };
}

/** Whether a reader's name may be of a slot. */
export function isReaderOf(slot: string, name: ReaderName): boolean {
  return name.slot.length < MAX_SLOT_BYTES ? name.slot === slot : slot.startsWith(name.slot);
}

/** The channel on which a run tells whoever waits how its backfills go. Delivered when it holds. */
export const NEWS_CHANNEL = "pg2kinesis_backfill";

/** One notification: a JSON object in at most 8,000 bytes. */
export interface BackfillNews {
  readonly slot: string;
  readonly request: string;
  /**
   * - `taken`: the run knows of the request; `tables` are how many it is for.
   * - `table`: a table has ended; `rows` of it are stored. With a `reason` it was given up or refused.
   * - `done`: the request has ended, and all its rows are stored; `tables` are those that were given up.
   */
  readonly news: "taken" | "table" | "done";
  readonly table?: string;
  readonly rows?: number;
  readonly tables?: number;
  readonly reason?: string;
}

/** Of which each may take six bytes. */
const MAX_NAME_UNITS = 256;
const MAX_REASON_UNITS = 600;

export function printNews(news: BackfillNews): string {
  const { table, reason } = news;
  return JSON.stringify({
    ...news,
    table: table?.slice(0, MAX_NAME_UNITS),
    reason: reason?.slice(0, MAX_REASON_UNITS),
  });
}

/** Undefined for what no run of ours has sent; anybody may send what looks like it. */
export function parseNews(payload: string): BackfillNews | undefined {
  let value: Partial<Record<keyof BackfillNews, unknown>> | null;
  try {
    value = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { slot, request, news, table, rows, tables, reason } = value;
  if (typeof slot !== "string" || typeof request !== "string") return undefined;
  if (news !== "taken" && news !== "table" && news !== "done") return undefined;
  const text = (each: unknown) => typeof each === "string" ? each : undefined;
  const count = (each: unknown) => Number.isSafeInteger(each) ? each as number : undefined;
  return {
    slot,
    request,
    news,
    table: text(table),
    rows: count(rows),
    tables: count(tables),
    reason: text(reason),
  };
}
