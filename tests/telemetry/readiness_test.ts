import { assertEquals } from "@std/assert";
import { whyNotReady } from "../../src/telemetry/readiness.ts";
import { type MadeUp, madeUpSnapshot } from "../support/made_up_snapshots.ts";

const HALF_MINUTE = { kind: "seconds", seconds: 30 } as const;
const MEBIBYTE = { kind: "bytes", bytes: 1024 * 1024 } as const;
const why = (given: MadeUp, limit: Parameters<typeof whyNotReady>[1]) =>
  whyNotReady(madeUpSnapshot({ atMs: 20_000, sinceMs: 8_000, ...given }), limit);

Deno.test("whyNotReady is silent while it streams and is not too far behind", () => {
  assertEquals(why({}, HALF_MINUTE), undefined);
  assertEquals(why({ lag: { seconds: 30 } }, HALF_MINUTE), undefined);
  assertEquals(why({ lag: { bytes: 1024 * 1024, seconds: 999 } }, MEBIBYTE), undefined);
  assertEquals(why({ lag: { bytes: undefined, seconds: undefined } }, undefined), undefined);
});

Deno.test("whyNotReady says how far it is behind, or that it does not know", () => {
  const unknown = "how far it is behind is not known yet";
  assertEquals(why({ lag: { seconds: 90 } }, HALF_MINUTE), "behind by 90 s; --ready-lag is 30 s");
  assertEquals(
    why({ lag: { bytes: 3 * 1024 * 1024 } }, MEBIBYTE),
    "behind by 3.00 MiB; --ready-lag is 1.00 MiB",
  );
  assertEquals(why({ lag: { seconds: undefined } }, HALF_MINUTE), unknown);
  assertEquals(why({ lag: { bytes: undefined } }, MEBIBYTE), unknown);
});

Deno.test("whyNotReady names every state in which nothing is streamed", () => {
  assertEquals(why({ state: "starting" }, undefined), "not streaming yet, 12 s after the start");
  assertEquals(why({ state: "reconnecting" }, undefined), "not connected to PostgreSQL for 12 s");
  assertEquals(why({ state: "stopping" }, undefined), "stopping");
  assertEquals(
    why({ state: "standby" }, undefined),
    "standing by: the slot is followed by another client, or cannot be looked at",
  );
});
