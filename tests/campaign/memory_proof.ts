import type { TestPostgres } from "../support/test_postgres.ts";
import type { Proof } from "./proof.ts";
import { insertRows, SingleRun } from "./single_run.ts";

const ROWS = 600_000;
/** The same text is megabytes of 10⁶ and of 2²⁰; the lower of the two is meant. */
const MOST_MEBIBYTES = 180 * 1e6 / 1024 / 1024;
const CATCH_UP_MS = 300_000;

/** One transaction of 600,000 rows: the most resident memory that the program ever has (VmHWM). */
export async function proveMemory(server: TestPostgres): Promise<Proof> {
  await using run = await SingleRun.start(
    server,
    { seed: 1, shards: 4, isSink: true },
    (db) => insertRows(db, { count: ROWS, rowsEach: ROWS, fillerBytes: 200 }),
  );
  const started = performance.now();
  await run.catchUp(CATCH_UP_MS);
  const seconds = (performance.now() - started) / 1000;
  const peak = run.peakMebibytes();
  return {
    lines: [`${ROWS} rows in ${seconds.toFixed(1)} s, at most ${peak.toFixed(0)} MiB resident`],
    isProven: peak < MOST_MEBIBYTES,
  };
}
