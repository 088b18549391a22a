import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep } from "../support/wait.ts";
import type { ShardUsage } from "./fault_server_process.ts";
import type { Proof } from "./proof.ts";
import { insertRows, SingleRun } from "./single_run.ts";

const SHARDS = 4;
/** The first throttle tells a lane its limit; what a shard had saved up is used up by then, too. */
const SETTLING_MS = 5_000;
const MEASURED_MS = 30_000;
const SHARD_BYTES_PER_SECOND = 1024 * 1024;
const LEAST_SHARE = 0.95;
const MOST_THROTTLES = 0.01;

/** A backlog of more than four shards take: how much of their limit is used, at the price of how many throttles? */
export async function proveHotShards(server: TestPostgres): Promise<Proof> {
  const seconds = (SETTLING_MS + MEASURED_MS) / 1000 + 15;
  const rows = Math.ceil(SHARDS * SHARD_BYTES_PER_SECOND * seconds / 1_000);
  await using run = await SingleRun.start(
    server,
    { seed: 1, shards: SHARDS, limit: "bucket", isSink: true },
    (db) => insertRows(db, { count: rows, rowsEach: 1_000, fillerBytes: 1_000 }),
  );
  await sleep(SETTLING_MS);
  const before = await look(run);
  await sleep(MEASURED_MS);
  const after = await look(run);

  const sum = (usage: readonly ShardUsage[], of: (shard: ShardUsage) => number) =>
    usage.reduce((total, shard) => total + of(shard), 0);
  const shares = after.usage.map(({ bytes }, i) =>
    (bytes - before.usage[i]!.bytes) / (after.atMs - before.atMs) * 1000 / SHARD_BYTES_PER_SECOND
  );
  const puts = after.puts - before.puts;
  const throttled = sum(after.usage, (s) => s.throttled) - sum(before.usage, (s) => s.throttled);
  const atStart = sum(before.usage, (s) => s.throttled);
  return {
    lines: [
      `${MEASURED_MS / 1000} s: ${shares.map(percent).join(", ")} of each shard's 1 MiB/s`,
      `${throttled} throttles in ${puts} puts (${percent(throttled / puts)}); in the ` +
      `${SETTLING_MS / 1000} s before, ${atStart} in ${before.puts}`,
    ],
    isProven: shares.every((share) => share >= LEAST_SHARE) && throttled / puts < MOST_THROTTLES,
  };
}

async function look({ kinesis }: SingleRun) {
  const [usage, { puts }] = await Promise.all([kinesis.usage(), kinesis.stats()]);
  return { usage, puts, atMs: performance.now() };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
