import { assertEquals } from "@std/assert";
import type { TestPostgres } from "../support/test_postgres.ts";
import type { Proof } from "./proof.ts";
import { insertRows, SingleRun, watch } from "./single_run.ts";

/** More than the program may hold, several times. */
const ROWS = 60_000;
const FILLER_BYTES = 1_000;
const MOST_GROWTH_MEBIBYTES = 10;
const THROTTLED_MS = 120_000;
const CATCH_UP_MS = 120_000;

export interface ThrottledRun {
  /** Process IDs of the slot's walsender; one when the connection was never lost, undefined for none. */
  readonly walsenders: ReadonlySet<number | undefined>;
  /** Resident memory in MiB while nothing was stored, twice a second. */
  readonly memory: readonly number[];
  /** Puts that were refused. */
  readonly refused: number;
  readonly catchUpSeconds: number;
}

/**
 * A stream that refuses every put for so long while more is committed than fits into memory, and then
 * takes all of it.
 */
export async function runThrottled(
  server: TestPostgres,
  throttledMs: number,
  rows = ROWS,
): Promise<ThrottledRun> {
  await using run = await SingleRun.start(server, {
    seed: 1,
    shards: 2,
    chances: { throttle: 1 },
    isSink: true,
  });
  const walsenders = new Set([await run.walsender()]);
  const writing = insertRows(run.db, { count: rows, rowsEach: 500, fillerBytes: FILLER_BYTES });
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
  const catchUpSeconds = (performance.now() - started) / 1000;
  walsenders.add(await run.walsender());
  assertEquals(await run.program.stop(), 0, run.program.stderr);
  return { walsenders, memory, refused, catchUpSeconds };
}

/**
 * Two minutes of it: the program's memory stays flat, its connection is never closed for want of an
 * answer (the server has `wal_sender_timeout` at 3 s), and then it catches up.
 */
export async function proveThrottled(server: TestPostgres): Promise<Proof> {
  const { walsenders, memory, refused, catchUpSeconds } = await runThrottled(server, THROTTLED_MS);
  const isAlive = walsenders.size === 1 && !walsenders.has(undefined);
  // Its buffers are full after a while; from there on nothing may grow.
  const full = memory.slice(Math.floor(memory.length / 3));
  const [first, most] = [full[0]!, Math.max(...full)];
  return {
    lines: [
      `${THROTTLED_MS / 1000} s: ${refused} puts, all refused; ` +
      (isAlive ? "one connection throughout" : `${walsenders.size} connections`),
      `memory ${first.toFixed(0)} MiB after a third of it, at most ${most.toFixed(0)} MiB later; ` +
      `${ROWS} rows stored and confirmed ${catchUpSeconds.toFixed(1)} s after the end`,
    ],
    isProven: isAlive && most - first <= MOST_GROWTH_MEBIBYTES,
  };
}
