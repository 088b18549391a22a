import { TextLineStream } from "./text_lines.ts";

/** A program that answers each line on its stdin with one on its stdout. */
export class LineProcess implements AsyncDisposable {
  #log = "";
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  readonly #logged: Promise<void>;
  /** Questions are asked one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(private readonly process: Deno.ChildProcess) {
    this.#writer = process.stdin.getWriter();
    this.#lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())[Symbol.asyncIterator]();
    this.#logged = (async () => {
      for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
        this.#log += text;
      }
    })();
  }

  static start(
    command: string,
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
  ): LineProcess {
    const streams = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    return new LineProcess(
      new Deno.Command(command, { args: [...args], ...streams, ...options }).spawn(),
    );
  }

  /** What it wrote to stderr so far. */
  get log(): string {
    return this.#log;
  }

  async ask(question: string): Promise<string> {
    const answer = this.#last.catch(() => {}).then(async () => {
      await this.#writer.write(new TextEncoder().encode(question + "\n"));
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the program ended: ${this.#log.slice(-3000)}`);
      return value as string;
    });
    this.#last = answer;
    return await answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.process.status;
    await this.#logged;
    await this.#lines.return?.();
  }
}
