import { assertEquals, assertMatch } from "@std/assert";
import type { SlotState } from "../../src/postgres/slot/slot_state.ts";
import { WalGuard } from "../../src/run/wal_guard.ts";
import { logged } from "../support/logs.ts";
import { GIB } from "../support/made_up_snapshots.ts";

const MINUTE = 60_000;

function slotWith(given: Partial<SlotState>): SlotState {
  return {
    walEnd: 0x1_0000_0000n,
    serverMs: 0,
    retainedBytes: GIB,
    safeWalBytes: undefined,
    walStatus: "reserved",
    ...given,
  };
}

async function watched(
  options: { readonly maxLagBytes: number | undefined; readonly onMaxLag: "warn" | "stop" },
  looks: readonly (readonly [atMs: number, given: Partial<SlotState>])[],
) {
  let nowMs = 0;
  let failure: Error | undefined;
  const lines = await logged(async () => {
    const clock = { now: () => nowMs, wall: () => nowMs };
    const guard = new WalGuard("s", options, () => 0x1000_0000n, clock);
    guard.failure.then((error) => failure = error);
    for (const [atMs, given] of looks) {
      nowMs = atMs;
      guard.look(slotWith(given));
    }
    await Promise.resolve();
  });
  return { lines: lines.map(({ level, text }) => `${level} ${text}`), failure };
}

Deno.test("WalGuard warns past the limit, reminds every ten minutes, and tells when it is over", async () => {
  const { lines, failure } = await watched({ maxLagBytes: 2 * GIB, onMaxLag: "warn" }, [
    [0, { retainedBytes: 2 * GIB }],
    [1, { retainedBytes: 3 * GIB }],
    [5 * MINUTE, { retainedBytes: 4 * GIB }],
    [10 * MINUTE + 1, { retainedBytes: 5 * GIB, safeWalBytes: GIB }],
    [11 * MINUTE, { retainedBytes: GIB }],
    [12 * MINUTE, { retainedBytes: GIB }],
  ]);
  assertEquals(lines, [
    'warning the slot "s" keeps 3.00 GiB of WAL on the server, more than the 2.00 GiB of ' +
    "--max-lag-bytes; 3.75 GiB of it is not published",
    'warning the slot "s" keeps 5.00 GiB of WAL on the server, more than the 2.00 GiB of ' +
    "--max-lag-bytes; 3.75 GiB of it is not published, and it is lost after 1.00 GiB more",
    "info the slot s keeps 1.00 GiB of WAL, within the 2.00 GiB of --max-lag-bytes again",
  ]);
  assertEquals(failure, undefined);
});

Deno.test("WalGuard is not made to talk by a size that goes up and down around the limit", async () => {
  const looks = Array.from(
    { length: 120 },
    (_, second) => [second * 1000, { retainedBytes: second % 2 === 0 ? 3 * GIB : GIB }] as const,
  );
  const { lines } = await watched({ maxLagBytes: 2 * GIB, onMaxLag: "warn" }, looks);
  assertEquals(lines.length, 4, lines.join("\n"));
});

Deno.test("WalGuard ends the run where that was asked for, and says what to do", async () => {
  const { lines, failure } = await watched({ maxLagBytes: 2 * GIB, onMaxLag: "stop" }, [
    [0, { retainedBytes: GIB }],
    [1, { retainedBytes: 3 * GIB }],
  ]);
  assertEquals(lines, []);
  assertMatch(
    failure!.message,
    /^the slot "s" keeps 3\.00 GiB .* stopping, as --on-max-lag stop says\. .*higher --max-lag-bytes.*SELECT pg_catalog\.pg_drop_replication_slot\('s'\), which loses every change behind 0\/10000000$/,
  );
});

Deno.test("WalGuard warns of a slot that the server gives up, without any limit", async () => {
  const { lines } = await watched({ maxLagBytes: undefined, onMaxLag: "warn" }, [
    [0, { retainedBytes: 99 * GIB }],
    [1, { walStatus: "unreserved" }],
    [2, { walStatus: "unreserved" }],
  ]);
  assertEquals(lines.length, 1);
  assertMatch(lines[0]!, /^warning the slot s is about to be lost: .*max_slot_wal_keep_size/);
});
