import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { formatSeconds, someOf } from "../base/quantity.ts";
import type { BackfillState } from "./backfill_state.ts";
import {
  type BackfillProgress,
  MAX_LISTED_TABLES,
  percentage,
  secondsLeft,
  type TableProgress,
  type WaitCause,
  type Waiting,
} from "./progress.ts";
import type { TableRead } from "./table_read.ts";
import { expectedOf, expectedOfAll } from "./table_sizes.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

const LINE_EVERY_MS = 10_000;
/** A wait that is shorter is none of the log's. */
const WORTH_TELLING_MS = 10_000;
const NAMED_TOGETHER = 3;

const WAITS_FOR: Readonly<Record<WaitCause, string>> = {
  writer: "a transaction that wrote to it before",
  behind: "the run to catch up",
  kinesis: "Kinesis",
  lock: "a lock on it",
  rate: "--backfill-rate",
  connection: "a connection to the primary",
};

/** Tells how backfills go: to the log every ten seconds, and to whoever asks. */
export class BackfillReport {
  readonly #waited: Record<WaitCause, number> = {
    ...{ writer: 0, behind: 0, kinesis: 0, lock: 0, rate: 0, connection: 0 },
  };
  #tickMs: number;
  #toldMs: number;
  #toldRows = 0;

  constructor(private readonly state: BackfillState, private readonly clock: Clock) {
    this.#tickMs = this.#toldMs = clock.now();
  }

  /** To be called often. */
  tick(): void {
    const now = this.clock.now();
    const cause = this.#waiting?.cause;
    if (cause !== undefined && this.state.isActive) {
      this.#waited[cause] += (now - this.#tickMs) / 1000;
    }
    this.#tickMs = now;
    if (now - this.#toldMs < LINE_EVERY_MS) return;
    const { progress, state } = this;
    const rate = (state.totals.rows - this.#toldRows) * 1000 / (now - this.#toldMs);
    this.#toldMs = now;
    this.#toldRows = state.totals.rows;
    if (!state.isActive) return;
    this.#tellProgress(progress, rate);
    this.#tellWaits(progress.tables);
    this.#tellWait("every table", state.waiting);
  }

  #tellProgress(progress: BackfillProgress, rate: number): void {
    const { requests: [request], rows, expected } = progress;
    const share = percentage(progress);
    if (share === undefined) {
      logger.info(
        "backfill {request}: {rows} rows, {rate} rows a second; how many there are is not known",
        { request, rows, rate: Math.round(rate) },
      );
      return;
    }
    const seconds = secondsLeft(progress, rate);
    logger.info(
      "backfill {request}: {percentage} %, {rows} of about {expected} rows, {rate} rows a second{left}",
      {
        ...{ request, percentage: share, rows, expected, rate: Math.round(rate) },
        left: seconds === undefined ? "" : `, done in ${formatSeconds(seconds)}`,
      },
    );
  }

  /** One transaction may keep hundreds of tables waiting. */
  #tellWaits(tables: readonly TableProgress[]): void {
    const waiting = tables.filter((table) => table.waiting !== undefined);
    const alike = Map.groupBy(
      waiting,
      (table) => `${table.waiting!.cause} ${table.waiting!.detail}`,
    );
    for (const group of alike.values()) {
      const sinceMs = Math.min(...group.map((table) => table.waiting!.sinceMs));
      const names = someOf(group.map(({ name }) => name), NAMED_TOGETHER);
      this.#tellWait(names, { ...group[0]!.waiting!, sinceMs });
    }
  }

  #tellWait(table: string, waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    const ms = this.clock.wall() - waiting.sinceMs;
    if (ms < WORTH_TELLING_MS) return;
    logger.info("the backfill of {table} waits for {cause}{detail} since {seconds} s", {
      table,
      cause: WAITS_FOR[waiting.cause],
      detail: waiting.detail === undefined ? "" : ` (${waiting.detail})`,
      seconds: Math.round(ms / 1000),
    });
  }

  get #waiting(): Waiting | undefined {
    const { waiting, tables = [] } = this.state;
    if (waiting !== undefined) return waiting;
    // What others wait for delays nobody while one is read.
    let first: Waiting | undefined;
    for (const table of tables) {
      if (table.outcome !== undefined || table.isScanned) continue;
      if (table.waiting === undefined && table.beganMs !== undefined) return undefined;
      first ??= table.waiting;
    }
    return first;
  }

  get progress(): BackfillProgress {
    const { tables = [], ledger, totals, malformed } = this.state;
    const request = ledger.requests[0]?.id ?? "";
    const open = tables.filter(({ outcome }) => outcome === undefined);
    const listed = [
      ...open.filter(({ beganMs }) => beganMs !== undefined),
      ...open.filter(({ beganMs }) => beganMs === undefined),
      ...tables.filter(({ outcome }) => outcome !== undefined).toReversed(),
    ];
    return {
      requests: ledger.requests.map(({ id }) => id),
      tables: listed.slice(0, MAX_LISTED_TABLES).map((table) => progressOf(table, request)),
      tablesPending: open.length,
      tablesEnded: tables.filter(({ outcome }) => outcome?.complete === true).length,
      tablesGivenUp: tables.filter(({ outcome }) => outcome?.complete === false).length,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      // Before they are looked up, nobody knows.
      expected: ledger.requests.length > 0 && this.state.tables === undefined
        ? undefined
        : expectedOfAll(tables),
      totals: {
        rows: totals.rows,
        readAgain: totals.readAgain,
        tablesGivenUp: totals.givenUp,
        malformedMessages: malformed,
        waited: this.#waited,
      },
    };
  }
}

function progressOf(table: TableRead, request: string): TableProgress {
  const { name, rows, readAgain, waiting, beganMs, outcome } = table;
  return {
    ...{ name, request, rows, readAgain, waiting, beganMs },
    state: outcome !== undefined
      ? outcome.complete ? "ended" : "given up"
      : beganMs === undefined
      ? "pending"
      : "reading",
    expected: expectedOf(table),
    reason: outcome?.reason,
  };
}
