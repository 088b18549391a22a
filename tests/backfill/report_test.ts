import { assertEquals } from "@std/assert";
import { BackfillState } from "../../src/backfill/backfill_state.ts";
import { BackfillReport } from "../../src/backfill/report.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import { logged } from "../support/logs.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

Deno.test("the log has no percentage of what is not known", async () => {
  const lineOf = async (tables: readonly TableRead[] | undefined) => {
    const state = new BackfillState();
    state.ledger.requests = [{ id: "r", tables: "all" }];
    if (tables !== undefined) state.setTables([...tables], "r");
    const clock = new VirtualClock();
    const report = new BackfillReport(state, clock);
    const [line] = await logged(async () => {
      state.totals.rows = 500;
      await clock.run(clock.sleep(10_000), 10_000);
      report.tick();
    });
    return line?.text;
  };
  const begun = (rows: number, expected: number | undefined) => {
    const read = new TableRead(16384, "public.t", undefined);
    read.rows = rows;
    read.expected = expected;
    return [read];
  };
  assertEquals(
    await lineOf(begun(500, 10_000)),
    "backfill r: 5 %, 500 of about 10000 rows, 50 rows a second, done in 3 min",
  );
  const unknown = "backfill r: 500 rows, 50 rows a second; how many there are is not known";
  assertEquals(await lineOf(begun(500, undefined)), unknown);
  assertEquals(await lineOf(begun(500, 300)), unknown);
  // Its tables are not looked up yet.
  assertEquals(await lineOf(undefined), unknown.replace("500", "0"));
});

Deno.test("tables that wait for the same are in one line of the log", async () => {
  const state = new BackfillState();
  state.ledger.requests = [{ id: "r", tables: "all" }];
  const waiting = (detail: string) => ({ cause: "writer", sinceMs: 5_000, detail }) as const;
  const tables = Array.from({ length: 5 }, (_, index) => {
    const read = new TableRead(16384 + index, `public.t${index}`, undefined);
    read.waiting = waiting(index === 3 ? "process 2" : "process 1");
    return read;
  });
  state.setTables(tables, "r");
  const clock = new VirtualClock();
  const report = new BackfillReport(state, clock);
  await clock.run(clock.sleep(25_000), 25_000);
  const lines = await logged(() => Promise.resolve(report.tick()));
  const why = "waits for a transaction that wrote to it before";
  assertEquals(lines.slice(1).map(({ text }) => text), [
    `the backfill of public.t0, public.t1, public.t2 and 1 more ${why} (process 1) since 20 s`,
    `the backfill of public.t3 ${why} (process 2) since 20 s`,
  ]);
});
