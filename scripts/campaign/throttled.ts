import { assertEquals } from "@std/assert";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";
import type { Proof } from "./proofs.ts";
import { insertRows, SingleRun, watch } from "./single_run.ts";

/** More than the program may hold, several times. */
const ROWS = 60_000;
const FILLER_BYTES = 1_000;
const MOST_GROWTH_MEBIBYTES = 10;
const CATCH_UP_MS = 120_000;

/**
 * A stream that refuses every put for so long while more is committed than fits into memory: the
 * program's memory stays flat, its connection is never closed for want of an answer (the server has
 * `wal_sender_timeout` at 3 s), and then it catches up.
 */
export async function proveThrottled(server: TestPostgres, throttledMs = 120_000): Promise<Proof> {
  await using run = await SingleRun.start(server, {
    seed: 1,
    shards: 2,
    chances: { throttle: 1 },
    isSink: true,
  });
  const walsender = await run.walsender();
  const walsenders = new Set([walsender]);
  const writing = insertRows(run.db, { count: ROWS, rowsEach: 500, fillerBytes: FILLER_BYTES });

  const memory: number[] = [];
  await watch(throttledMs, 500, async () => {
    walsenders.add(await run.walsender());
    memory.push(run.residentMebibytes());
  });
  await writing;
  const refused = (await run.kinesis.stats()).puts;
  await run.kinesis.setChances({});
  const started = performance.now();
  await run.catchUp(CATCH_UP_MS);
  const seconds = (performance.now() - started) / 1000;
  walsenders.add(await run.walsender());
  assertEquals(await run.program.stop(), 0, run.program.stderr);

  // Its buffers are full after a while; from there on nothing may grow.
  const full = memory.slice(Math.floor(memory.length / 3));
  const growth = Math.max(...full) - full[0]!;
  const isAlive = walsenders.size === 1 && walsender !== undefined;
  return {
    lines: [
      `${throttledMs / 1000} s: ${refused} puts, all refused; ` +
      (isAlive ? "one connection throughout" : `${walsenders.size} connections`),
      `memory ${full[0]!.toFixed(0)} MiB after a third of it, at most ${
        Math.max(...full).toFixed(0)
      } MiB later; ${ROWS} rows stored and confirmed ${seconds.toFixed(1)} s after the end`,
    ],
    isProven: isAlive && growth <= MOST_GROWTH_MEBIBYTES,
  };
}
