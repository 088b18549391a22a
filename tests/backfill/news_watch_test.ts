import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { FollowedSlot, SlotNow } from "../../src/backfill/ask/followed_slot.ts";
import { NewsWatch } from "../../src/backfill/ask/news_watch.ts";
import { printNews } from "../../src/backfill/progress.ts";
import { RunError } from "../../src/base/errors.ts";
import type { Connection } from "../../src/postgres/connection/connection.ts";
import { logged } from "../support/logs.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const ASKED = 1000n;
const FOLLOWER = { pid: "7", role: undefined };

/** What is found at one look after the other; `say`: what the run says of the request then. */
interface Look {
  readonly slot: SlotNow | undefined;
  readonly reads?: boolean;
  readonly say?: "done" | "table";
}

/** Waits for a request; the last look stays. */
async function waited(looks: readonly Look[]): Promise<boolean> {
  const clock = new VirtualClock();
  let next = 0;
  let notify = (_: { channel: string; payload: string }) => {};
  const look = () => looks[Math.min(next, looks.length - 1)]!;
  const primary = {
    client: { on: (_: string, listener: typeof notify) => notify = listener },
    lost: new Promise<never>(() => {}),
    query: () => {
      const news = look().say;
      if (news !== undefined) {
        const payload = printNews({ slot: "s", request: "r", news, table: "public.t", tables: 0 });
        notify({ channel: "pg2kinesis_backfill", payload });
      }
      const name = "5% backfill s reading public.t";
      return Promise.resolve(look().reads ? [{ pid: "8", name }] : []);
    },
  };
  const slot = {
    name: "s",
    now: () => {
      const { slot } = look();
      next++;
      return Promise.resolve(slot);
    },
  };
  const watch = new NewsWatch(
    primary as unknown as Connection,
    slot as unknown as FollowedSlot,
    "r",
    clock,
  );
  return await clock.run(watch.untilDone(ASKED, new AbortController().signal), 600_000);
}

const BEHIND: Look = { slot: { follower: FOLLOWER, confirmedLsn: 400n } };
const NOBODY: Look = { slot: { follower: undefined, confirmedLsn: 400n } };
const READING: Look = { slot: { follower: FOLLOWER, confirmedLsn: 2000n }, reads: true };
const QUIET: Look = { slot: { follower: FOLLOWER, confirmedLsn: 2000n } };

Deno.test("NewsWatch says what a request waits for, and that nobody follows once", async () => {
  const lines = await logged(async () => {
    const looks = [BEHIND, NOBODY, NOBODY, BEHIND, READING, QUIET, QUIET, READING];
    assertEquals(await waited([...looks, { ...QUIET, say: "done" }]), true);
  });
  assertEquals(lines.map(({ text }) => text), [
    "the run has not taken the request yet: 600 bytes of WAL come before it",
    "no run follows the slot s now; the backfill goes on with the next one",
    "the run has not taken the request yet: 600 bytes of WAL come before it",
    "the backfill is at 5 %: reading public.t",
    "the backfill is at 5 %: reading public.t",
    "the request r has ended",
  ]);
});

Deno.test("NewsWatch waits for nobody who says nothing, and for no slot that is gone", async () => {
  await logged(async () => {
    const quiet = await assertRejects(() => waited([READING, QUIET]), RunError);
    assertMatch(
      quiet.message,
      /for a minute: .*look for "backfill r" in the run's log, and ask again/,
    );
    const gone = await assertRejects(() => waited([READING, { slot: undefined }]), RunError);
    assertMatch(gone.message, /the slot s was dropped, and the request r with it/);
    // A word now and then is enough.
    const fourQuiet = [QUIET, QUIET, QUIET, QUIET];
    const looks = [...fourQuiet, { ...QUIET, say: "table" as const }, ...fourQuiet];
    assertEquals(await waited([...looks, { ...QUIET, say: "done" }]), true);
    // Whoever is far behind, or reads, needs no word.
    for (const look of [BEHIND, READING]) {
      await assertRejects(() => waited([look]), Error, "not done after");
    }
  });
});
