// @ts-types="@types/pg"
import type pg from "pg";
import { Pg2kinesis } from "../../support/pg2kinesis.ts";
import type { FreshDatabase } from "../../support/shared_postgres.ts";
import { sleep, waitFor } from "../../support/wait.ts";
import { readStatus } from "../process_status.ts";

const START_TIMEOUT_MS = 120_000;
/** A machine with more to do than it can. */
const TOO_BUSY = /no answer within/;

interface Host {
  readonly name: string;
  program: Pg2kinesis;
  /** An end by itself is no finding: the server was away since. */
  isExcused: boolean;
  isShot: boolean;
}

/** One host that runs the program, or two with `--standby`. */
export class KeptHosts implements AsyncDisposable {
  readonly #hosts: Host[] = [];
  readonly findings: string[] = [];
  /** All that was logged, each line with its host. */
  log = "";
  peakMebibytes = 0;
  kills = 0;
  #watch: pg.Client | undefined;

  constructor(
    private readonly db: FreshDatabase,
    private readonly flags: readonly string[],
    private readonly env: Readonly<Record<string, string>>,
    private readonly isPair: boolean,
  ) {}

  async start(): Promise<void> {
    for (const name of this.isPair ? ["host-a", "host-b"] : ["host-a"]) {
      this.#hosts.push({
        name,
        program: await this.#launch(name),
        isExcused: false,
        isShot: false,
      });
    }
  }

  async #launch(name: string): Promise<Pg2kinesis> {
    const flags = this.isPair ? [...this.flags, "--standby"] : this.flags;
    this.log += `${new Date().toISOString()} -- ${name} starts\n`;
    return await Pg2kinesis.start(flags, {
      env: { ...this.env, PGAPPNAME: name },
      onStderr: (text) => this.log += text.replaceAll(/^(?=.)/gm, `${name}: `),
    });
  }

  /** The server goes away: who ends by itself meanwhile is started again. */
  excuseEnds(): void {
    for (const host of this.#hosts) host.isExcused = true;
    this.#watch?.end().catch(() => {});
    this.#watch = undefined;
  }

  /** Starts those again that have ended. */
  async revive(): Promise<void> {
    for (const host of this.#hosts) {
      const { program: { exitCode, stderr } } = host;
      if (exitCode === undefined) continue;
      const line = stderr.trimEnd().split("\n").at(-1) ?? "";
      if (!host.isExcused && !TOO_BUSY.test(line)) {
        this.findings.push(`${host.name} ended with ${exitCode}: ${line}`);
      }
      await this.#restart(host);
    }
  }

  async #restart(host: Host): Promise<void> {
    await host.program[Symbol.asyncDispose]();
    host.program = await this.#launch(host.name);
    host.isExcused = host.isShot = false;
  }

  /** Waits until a host, or another than this one, follows the slot. */
  async active(other?: string): Promise<Host> {
    return await waitFor(async () => {
      await this.revive();
      const [row] = await this.query(
        `select a.application_name as name from pg_replication_slots s
           join pg_stat_replication a on a.pid = s.active_pid where s.slot_name = $1`,
        [this.db.slot],
      ).catch(() => []);
      const host = this.#hosts.find(({ name }) => name === row?.name && name !== other);
      return host !== undefined && host.program.stderr.includes("following slot")
        ? host
        : undefined;
    }, {
      what: `${other === undefined ? "a host" : `another host than ${other}`} to follow the slot`,
      timeoutMs: START_TIMEOUT_MS,
      found: () => this.log.slice(-4000),
    });
  }

  /** One of them, whatever it does. */
  async any(random: () => number): Promise<Host> {
    await this.revive();
    return this.#hosts[Math.floor(random() * this.#hosts.length)]!;
  }

  /** On a connection that stays. */
  async query(text: string, values: unknown[] = []) {
    try {
      this.#watch ??= await this.db.server.connect({ database: this.db.database });
      return (await this.#watch.query(text, values)).rows;
    } catch (error) {
      const watch = this.#watch;
      this.#watch = undefined;
      await watch?.end().catch(() => {});
      throw error;
    }
  }

  /** SIGKILL, at once. */
  shoot(host: Host): void {
    if (host.isShot || host.program.exitCode !== undefined) return;
    this.#lookAtMemory(host);
    host.isShot = true;
    host.program.signal("SIGKILL");
    host.isExcused = true;
    this.kills++;
    this.log += `${new Date().toISOString()} -- ${host.name} is killed\n`;
  }

  /** Starts a host again that was killed. */
  async raise(host: Host): Promise<void> {
    await host.program.waitForExit();
    await this.#restart(host);
  }

  async stop(): Promise<void> {
    for (const host of this.#hosts) {
      this.#lookAtMemory(host);
      const code = await host.program.stop(START_TIMEOUT_MS);
      if (code !== 0 && !host.isExcused) {
        this.findings.push(`SIGTERM ended ${host.name} with ${code}`);
      }
    }
  }

  /** Freezes a process of the server for so long. */
  async freeze(pid: number | undefined, ms: number, meanwhile: () => void): Promise<void> {
    if (pid === undefined) return meanwhile();
    try {
      Deno.kill(pid, "SIGSTOP");
    } catch {
      return meanwhile();
    }
    try {
      await sleep(ms);
      meanwhile();
    } finally {
      try {
        Deno.kill(pid, "SIGCONT");
      } catch {
        // It has ended.
      }
    }
  }

  async walsenderPid(): Promise<number | undefined> {
    const [row] = await this.query(
      "select active_pid from pg_replication_slots where slot_name = $1",
      [this.db.slot],
    ).catch(() => []);
    return row?.active_pid ?? undefined;
  }

  async readerPid(): Promise<number | undefined> {
    const [row] = await this.query(
      `select pid from pg_stat_activity where datname = current_database()
          and backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> ''
          and query ~ 'LOCK TABLE|FETCH|DECLARE|pg_logical_emit_message|snapshot|set_config' limit 1`,
    ).catch(() => []);
    return row?.pid;
  }

  #lookAtMemory({ program }: Host): void {
    const peak = readStatus(program.pid, "VmHWM");
    if (peak > this.peakMebibytes) this.peakMebibytes = peak;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch?.end().catch(() => {});
    for (const { program } of this.#hosts) await program[Symbol.asyncDispose]();
  }
}

export type { Host };
