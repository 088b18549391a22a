import { assertEquals } from "@std/assert";
import { LagClock, type LagFacts } from "../../src/telemetry/lag_clock.ts";

const facts = (given: Partial<LagFacts>): LagFacts => ({
  nowMs: 100_000,
  flushLsn: 0n,
  oldestPendingCommitMs: undefined,
  storedCommitMs: NaN,
  ...given,
});

Deno.test("LagClock gives the age of the oldest pending commit where that is told", () => {
  const clock = new LagClock();
  clock.mark(500n, 90_000);
  assertEquals(clock.seconds(facts({ oldestPendingCommitMs: 97_500 })), 2.5);
  assertEquals(clock.seconds(facts({ oldestPendingCommitMs: 100_020 })), 0, "clocks waver");
});

Deno.test("LagClock gives 0 when nothing is pending and all WAL is confirmed", () => {
  const clock = new LagClock();
  assertEquals(clock.seconds(facts({})), undefined, "the server has not been asked");
  clock.mark(500n, 98_000);
  assertEquals(clock.seconds(facts({ flushLsn: 500n })), 0);
  assertEquals(clock.seconds(facts({ flushLsn: 500n, storedCommitMs: 1_000 })), 0, "idle for long");
  const later = facts({ nowMs: 128_000, flushLsn: 500n, storedCommitMs: 1_000 });
  assertEquals(clock.seconds(later), 30, "the server is not there to tell what is new");
});

Deno.test("LagClock bounds the lag where the oldest commit's time is not known", () => {
  const clock = new LagClock();
  clock.mark(500n, 80_000);
  assertEquals(clock.seconds(facts({ flushLsn: 100n })), undefined, "a backlog of any age");
  assertEquals(clock.seconds(facts({ flushLsn: 100n, storedCommitMs: 40_000 })), 60);
  assertEquals(
    clock.seconds(facts({ flushLsn: 100n, oldestPendingCommitMs: NaN, storedCommitMs: 40_000 })),
    60,
    "its COMMIT has not come",
  );
  // What was there at 80 s is stored; what came since is not.
  clock.mark(900n, 95_000);
  assertEquals(clock.seconds(facts({ flushLsn: 500n, storedCommitMs: 40_000 })), 20);
  assertEquals(clock.seconds(facts({ flushLsn: 899n, storedCommitMs: 85_000 })), 15);
  assertEquals(clock.seconds(facts({ flushLsn: 900n })), 0, "told five seconds ago");
});

Deno.test("LagClock remembers a lag of many hours in bounded memory", () => {
  const clock = new LagClock();
  for (let second = 0; second < 100_000; second += 2) clock.mark(BigInt(second), second * 1000);
  const nowMs = 100_000_000;
  const lag = clock.seconds(facts({ nowMs, flushLsn: 50_000n }))!;
  // The marks thin out: the bound is a little larger than it need be, never smaller.
  assertEquals(lag >= 50_000 && lag < 52_000, true, String(lag));
});
