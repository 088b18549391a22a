import { assertEquals } from "@std/assert";
import { BackfillState } from "../../src/backfill/backfill_state.ts";
import { settleFailure } from "../../src/backfill/read_failure.ts";
import { FetchTooLarge, NotLarge } from "../../src/backfill/large_row.ts";
import type { Reader } from "../../src/backfill/reader.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";
import { PostgresError } from "../../src/postgres/connection/postgres_error.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** What becomes of a table after a read of it failed, `keys` of them by themselves. */
async function after(error: Error, keys?: number): Promise<TableRead> {
  const table = new TableRead(16384, "public.t", undefined);
  const again = keys === undefined ? undefined : Array.from({ length: keys }, (_, key) =>
    [
      String(key),
      { values: [String(key)], xid: 700, bound: undefined, step: undefined },
    ] as const);
  const reader = { isClosing: false } as Reader;
  const parts = {
    state: new BackfillState(),
    catalog: {} as Catalog,
    isWantedTable: () => true,
    clock: new VirtualClock(),
  };
  await settleFailure(error, [{ table, again }], reader, parts);
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
