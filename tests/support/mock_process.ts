import { type TestKinesis, testKinesis } from "./kinesalite.ts";
import { waitFor } from "./wait.ts";

/** A program that plays Kinesis on a port of this machine. */
export interface MockProcess {
  /** What it is called in what a test prints. */
  readonly name: string;
  readonly port: number;
  readonly command: string;
  readonly args: readonly string[];
  /** All that it gets; undefined: what this process has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it answers yet. */
  readonly isUp: () => Promise<boolean>;
  /** Default: that of {@linkcode waitFor}. */
  readonly timeoutMs?: number;
}

/** Starts it, and ends it with the test. */
export async function startMockProcess(
  { name, port, command, args, env, isUp, timeoutMs }: MockProcess,
): Promise<TestKinesis> {
  const process = new Deno.Command(command, {
    args: [...args],
    clearEnv: env !== undefined,
    env: { ...env },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  process.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) process.kill("SIGKILL");
    await process.status;
  };
  try {
    await waitFor(async () => {
      if (ended) throw new Error(`${name} ended by itself`);
      return await isUp();
    }, {
      what: `${name} to listen on port ${port}`,
      ...timeoutMs === undefined ? {} : { timeoutMs },
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return testKinesis(`http://127.0.0.1:${port}`, stop);
}
