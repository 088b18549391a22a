import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "./v8_flags.ts";
import { waitFor } from "./wait.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

export interface Pg2kinesisOptions {
  /** Beside what is needed to run: give `kinesis.env`, and `PGPASSWORD` and the like. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs. Default: an empty directory, which is its `HOME` too. */
  readonly cwd?: string;
  /** Another executable than the one that `PG2KINESIS_BIN` names. */
  readonly executable?: string;
  /** The main.ts of another checkout, run from source whatever `PG2KINESIS_BIN` names. */
  readonly main?: string;
  /** Further arguments of `deno`, before main.ts; not for an executable. */
  readonly denoArgs?: readonly string[];
  /** Gets the log as it comes, in pieces of any length. */
  readonly onStderr?: (text: string) => void;
}

/**
 * The real program in a process of its own: `deno run -A main.ts`, or the executable that
 * `PG2KINESIS_BIN` names. It inherits nothing of the environment but `PATH`.
 * `await using` kills it when it still runs.
 */
export class Pg2kinesis implements AsyncDisposable {
  #stdout = "";
  #stderr = "";
  #exit: number | undefined;
  readonly #pumps: Promise<unknown>;

  private constructor(
    private readonly process: Deno.ChildProcess,
    private readonly home: string,
    onStderr: (text: string) => void = () => {},
  ) {
    this.#pumps = Promise.all([
      pump(process.stdout, (text) => this.#stdout += text),
      pump(process.stderr, (text) => {
        this.#stderr += text;
        onStderr(text);
      }),
      process.status.then(({ code }) => this.#exit = code),
    ]);
  }

  static async start(args: readonly string[], options: Pg2kinesisOptions = {}) {
    const home = await Deno.makeTempDir({ prefix: "pg2k_home_" });
    const { command, args: commandArgs } = programCommand(
      args,
      options.denoArgs,
      options.main === undefined ? options.executable : "",
      options.main,
    );
    const process = new Deno.Command(command, {
      args: commandArgs,
      cwd: options.cwd ?? home,
      clearEnv: true,
      env: {
        PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
        HOME: home,
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
        DENO_DIR: denoDir(),
        // Without it the SDK asks the instance metadata service, which is not there.
        AWS_EC2_METADATA_DISABLED: "true",
        ...options.env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Pg2kinesis(process, home, options.onStderr);
  }

  /** Runs it to its end. */
  static async run(args: readonly string[], options: Pg2kinesisOptions = {}) {
    await using program = await Pg2kinesis.start(args, options);
    const code = await program.waitForExit();
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  get pid(): number {
    return this.process.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The log so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** The exit code; undefined while it runs. */
  get exitCode(): number | undefined {
    return this.#exit;
  }

  /** Waits until the log matches; fails at once when the program ends without. */
  async waitForLog(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray> {
    const what = `pg2kinesis to log ${pattern}`;
    const found = () => this.#stderr;
    return await waitFor(() => {
      const match = pattern.exec(this.#stderr);
      if (match === null && this.#exit !== undefined) {
        throw new Error(`waited for ${what}; it ended with exit code ${this.#exit}: ${found()}`);
      }
      return match;
    }, { what, found, timeoutMs });
  }

  async waitForExit(timeoutMs = 30_000): Promise<number> {
    await waitFor(() => this.#exit !== undefined, {
      what: "pg2kinesis to end",
      found: () => this.#stderr,
      timeoutMs,
    });
    await this.#pumps;
    return this.#exit!;
  }

  signal(signal: Deno.Signal): void {
    if (this.#exit === undefined) this.process.kill(signal);
  }

  /** SIGTERM; gives the exit code. */
  async stop(timeoutMs?: number): Promise<number> {
    this.signal("SIGTERM");
    return await this.waitForExit(timeoutMs);
  }

  /** SIGKILL. */
  async kill9(): Promise<void> {
    this.signal("SIGKILL");
    await this.waitForExit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9();
    await Deno.remove(this.home, { recursive: true });
  }
}

/**
 * How it is started: from source as the executable would be, or the one that `PG2KINESIS_BIN` names.
 * Quiet is Deno alone, whose downloads would stand between the lines of the program.
 */
export function programCommand(
  args: readonly string[],
  denoArgs: readonly string[] = [],
  executable: string = Deno.env.get("PG2KINESIS_BIN") ?? "",
  main: string = MAIN,
): { command: string; args: string[] } {
  return executable === ""
    ? {
      command: Deno.execPath(),
      args: ["run", "-A", "--quiet", V8_FLAGS, ...denoArgs, main, ...args],
    }
    : { command: executable, args: [...args] };
}

/** Deno's cache, which its default place below `HOME` no longer is once `HOME` is another. */
export function denoDir(): string {
  const explicit = Deno.env.get("DENO_DIR");
  if (explicit !== undefined && explicit !== "") return explicit;
  const home = Deno.env.get("HOME") ?? "/";
  if (Deno.build.os === "darwin") return join(home, "Library", "Caches", "deno");
  return join(Deno.env.get("XDG_CACHE_HOME") ?? join(home, ".cache"), "deno");
}

async function pump(stream: ReadableStream<Uint8Array>, take: (text: string) => void) {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}
