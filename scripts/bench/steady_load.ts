import { Buffer } from "node:buffer";
import { join } from "node:path";
import { deaggregate } from "../../src/kinesis/aggregate/deaggregate.ts";
import type { OutputPlugin } from "../../src/options.ts";
import { Pg2kinesis } from "../../tests/support/pg2kinesis.ts";
import { sleep } from "../../tests/support/wait.ts";
import type { BenchServer } from "./bench_server.ts";
import { assertRuns, programArgs } from "./drain.ts";
import { processUsage } from "./process_usage.ts";
import type { KeptPut } from "./answering_sink.ts";
import { Sink } from "./sink.ts";
import { quantile } from "./statistics.ts";
import type { Version } from "./versions.ts";

export interface SteadyLoadResult {
  readonly transactions: number;
  /** From the commit, as PostgreSQL dates it, to the answer to the put that stored it. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly puts: number;
  /** CPU seconds of the program for each second of the load. */
  readonly cpuShare: number;
  readonly peakMebibytes: number;
}

export interface SteadyLoad {
  readonly plugin: OutputPlugin;
  readonly args: readonly string[];
  readonly transactionsPerSecond: number;
  readonly seconds: number;
  readonly version: Version;
}

/** The first seconds are not counted: the program's code is compiled in them. */
export const WARM_UP_SECONDS = 3;

const PGBENCH_SCRIPT = "insert into ticks (note) values ('a change under a steady load');\n";

const decoder = new TextDecoder();

/** Where each format has the id of a row of `ticks`. */
const ID = /"pkey": ?"(\d+)"|"columnvalues": ?\[(\d+),|"(?:key|after)":\{"id":(\d+)/;

/** One-row transactions at random moments (a Poisson process), followed as they come. */
export async function measureSteadyLoad(
  server: BenchServer,
  { plugin, args, transactionsPerSecond, seconds, version }: SteadyLoad,
): Promise<SteadyLoadResult> {
  const slot = "steady_load";
  await server.createSlot(slot, plugin);
  await using sink = await Sink.start(1, { keep: true });
  const program = await Pg2kinesis.start(
    programArgs(server, slot, plugin, { tls: false, args }),
    { env: sink.env, ...version.program },
  );
  try {
    await server.waitForActive(slot, () => assertRuns(program));
    const before = processUsage(program.pid);
    await pgbench(server, transactionsPerSecond, seconds + WARM_UP_SECONDS);
    const endLsn = await server.closeBacklog();
    await server.waitForConfirmed(slot, endLsn, () => assertRuns(program));
    const after = processUsage(program.pid);

    const storedAt = readStoredTimes(await sink.puts());
    const latencies = await latenciesOf(server, storedAt, WARM_UP_SECONDS);
    return {
      transactions: latencies.length,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      maxMs: quantile(latencies, 1),
      puts: (await sink.stats()).puts,
      cpuShare: (after.userSeconds + after.systemSeconds - before.userSeconds -
        before.systemSeconds) / (seconds + WARM_UP_SECONDS),
      peakMebibytes: after.peakMebibytes,
    };
  } finally {
    await program[Symbol.asyncDispose]();
    await server.dropSlot(slot);
  }
}

export async function pgbench(server: BenchServer, rate: number, seconds: number): Promise<void> {
  const { socketDir, port, superuser } = server.postgres;
  const directory = await Deno.makeTempDir();
  try {
    const script = join(directory, "script.sql");
    await Deno.writeTextFile(script, PGBENCH_SCRIPT);
    const { success, stderr } = await new Deno.Command("pgbench", {
      // deno-fmt-ignore
      args: [
        "-h", socketDir, "-p", String(port), "-U", superuser, "-n", "-f", script,
        "-R", String(rate), "-T", String(seconds), "--random-seed=1", "postgres",
      ],
      stdout: "null",
    }).output();
    if (!success) throw new Error(`pgbench failed: ${new TextDecoder().decode(stderr)}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** When each row was stored first, by its id. */
export function readStoredTimes(puts: readonly KeptPut[]): Map<number, number> {
  const storedAt = new Map<number, number>();
  for (const { at, data } of puts) {
    const bytes = Buffer.from(data, "base64");
    // Not by the tests' oracle, which refuses what an older version or another program writes.
    for (const user of deaggregate(bytes) ?? [{ data: bytes }]) {
      const text = decoder.decode(user.data);
      const match = ID.exec(text);
      if (match === null) throw new Error(`no id in the record ${text}`);
      const id = Number(match[1] ?? match[2] ?? match[3]);
      if (!storedAt.has(id)) storedAt.set(id, at);
    }
  }
  return storedAt;
}

export async function latenciesOf(
  server: BenchServer,
  storedAt: ReadonlyMap<number, number>,
  skipSeconds: number,
): Promise<number[]> {
  const ids = [...storedAt.keys()];
  const rows = await server.query(
    `select id::int, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at
     from ticks where id between ${Math.min(...ids)} and ${Math.max(...ids)} order by id`,
  );
  const firstAt = Math.min(...rows.map(({ at }) => at));
  const latencies: number[] = [];
  for (const { id, at } of rows) {
    const stored = storedAt.get(id);
    if (stored === undefined) throw new Error(`row ${id} was not published`);
    if (at - firstAt >= skipSeconds * 1000) latencies.push(stored - at);
  }
  return latencies;
}

export interface StartResult {
  /** From the start of the process until it streams from its slot. */
  readonly streamingMs: number;
  /** From SIGTERM to its end. */
  readonly stopMs: number;
  readonly cpuSeconds: number;
}

/** Starts the program on a slot with nothing in it. */
export async function measureStart(
  server: BenchServer,
  { plugin, args }: Pick<SteadyLoad, "plugin" | "args">,
): Promise<StartResult> {
  const slot = "start";
  await server.createSlot(slot, plugin);
  await using sink = await Sink.start(1);
  const startedAt = performance.now();
  const program = await Pg2kinesis.start(
    programArgs(server, slot, plugin, { tls: false, args }),
    { env: sink.env },
  );
  try {
    await server.waitForActive(slot, () => assertRuns(program));
    const streamingMs = performance.now() - startedAt;
    await sleep(300);
    const { userSeconds, systemSeconds } = processUsage(program.pid);
    const stoppedAt = performance.now();
    const code = await program.stop();
    if (code !== 0) throw new Error(`pg2kinesis ended with ${code}: ${program.stderr}`);
    const stopMs = performance.now() - stoppedAt;
    return { streamingMs, stopMs, cpuSeconds: userSeconds + systemSeconds };
  } finally {
    await program[Symbol.asyncDispose]();
    await server.dropSlot(slot);
  }
}
