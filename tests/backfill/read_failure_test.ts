import { assertEquals, assertMatch } from "@std/assert";
import { BackfillState } from "../../src/backfill/backfill_state.ts";
import { settleFailure } from "../../src/backfill/read_failure.ts";
import { FetchTooLarge, NotLarge } from "../../src/backfill/large_row.ts";
import type { ReadPlan } from "../../src/backfill/read_plan.ts";
import type { Reader } from "../../src/backfill/reader.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";
import { PostgresError } from "../../src/postgres/connection/postgres_error.ts";
import { logged } from "../support/logs.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const READER = { isClosing: false } as Reader;
const parts = () => ({
  state: new BackfillState(),
  catalog: {} as Catalog,
  isWantedTable: () => true,
  clock: new VirtualClock(),
});

/** What becomes of a table after a read of it failed, `keys` of them by themselves. */
async function after(error: Error, keys?: number): Promise<TableRead> {
  const table = new TableRead(16384, "public.t", undefined);
  const again = keys === undefined ? undefined : Array.from({ length: keys }, (_, key) =>
    [
      String(key),
      { values: [String(key)], xid: 700, bound: undefined, step: undefined },
    ] as const);
  await settleFailure(error, [{ table, again }], READER, parts());
  return table;
}

const timeout = new PostgresError("canceling statement due to statement timeout", {
  code: "57014",
  transient: false,
});

Deno.test("keys that are read by themselves become fewer at a time where they take too long or are too large", async () => {
  for (const error of [timeout, new FetchTooLarge(7)]) {
    const { againAtOnce, maxRows, timeoutMs } = await after(error, 400);
    assertEquals([againAtOnce, maxRows, timeoutMs], [100, Infinity, 5_000]);
  }
});

Deno.test("one key or row that takes too long gets more time, and a scan fewer rows", async () => {
  assertEquals((await after(new FetchTooLarge(7))).maxRows, 7);
  assertEquals((await after(timeout)).maxRows, 50_000);
  const { againAtOnce, maxRows, timeoutMs } = await after(timeout, 1);
  assertEquals([againAtOnce, maxRows, timeoutMs], [400, Infinity, 10_000]);
});

Deno.test("a row that is too large to be read at all is looked at by its key alone, until it is so no more", async () => {
  assertEquals((await after(new FetchTooLarge(0))).largeRow, "next");
  assertEquals((await after(new FetchTooLarge(0), 1)).largeRow, "again");
  assertEquals((await after(new FetchTooLarge(0), 400)).largeRow, undefined);
  assertEquals((await after(new NotLarge())).largeRow, undefined);
});

Deno.test("a table that breaks one connection after the other is given up, and none for a mark that cannot be written", async () => {
  const jobs = ["public.t", "public.u"].map((name, index) => ({
    table: new TableRead(16384 + index, name, undefined),
    again: undefined,
  }));
  const [{ table }] = jobs as [typeof jobs[0]];
  const lost = new PostgresError("cannot read public.t: Connection terminated", {
    transient: true,
  });
  const noRight = new PostgresError("cannot write a mark: permission denied", {
    code: "42501",
    transient: false,
  });
  for (let read = 1; read < 10; read++) {
    assertEquals(await settleFailure(lost, jobs, READER, parts()), "connection");
    assertEquals(await settleFailure(noRight, [jobs[0]!], READER, parts(), true), "connection");
    assertEquals(await settleFailure(lost, [jobs[0]!], READER, parts()), "connection");
  }
  assertEquals(table.outcome, undefined);
  await logged(async () => {
    const meaning = await settleFailure(lost, [jobs[0]!], READER, parts());
    assertEquals(meaning, "ended with its connection");
  });
  assertEquals(table.outcome?.complete, false);
  assertMatch(table.outcome!.reason!, /the connection was lost 10 times while it was read: cannot/);
});

Deno.test("a table is read anew once where the text of a key is one no more", async () => {
  const plan = {
    facts: { name: "public.t", schema: "public", table: "t", ancestors: [] },
    relation: { schema: "public", table: "t", qualifiedName: "public.t" },
    key: [{ name: "mood" }],
    columns: [{ name: "mood" }],
  } as unknown as ReadPlan;
  const reader = {
    isClosing: false,
    plan: () => Promise.resolve(new Map([[16384, plan]])),
  } as unknown as Reader;
  const catalog = { refresh: () => Promise.resolve() } as unknown as Catalog;
  const renamed = new PostgresError('invalid input value for enum mood: "sad"', {
    code: "22P02",
    transient: false,
  });
  const table = new TableRead(16384, "public.t", undefined);
  table.plan = plan;
  const fail = () =>
    settleFailure(renamed, [{ table, again: undefined }], reader, { ...parts(), catalog });
  await logged(async () => {
    table.after = ["sad"];
    await fail();
    assertEquals([table.outcome, table.after, table.round], [undefined, undefined, 1]);
    table.after = ["sad"];
    await fail();
  });
  assertMatch(table.outcome!.reason!, /invalid input value for enum/);
});
