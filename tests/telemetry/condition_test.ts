import { assertEquals } from "@std/assert";
import { conditionOf } from "../../src/telemetry/condition.ts";
import { GIB, type MadeUp, madeUpSnapshot } from "../support/made_up_snapshots.ts";

const NOON_MS = Date.parse("2026-11-28T12:00:00Z");

function textOf(given: MadeUp): string {
  const { text, slowSide } = conditionOf(madeUpSnapshot({ atMs: NOON_MS, ...given }));
  return slowSide === undefined ? text : `${text} / ${slowSide}`;
}

Deno.test("conditionOf says since when a run streams, stands by, or is not connected and why", () => {
  const sinceMs = NOON_MS - 34_000;
  assertEquals(textOf({ sinceMs }), "streaming since 2026-11-28T11:59:26Z (34 s)");
  assertEquals(
    textOf({ state: "standby", sinceMs }),
    "standing by since 2026-11-28T11:59:26Z (34 s)",
  );
  assertEquals(
    textOf({ state: "reconnecting", sinceMs, lossReason: "cannot connect to db:5432: refused" }),
    "not connected to PostgreSQL since 2026-11-28T11:59:26Z (34 s): cannot connect to db:5432: refused",
  );
});

Deno.test("conditionOf says since when puts fail and why, once that is more than a busy shard's lot", () => {
  const failing = { seconds: 1.9, reason: "throttled", shards: 1 };
  assertEquals(conditionOf(madeUpSnapshot({ failing })).isGood, true);
  const lasting = { ...failing, seconds: 90 };
  assertEquals(
    textOf({ failing: lasting }),
    "puts failing since 2026-11-28T11:58:30Z (90 s): throttled",
  );
  assertEquals(
    textOf({ failing: lasting, shards: [{}, {}, {}] }),
    "puts into 1 of 3 shards failing since 2026-11-28T11:58:30Z (90 s): throttled",
  );
  assertEquals(conditionOf(madeUpSnapshot({ failing: lasting })).isGood, false);
});

Deno.test("conditionOf says which side the other one waits for", () => {
  const slowSide = (given: MadeUp) => conditionOf(madeUpSnapshot(given)).slowSide;
  const behind = { bytes: GIB, seconds: 60 };
  assertEquals(slowSide({}), undefined);
  assertEquals(slowSide({ lag: behind, pendingBytes: 1000 }), undefined);
  assertEquals(slowSide({ lag: behind }), "Kinesis waits for PostgreSQL");
  assertEquals(slowSide({ lag: { bytes: 1000, seconds: 60 } }), undefined);
  assertEquals(slowSide({ lag: behind, pendingBytes: 4_100_000 }), "PostgreSQL waits for Kinesis");
  assertEquals(slowSide({ state: "reconnecting", pendingBytes: 4_100_000 }), undefined);
});

Deno.test("conditionOf names the stream that fails, and the one that all others wait for", () => {
  const failing = { seconds: 90, reason: "throttled", shards: 1, stream: "b" };
  const streams = [{ stream: "a" }, { stream: "b", shards: [] }, { stream: "c" }];
  assertEquals(
    textOf({ failing, streams }),
    "puts into stream b failing since 2026-11-28T11:58:30Z (90 s): throttled",
  );
  assertEquals(
    textOf({ failing: { ...failing, streams: 2 }, streams }),
    "puts into 2 of 3 streams failing, first into b since 2026-11-28T11:58:30Z (90 s): throttled",
  );
  const full = [{ stream: "a", pendingBytes: 10 }, { stream: "b", pendingBytes: 4_100_000 }];
  assertEquals(
    conditionOf(madeUpSnapshot({ pendingBytes: 4_100_000, streams: full })).slowSide,
    "PostgreSQL waits for stream b",
  );
  assertEquals(
    conditionOf(madeUpSnapshot({ pendingBytes: 10, streams: full })).slowSide,
    undefined,
  );
});
