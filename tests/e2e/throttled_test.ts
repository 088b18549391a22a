import { assert, assertEquals } from "@std/assert";
import { runThrottled } from "../campaign/throttled.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";

/** 40 MB are committed, and the writer holds 16 MiB: were it all in memory, it would be more than this. */
const MOST_MEBIBYTES = 180;
const ignore = Deno.build.os !== "linux";
if (ignore) console.log("skipped: memory is read from /proc, which only Linux has");

// `deno task campaign --proofs throttled` does so for two minutes.
Deno.test("pg2kinesis keeps its slot and bounds its memory while a stream takes nothing", {
  ignore,
}, async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "2s" } });
  const { walsenders, memory, refused } = await runThrottled(server, 6_000, 40_000);
  assert(refused > 0, "puts were refused");
  assertEquals(walsenders.size, 1, "the connection was lost");
  assert(Math.max(...memory) < MOST_MEBIBYTES, `${Math.max(...memory)} MiB`);
});
