import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { randomFrom } from "../support/random.ts";
import type { FreshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep, waitFor } from "../support/wait.ts";
import type { Proof } from "./proof.ts";
import { connectionFlags } from "./site.ts";
import { Trial, type TrialResult } from "./trial.ts";

const HOSTS = ["host-a", "host-b"] as const;
type Host = typeof HOSTS[number];

/** How the host that follows the slot goes away: with a kill -9, or frozen for as long as it takes. */
export type Loss = "kill" | "freeze";

export interface Takeovers extends TrialResult {
  /** From each loss until the other host followed the slot. */
  readonly tookMs: readonly { readonly loss: Loss; readonly ms: number }[];
}

/**
 * Two hosts with `--standby`, writers, and a Kinesis that throttles and is slow. The host that follows
 * the slot is lost again and again; the other takes over; the lost one comes back.
 */
export async function runTakeovers(
  server: TestPostgres,
  losses: readonly Loss[],
  seed: number,
): Promise<Takeovers> {
  const random = randomFrom(seed);
  const chances = { throttle: 0.1, "slow-after": 0.1, error: 0.02 };
  await using trial = await Trial.start(server, { seed, shards: 4, chances, slowMs: 200 });
  await using pair = new Pair(trial.db, trial.kinesis.env);
  for (const host of HOSTS) await pair.start(host);
  await pair.settled();
  const sampler = trial.watchConfirmed();
  const tookMs: { loss: Loss; ms: number }[] = [];
  await trial.during(seed, async () => {
    for (const loss of losses) {
      const [lost, other] = await pair.settled();
      await sleep(random() * 1500);
      const startedMs = performance.now();
      if (loss === "kill") await pair.kill9(lost);
      else pair.program(lost).signal("SIGSTOP");
      await pair.follower(other);
      tookMs.push({ loss, ms: performance.now() - startedMs });
      if (loss === "kill") await pair.start(lost);
      else pair.program(lost).signal("SIGCONT");
    }
  });
  await trial.catchUp(() => pair.check());
  await pair.settled();
  await pair.stop();
  return { ...await trial.judge(sampler), tookMs };
}

/** The two programs, told apart by the name that each gives the server. */
class Pair implements AsyncDisposable {
  readonly #programs = new Map<Host, Pg2kinesis>();

  constructor(
    private readonly db: FreshDatabase,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  program(host: Host): Pg2kinesis {
    return this.#programs.get(host)!;
  }

  async start(host: Host): Promise<void> {
    const { server, database, slot } = this.db;
    this.#programs.set(
      host,
      await Pg2kinesis.start([
        ...connectionFlags(server, database, slot, "test_decoding"),
        ...["--standby", "--create-slot", "-f", "CSVPayload", "--full-change"],
      ], { env: { ...this.env, PGAPPNAME: host } }),
    );
  }

  async kill9(host: Host): Promise<void> {
    await this.program(host)[Symbol.asyncDispose]();
  }

  /** Waits until a host, or this one, follows the slot; gives it. */
  async follower(wanted?: Host): Promise<Host> {
    return await waitFor(async () => {
      const [row] = await this.db.sql(
        `select a.application_name as host from pg_replication_slots s
           join pg_stat_replication a on a.pid = s.active_pid where s.slot_name = $1`,
        [this.db.slot],
      );
      const host: Host | undefined = row?.host;
      return wanted === undefined || host === wanted ? host : undefined;
    }, {
      what: `${wanted ?? "a host"} to follow the slot`,
      found: () => this.#logs,
    });
  }

  /** Waits until one of them follows the slot and the other stands by; gives them in this order. */
  async settled(): Promise<readonly [Host, Host]> {
    const first = await this.follower();
    const other = HOSTS.find((host) => host !== first)!;
    await waitFor(() => lastState(this.program(other).stderr) === "standing by", {
      what: `${other} to stand by`,
      found: () => this.#logs,
    });
    return [first, other];
  }

  /** Both run. */
  check(): void {
    for (const host of HOSTS) {
      const { exitCode, stderr } = this.program(host);
      if (exitCode !== undefined) throw new Error(`${host} ended with ${exitCode}: ${stderr}`);
    }
  }

  async stop(): Promise<void> {
    this.check();
    for (const host of HOSTS) {
      const code = await this.program(host).stop();
      if (code !== 0) throw new Error(`${host} ended with ${code}: ${this.program(host).stderr}`);
    }
  }

  get #logs(): string {
    return HOSTS.map((host) => `${host}: ${this.#programs.get(host)?.stderr.slice(-2000)}`)
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs.values()) await program[Symbol.asyncDispose]();
  }
}

function lastState(log: string): string | undefined {
  return log.match(/standing by|following slot/g)?.at(-1);
}

const KILLS = 20;
const FREEZES = 5;
/** `wal_sender_timeout` of the server that proofs run on, and two seconds. */
const LONGEST_MS = 5000;

/** Twenty kills -9, and a host that freezes and comes back. */
export async function proveTakeover(server: TestPostgres): Promise<Proof> {
  const losses: Loss[] = Array.from(
    { length: KILLS + FREEZES },
    (_, n) => n % 5 === 4 ? "freeze" : "kill",
  );
  const { changes, tookMs, lost, outOfOrder, duplicates, findings } = await runTakeovers(
    server,
    losses,
    1,
  );
  const of = (loss: Loss) => tookMs.filter((each) => each.loss === loss).map(({ ms }) => ms);
  const longest = Math.max(...tookMs.map(({ ms }) => ms));
  return {
    lines: [
      `taken over after a kill -9: ${summary(of("kill"))}; after a freeze: ${
        summary(of("freeze"))
      }`,
      `${changes} changes: ${lost} lost, ${outOfOrder} out of order, ${duplicates} duplicates`,
      ...findings,
    ],
    isProven: findings.length === 0 && longest < LONGEST_MS,
  };
}

function summary(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b).map((each) => (each / 1000).toFixed(2));
  return `${ms.length} times, ${sorted[0]} to ${sorted.at(-1)} s, median ` +
    `${sorted[Math.floor(ms.length / 2)]} s`;
}
