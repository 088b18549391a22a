import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { readStatus } from "./process_status.ts";

/** How often its memory is looked at. */
const LOOK_MS = 250;
const START_TIMEOUT_MS = 60_000;

/** A machine with more to do than it can. */
const TOO_BUSY = /cannot connect to PostgreSQL .*no answer within/;

/** Keeps the program running, as an operator's init system would, and tells an end that it should not have. */
export class Supervisor implements AsyncDisposable {
  readonly findings: string[] = [];
  /** How often it ended by itself while the server was away, or too busy to answer. */
  excusedEnds = 0;
  /** All that it logged. */
  log = "";
  /** Most resident memory that any of its runs had, in MiB, as far as it was seen. */
  peakMebibytes = 0;
  #program: Pg2kinesis | undefined;
  #isExcused = false;
  readonly #looking = setInterval(() => this.#lookAtMemory(), LOOK_MS);

  constructor(
    private readonly args: readonly string[],
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  get program(): Pg2kinesis | undefined {
    return this.#program;
  }

  async start(): Promise<void> {
    await this.#dispose();
    this.#program = await Pg2kinesis.start(this.args, {
      env: this.env,
      onStderr: (text) => this.log += text,
    });
  }

  /** From now on until the next start the program may end by itself: its server goes away. */
  excuseEnd(): void {
    this.#isExcused = true;
  }

  /** Starts the program again if it has ended. */
  async revive(): Promise<void> {
    const code = this.#program?.exitCode;
    if (this.#program !== undefined && code === undefined) return;
    if (this.#program !== undefined) {
      const line = lastLine(this.#program.stderr);
      if (this.#isExcused || TOO_BUSY.test(line)) this.excusedEnds++;
      else this.findings.push(`the program ended with ${code}: ${line}`);
    }
    this.#isExcused = false;
    await this.start();
  }

  /** Waits until it follows the slot, reviving it if need be. */
  async following(): Promise<void> {
    await waitFor(async () => {
      await this.revive();
      return /following slot/.test(this.#program!.stderr);
    }, {
      what: "pg2kinesis to follow its slot",
      timeoutMs: START_TIMEOUT_MS,
      found: () => this.#program?.stderr,
    });
  }

  /** Waits until it has connected again, or was started anew and follows, since its log was so long. */
  async goesOn(logLength: number): Promise<void> {
    await waitFor(async () => {
      await this.revive();
      return /connected again|following slot/.test(this.log.slice(logLength));
    }, {
      what: "pg2kinesis to go on",
      timeoutMs: START_TIMEOUT_MS,
      found: () => this.log.slice(logLength),
    });
  }

  /** Lets it run for so long. */
  async run(ms: number): Promise<void> {
    await sleep(ms);
    await this.revive();
  }

  async kill9(): Promise<void> {
    // It may have ended by itself just before.
    await this.revive();
    this.#lookAtMemory();
    await this.#program!.kill9();
    this.#isExcused = false;
    await this.#dispose();
  }

  /** SIGTERM; anything but a clean end is a finding. */
  async stop(): Promise<void> {
    const program = this.#program!;
    const code = await program.stop(START_TIMEOUT_MS);
    if (code !== 0) {
      this.findings.push(`SIGTERM ended it with ${code}: ${lastLine(program.stderr)}`);
    }
    await this.#dispose();
  }

  #lookAtMemory(): void {
    if (this.#program === undefined || this.#program.exitCode !== undefined) return;
    const peak = readStatus(this.#program.pid, "VmHWM");
    if (peak > this.peakMebibytes) this.peakMebibytes = peak;
  }

  async #dispose(): Promise<void> {
    const program = this.#program;
    this.#program = undefined;
    await program?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#looking);
    await this.#dispose();
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
