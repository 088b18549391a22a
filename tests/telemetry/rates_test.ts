import { assertEquals } from "@std/assert";
import { History } from "../../src/telemetry/history.ts";
import { catchUpWords, estimateCatchUp, ratesBetween } from "../../src/telemetry/rates.ts";
import { GIB, madeUpSnapshot } from "../support/made_up_snapshots.ts";

Deno.test("ratesBetween gives what happened in a second, and the shard that took most", () => {
  const before = madeUpSnapshot({ atMs: 0, changes: 100, shards: [{ bytes: 500 }, { bytes: 0 }] });
  const after = madeUpSnapshot({
    atMs: 4_000,
    changes: 300,
    puts: 8,
    throttled: 2,
    // The third was opened in the meantime.
    shards: [{ bytes: 900 }, { bytes: 100 }, { bytes: 4_000 }],
  });
  const rates = ratesBetween(before, after);
  assertEquals([rates.changes, rates.puts, rates.throttles], [50, 2, 0.5]);
  assertEquals(rates.busiestShard, {
    stream: "changes",
    shardId: "shardId-000000000002",
    bytes: 1_000,
  });
  assertEquals(ratesBetween(after, after).busiestShard, undefined);
  // A standby that takes over again has a writer that begins from nothing.
  assertEquals(ratesBetween(after, { ...before, atMs: 8_000 }).changes, 0);
});

function estimate(bytesBefore: number, bytesAfter: number, spanMs: number, seconds = 100) {
  return estimateCatchUp(
    madeUpSnapshot({ atMs: 0, lag: { bytes: bytesBefore } }),
    madeUpSnapshot({ atMs: spanMs, lag: { bytes: bytesAfter, seconds } }),
  );
}

Deno.test("estimateCatchUp follows what the backlog did", () => {
  assertEquals(estimate(3 * GIB, 2 * GIB, 10_000), { kind: "shrinking", seconds: 20 });
  assertEquals(estimate(2 * GIB, 3 * GIB, 10_000), {
    kind: "growing",
    bytesPerSecond: GIB / 10,
  });
  assertEquals(catchUpWords(estimate(GIB, GIB, 10_000)), "falling behind");
  assertEquals(catchUpWords(estimate(3 * GIB, 2 * GIB, 10_000)), "caught up in 20 s");
});

Deno.test("estimateCatchUp is silent without a backlog, and before it can tell", () => {
  assertEquals(estimate(3 * GIB, 2 * GIB, 2_000).kind, "none", "too short a time");
  assertEquals(estimate(3 * GIB, 100_000, 10_000).kind, "none", "too little left");
  assertEquals(estimate(3 * GIB, 2 * GIB, 10_000, 1).kind, "none", "a neighbour's WAL");
  const unknown = madeUpSnapshot({ atMs: 0, lag: { bytes: undefined } });
  const after = madeUpSnapshot({ atMs: 10_000, lag: { bytes: GIB, seconds: 60 } });
  assertEquals(estimateCatchUp(unknown, after).kind, "none");
});

Deno.test("History keeps its span and one before", () => {
  const history = new History(10_000);
  assertEquals(history.before(0), undefined);
  for (let atMs = 0; atMs <= 60_000; atMs += 1_000) history.add(madeUpSnapshot({ atMs }));
  assertEquals(history.first?.atMs, 50_000);
  assertEquals(history.before(5_000)?.atMs, 55_000);
  assertEquals(history.before(0)?.atMs, 60_000);
  assertEquals(history.before(99_000)?.atMs, 50_000, "the first, when none is so old");
});
