import type { OutputPlugin } from "../../../src/options.ts";
import type { BenchServer } from "../bench_server.ts";
import type { Sink } from "../sink.ts";

/** Where a peer reads and writes. */
export interface PeerWork {
  readonly server: BenchServer;
  readonly slot: string;
  readonly sink: Sink;
}

/** A program that publishes a slot's changes to Kinesis. */
export interface Peer {
  readonly name: string;
  readonly plugin: OutputPlugin;
  readonly start: (work: PeerWork) => Promise<RunningPeer>;
}

export interface RunningPeer extends AsyncDisposable {
  readonly pid: number;
  /** What it has said, where it ended by itself. */
  readonly ended: () => string | undefined;
}

/** Starts a program that is not ours; its output goes to a file that is shown when it ends early. */
export async function spawnPeer(
  command: string,
  args: readonly string[],
  { cwd, env }: { cwd?: string; env: Readonly<Record<string, string>> },
): Promise<RunningPeer> {
  const directory = await Deno.makeTempDir({ prefix: "pg2k_peer_" });
  const log = `${directory}/log`;
  // The shell only redirects: the program takes its place.
  const process = new Deno.Command("sh", {
    args: ["-c", `exec "$0" "$@" >'${log}' 2>&1`, command, ...args],
    cwd: cwd ?? directory,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", HOME: directory, ...env },
    stdin: "null",
  }).spawn();
  let code: number | undefined;
  process.status.then((status) => code = status.code);
  return {
    pid: process.pid,
    ended: () => {
      if (code === undefined) return undefined;
      return `exit code ${code}: ${Deno.readTextFileSync(log).slice(-2000)}`;
    },
    async [Symbol.asyncDispose]() {
      if (code === undefined) process.kill("SIGKILL");
      await process.status;
      await Deno.remove(directory, { recursive: true });
    },
  };
}
