import { assert, assertEquals, assertMatch } from "@std/assert";
import { SlotLease } from "../../../src/postgres/session/slot_lease.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

/** Its wall clock is set, or goes on while the host sleeps. */
class HostClock extends VirtualClock {
  aheadMs = 0;
  override wall(): number {
    return 1_000_000 + this.now() + this.aheadMs;
  }
}

const TIMEOUT_MS = 60_000;
const LEASE_MS = TIMEOUT_MS / 3;

/** A lease of a session, renewed as the server answers. */
function keepLease(answer: (askedMs: number) => boolean | undefined) {
  const clock = new HostClock();
  const lease = new SlotLease(clock);
  const stop = new AbortController();
  lease.begin();
  const kept = lease.keep({
    walSenderTimeoutMs: TIMEOUT_MS,
    ask: () => Promise.resolve(answer(clock.now())),
    isOver: () => false,
    signal: stop.signal,
  });
  return { clock, lease, kept, stop };
}

Deno.test("SlotLease lasts while the server says that the slot is ours, and no longer", async () => {
  const { clock, lease, kept } = keepLease((ms) => ms < 100_000 ? true : undefined);
  await clock.run(clock.sleep(100_001), 100_001);
  assert(lease.isValid);
  assertMatch((await clock.run(kept, 60_000))!, /^for 20 s the server did not say/);
  assert(!lease.isValid);
  assert(clock.now() < 100_000 + LEASE_MS + 5_001, `${clock.now()}`);
});

Deno.test("SlotLease runs out while the host sleeps, and is there again when the server says so", async () => {
  const { clock, lease, stop, kept } = keepLease(() => true);
  await clock.run(clock.sleep(30_000), 30_000);
  assert(lease.isValid);
  clock.aheadMs += LEASE_MS;
  assert(!lease.isValid, "it slept, and another may have followed the slot meanwhile");
  await clock.run(clock.sleep(5_000), 5_000);
  assert(lease.isValid);
  stop.abort();
  assertEquals(await kept, undefined);
});

Deno.test("SlotLease is not prolonged by a clock that is set back, also when the host sleeps after it", async () => {
  const { clock, lease, stop } = keepLease(() => true);
  await clock.run(clock.sleep(30_000), 30_000);
  clock.aheadMs -= 3_600_000;
  assert(lease.isValid);
  clock.aheadMs += LEASE_MS;
  assert(!lease.isValid);
  stop.abort();
});

Deno.test("SlotLease ends at once when the server gave the slot to another", async () => {
  const { clock, kept } = keepLease((ms) => ms < 30_000);
  assertEquals(await clock.run(kept, 60_000), "the server no longer holds the slot for us");
});

Deno.test("SlotLease needs nobody to ask: the connection itself tells", async () => {
  const { clock, lease, kept } = keepLease(() => false);
  assertEquals(await clock.run(kept, 60_000), undefined);
  assert(lease.isValid);
});
