import type { OutputPlugin } from "../../src/options.ts";
import { PLUGINS } from "../../src/decode/plugins.ts";
import { Pg2kinesis } from "../../tests/support/pg2kinesis.ts";
import { findDebianPostgres } from "../../tests/support/debian_postgres.ts";
import type { Backlog } from "./backlog.ts";
import { type BenchServer, benchSlot, PUBLICATION } from "./bench_server.ts";
import { processUsage } from "./process_usage.ts";
import { Sink } from "./sink.ts";
import type { Version } from "./versions.ts";

/** Who drains, and how. */
export type Contender = PgRecvlogical | Program;

export interface PgRecvlogical {
  readonly kind: "pg_recvlogical";
  readonly name: string;
  readonly tls: boolean;
}

export interface Program {
  readonly kind: "pg2kinesis";
  readonly name: string;
  readonly tls: boolean;
  readonly shards: number;
  readonly args: readonly string[];
  readonly version: Version;
}

export interface DrainResult {
  readonly wallSeconds: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** These are the program's alone. */
  readonly program?: {
    readonly peakMebibytes: number;
    readonly puts: number;
    readonly dataBytes: number;
    /** From its start to the answer to its last put. */
    readonly lastPutSeconds: number;
    readonly sinkCpuSeconds: number;
    /** Of the server's process that decodes and sends: no client is faster than it. */
    readonly walsenderCpuSeconds: number;
  };
}

export interface Drain {
  readonly server: BenchServer;
  readonly slot: string;
  readonly plugin: OutputPlugin;
  readonly backlog: Backlog;
  /** Further arguments of `deno`. */
  readonly denoArgs?: readonly string[];
}

/** Drains a slot to the end of the backlog: from the start of the client to the last confirmation. */
export function drain(contender: Contender, work: Drain): Promise<DrainResult> {
  return contender.kind === "pg2kinesis"
    ? drainByProgram(contender, work)
    : drainByPgRecvlogical(contender, work);
}

async function drainByPgRecvlogical(
  { tls }: PgRecvlogical,
  { server, slot, plugin, backlog }: Drain,
): Promise<DrainResult> {
  const { host, port, superuser } = server.postgres;
  const connection = `host=${host} port=${port} user=${superuser} dbname=postgres ` +
    `sslmode=${tls ? "require" : "disable"}`;
  const options = PLUGINS[plugin].startOptions(
    benchSlot(slot, plugin).publications,
    server.postgres.version,
  );
  const { success, stderr } = await new Deno.Command("bash", {
    // deno-fmt-ignore
    args: [
      "-c", `TIMEFORMAT='%R %U %S'; time "$@"`, "bash",
      `${findDebianPostgres()}/pg_recvlogical`, "-d", connection, "--slot", slot, "--start",
      "--file=/dev/null", `--endpos=${backlog.endLsn}`, "--no-loop", ...options.flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    ],
    env: { LC_ALL: "C" },
    stdout: "null",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stderr);
  const times = /(?:^|\n)([\d.]+) ([\d.]+) ([\d.]+)\n$/.exec(text);
  if (!success || times === null) throw new Error(`pg_recvlogical failed: ${text}`);
  const [wallSeconds, userSeconds, systemSeconds] = times.slice(1).map(Number);
  return {
    wallSeconds: wallSeconds!,
    userSeconds: userSeconds!,
    systemSeconds: systemSeconds!,
  };
}

async function drainByProgram(contender: Program, work: Drain): Promise<DrainResult> {
  const { server, slot, backlog, denoArgs } = work;
  await using sink = await Sink.start(contender.shards);
  const startedAt = performance.timeOrigin + performance.now();
  await using program = await Pg2kinesis.start(
    programArgs(server, slot, work.plugin, contender),
    { env: sink.env, denoArgs, ...contender.version.program },
  );
  await server.waitForConfirmed(slot, backlog.endLsn, () => assertRuns(program));
  const wallSeconds = (performance.timeOrigin + performance.now() - startedAt) / 1000;
  const { peakMebibytes, ...cpu } = processUsage(program.pid);
  const walsender = processUsage(await server.walsenderPid(slot));
  const stats = await sink.stats();
  const code = await program.stop();
  if (code !== 0) throw new Error(`pg2kinesis ended with ${code}: ${program.stderr}`);
  return {
    wallSeconds,
    ...cpu,
    program: {
      peakMebibytes,
      puts: stats.puts,
      dataBytes: stats.dataBytes,
      lastPutSeconds: (stats.lastPutAt - startedAt) / 1000,
      sinkCpuSeconds: stats.cpuSeconds,
      walsenderCpuSeconds: walsender.userSeconds + walsender.systemSeconds,
    },
  };
}

export function programArgs(
  { postgres: { host, port, superuser } }: BenchServer,
  slot: string,
  plugin: OutputPlugin,
  { tls, args }: Pick<Program, "tls" | "args">,
): string[] {
  // deno-fmt-ignore
  return [
    "-h", host, "-p", String(port), "-u", superuser, "-d", "postgres",
    "--pg-sslmode", tls ? "require" : "disable",
    "-s", slot, "--pg-slot-output-plugin", plugin,
    ...plugin === "pgoutput" ? ["--pg-publication", PUBLICATION] : [],
    "-k", "bench", ...args,
  ];
}

/** Throws when it ended by itself. */
export function assertRuns(program: Pg2kinesis): void {
  if (program.exitCode !== undefined) {
    throw new Error(`pg2kinesis ended with ${program.exitCode}: ${program.stderr}`);
  }
}
