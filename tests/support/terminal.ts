import { join } from "node:path";

/** Debian's package tmux. */
const TMUX = "/usr/bin/tmux";

/** What a test prints when it has to skip. */
export const NO_TMUX = `skipped: needs ${TMUX} (apt-get install tmux)`;

export function hasTmux(): boolean {
  try {
    return Deno.statSync(TMUX).isFile;
  } catch {
    return false;
  }
}

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
}

/** A real terminal, as tmux has them, with a command in it; `await using` ends it. */
export class Terminal implements AsyncDisposable {
  private constructor(
    private readonly directory: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** When the command has ended, `exit code N` follows what it wrote. */
  static async start(
    command: string,
    args: readonly string[],
    { columns, rows, env }: TerminalOptions,
  ): Promise<Terminal> {
    const directory = await Deno.makeTempDir({ prefix: "pg2k_tmux_" });
    const terminal = new Terminal(directory, env);
    const quoted = [command, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    await terminal.#tmux([
      ...["-f", "/dev/null", "new-session", "-d", "-x", String(columns), "-y", String(rows)],
      // With a trap, a shell outlives the Ctrl-C that ends the command.
      `trap : INT; ${quoted.join(" ")}; echo "exit code $?"; exec cat`,
    ]);
    return terminal;
  }

  /** What is to be seen, line by line, without the empty ones at its end. */
  async lines(): Promise<string[]> {
    return (await this.#tmux(["capture-pane", "-p"])).trimEnd().split("\n");
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux(["resize-window", "-x", String(columns), "-y", String(rows)]);
  }

  /** As tmux names them: `C-c`. */
  async press(key: string): Promise<void> {
    await this.#tmux(["send-keys", key]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux(["kill-server"]);
    await Deno.remove(this.directory, { recursive: true });
  }

  async #tmux(args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(TMUX, {
      args: ["-u", "-S", join(this.directory, "socket"), ...args],
      clearEnv: true,
      env: {
        PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
        TERM: "xterm-256color",
        // Not the login shell, which may be any.
        SHELL: "/bin/sh",
        ...this.env,
      },
    }).output();
    if (!success) throw new Error(`tmux ${args[0]}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }
}
