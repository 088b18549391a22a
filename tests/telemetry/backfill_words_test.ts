import { assertEquals, assertMatch } from "@std/assert";
import {
  type BackfillProgress,
  NO_BACKFILL,
  type TableProgress,
} from "../../src/backfill/progress.ts";
import { backfillWords, tableRows } from "../../src/telemetry/backfill_words.ts";
import { METRICS } from "../../src/telemetry/metrics.ts";
import { PageData } from "../../src/telemetry/page_data.ts";
import { ratesBetween } from "../../src/telemetry/rates.ts";
import { renderStatus } from "../../src/telemetry/status_line.ts";
import { madeUpSnapshot } from "../support/made_up_snapshots.ts";

function table(given: Partial<TableProgress> = {}): TableProgress {
  return {
    name: "public.orders",
    request: "r1",
    state: "reading",
    rows: 0,
    expected: 100_000,
    readAgain: 0,
    waiting: undefined,
    beganMs: undefined,
    reason: undefined,
    ...given,
  };
}

/** Of one request, after so many seconds. */
function moment(seconds: number, rows: number, given: Partial<BackfillProgress> = {}) {
  return madeUpSnapshot({
    atMs: 1_000_000 + seconds * 1000,
    backfill: {
      requests: ["r1"],
      tables: [table({ rows })],
      tablesPending: 1,
      rows,
      expected: 100_000,
      totals: { ...NO_BACKFILL.totals, rows },
      ...given,
    },
  });
}

Deno.test("the status line has how far a backfill is, how fast, and until when", () => {
  const [before, now] = [moment(0, 10_000), moment(10, 30_000)];
  const rates = ratesBetween(before, now);
  assertEquals(rates.rows, 2000);
  assertEquals(backfillWords(now, rates.rows), "backfill 30 %, 2,000 rows/s, done in 35 s");
  assertMatch(
    renderStatus(now, rates, { kind: "none" }, 200),
    / · backfill 30 %, 2,000 rows\/s, done in 35 s · /,
  );
  assertEquals(backfillWords(madeUpSnapshot(), 0), "");
  const given = { expected: undefined, tables: [table({ rows: 30_000, expected: undefined })] };
  const unknown = moment(10, 30_000, given);
  assertEquals(backfillWords(unknown, 2000), "backfill 30,000 rows, 2,000 rows/s");
  assertEquals(tableRows([before], unknown).map((row) => [row.expected, row.secondsLeft]), [
    [null, null],
  ]);
  const expectedRows = METRICS.find(({ name }) => name === "pg2kinesis_backfill_expected_rows");
  if (expectedRows?.type !== "gauge") throw new Error("no gauge");
  assertEquals(expectedRows.read(unknown), [{ value: undefined }]);
});

Deno.test("what a backfill waits for stands in the place of its pace", () => {
  const waiting = { cause: "writer", sinceMs: 0, detail: "process 4711" } as const;
  const now = moment(0, 0, { tables: [table({ waiting })] });
  assertEquals(
    backfillWords(now, 0),
    "backfill 0 %, waits for a transaction that wrote to the table (process 4711)",
  );
  const other = moment(0, 0, {
    tables: [table({ waiting }), table({ name: "public.items" })],
  });
  assertEquals(backfillWords(other, 0), "backfill 0 %, 0 rows/s");
});

Deno.test("the page has each table's rows, pace and end", () => {
  const given = { name: "public.gone", state: "given up", reason: "it was dropped" } as const;
  const earlier = moment(0, 10_000);
  const now = moment(10, 30_000, {
    tables: [table({ rows: 30_000 }), table(given), table({ name: "public.new", rows: 7 })],
  });
  const rows = tableRows([earlier], now);
  assertEquals(
    rows.map((row) => [row.name, row.rows, row.rowsPerSecond, row.secondsLeft, row.note]),
    [
      ["public.orders", 30_000, 2000, 35, ""],
      ["public.gone", 0, 0, null, "it was dropped"],
      ["public.new", 7, 0, null, ""],
    ],
  );
  using data = new PageData({ snapshot: () => now });
  const many = { ...now, backfill: { ...now.backfill, tablesPending: 9_000, tablesEnded: 1_000 } };
  using most = new PageData({ snapshot: () => many });
  assertEquals(JSON.parse(JSON.stringify(most.since(0, undefined))).now.backfill.moreTables, 9_997);
  const { now: shown } = JSON.parse(JSON.stringify(data.since(0, undefined)));
  assertEquals(shown.backfill.tables.map(({ name }: { name: string }) => name), [
    "public.orders",
    "public.gone",
    "public.new",
  ]);
});

Deno.test("the metrics have what backfills did, and what is left", () => {
  const now = moment(0, 12, {
    totals: {
      ...NO_BACKFILL.totals,
      rows: 12,
      readAgain: 3,
      waited: { ...NO_BACKFILL.totals.waited, lock: 1.5 },
    },
  });
  const value = (name: string, labels: Record<string, string> = {}) => {
    const metric = METRICS.find((each) => each.name === `pg2kinesis_backfill_${name}`);
    if (metric === undefined || metric.type === "histogram") throw new Error(name);
    return metric.read(now).find((sample) =>
      Object.entries(labels).every(([label, text]) => sample.labels?.[label] === text)
    )?.value;
  };
  assertEquals(value("rows_total"), 12);
  assertEquals(value("rows_read_again_total"), 3);
  assertEquals(value("wait_seconds_total", { cause: "lock" }), 1.5);
  assertEquals(value("wait_seconds_total", { cause: "writer" }), 0);
  assertEquals(value("tables_pending"), 1);
  assertEquals([value("rows"), value("expected_rows")], [12, 100_000]);
});
