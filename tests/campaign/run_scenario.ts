import type { OutputPlugin } from "../../src/options.ts";
import { randomFrom } from "../support/random.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { readCommitted } from "./committed.ts";
import { ConfirmedSampler } from "./confirmed_samples.ts";
import { FaultServerProcess, STREAM } from "./fault_server_process.ts";
import { type Blow, mayDuplicate, type Scenario } from "./plan.ts";
import { readPublished } from "./published.ts";
import { Supervisor } from "./supervisor.ts";
import { type Verdict, verify } from "./verify.ts";
import { createTables, TABLES, Workload } from "./workload.ts";

const CATCH_UP_MS = 90_000;
const RESTART_MS = 60_000;

/** What scenarios ask of a server. */
export const SERVER_SETTINGS = { max_prepared_transactions: "20" };

export interface ScenarioResult extends Verdict {
  readonly changes: number;
  readonly kills: number;
  readonly restarts: number;
  /** Shards that were closed. */
  readonly reshards: number;
  readonly puts: number;
  /** Faults that the server injected, reshards among them. */
  readonly faults: number;
  readonly confirmedLsns: number;
  readonly seconds: number;
}

/** Where a scenario runs. */
export interface Stage {
  readonly server: TestPostgres;
}

/** Runs one scenario with the real program against a real server, and verifies what is in the stream. */
export async function runScenario(
  { server }: Stage,
  scenario: Scenario,
): Promise<ScenarioResult> {
  const startedMs = performance.now();
  await using db = await freshDatabase(server);
  await createTables(server, db.database);
  if (scenario.plugin === "pgoutput") {
    await db.sql(`create publication ${db.slot} for table ${TABLES.join(", ")}`);
  }
  const oracle = `${db.slot}_oracle`;
  await db.sql(`select pg_create_logical_replication_slot('${oracle}', 'test_decoding')`);
  await db.createSlot(scenario.plugin);
  await using kinesis = await FaultServerProcess.start(scenario);
  await using supervisor = new Supervisor(
    [...connectionFlags(server, db.database, db.slot, scenario.plugin), ...scenario.flags],
    kinesis.env,
  );
  await using sampler = new ConfirmedSampler(server, db.slot);

  const workload = new Workload(server, db.database, scenario);
  const resharding = new Resharding(kinesis, scenario);
  const sticking = new StickingLane(kinesis, scenario);
  const findings: string[] = [];
  try {
    for (const blow of scenario.blows) await strike(blow, server, supervisor);
    await supervisor.following();
    await supervisor.run(scenario.tailMs);
  } finally {
    await workload.stop();
    await resharding.stop();
    await sticking.stop();
  }
  // Where half of everything fails a backlog would take minutes; the faults have had their time.
  await kinesis.setChances({});
  const isFinished = await catchUp(
    server,
    db.slot,
    () => supervisor.revive(),
    () => supervisor.program?.stderr.slice(-1_000),
  ).then(() => true, (error) => {
    findings.push(`not finished in time: ${error.message}`);
    return false;
  });
  if (supervisor.program !== undefined) await supervisor.stop();
  await sampler[Symbol.asyncDispose]();

  const committed = await readCommitted(server, db.database, oracle);
  const shards = await kinesis.shards();
  const published = readPublished(await kinesis.records(), shards);
  const verdict = verify({
    committed,
    published,
    samples: sampler.samples,
    aggregation: scenario.aggregation,
    shards,
    putsPerLane: scenario.listingLagMs > 0 ? 1 + scenario.blows.length : 1,
    isFinished,
    mayDuplicate: mayDuplicate(scenario),
  });
  const { puts, faults } = await kinesis.stats();
  return {
    ...verdict,
    findings: [...findings, ...supervisor.findings, ...verdict.findings],
    changes: committed.length,
    kills: scenario.blows.filter(({ kind }) => kind === "kill").length,
    restarts: scenario.blows.filter(({ kind }) => kind === "restart").length,
    reshards: new Set(shards.flatMap(({ parents }) => parents)).size,
    puts,
    faults,
    confirmedLsns: sampler.samples.length,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

/** The flags by which the program finds its database, slot and stream. */
export function connectionFlags(
  server: Pick<TestPostgres, "host" | "port" | "superuser">,
  database: string,
  slot: string,
  plugin: OutputPlugin,
): string[] {
  const { host, port, superuser } = server;
  return [
    ...["-h", host, "-p", String(port), "-u", superuser, "-d", database],
    ...["-s", slot, "-k", STREAM, "--pg-slot-output-plugin", plugin],
  ];
}

async function strike(blow: Blow, server: TestPostgres, supervisor: Supervisor): Promise<void> {
  await supervisor.revive();
  if (blow.kind === "kill" && blow.after === "start") {
    await supervisor.run(blow.ms);
    return await supervisor.kill9();
  }
  await supervisor.following();
  await supervisor.run(blow.ms);
  if (blow.kind === "kill") return await supervisor.kill9();
  supervisor.excuseEnd();
  const stopping = blow.mode === "kill9" ? server.kill9() : server.stop(blow.mode);
  await within(stopping, RESTART_MS, `the server to stop (${blow.mode})`);
  await server.start();
}

/** Waits until all that is committed now is confirmed; `look` is called in the meantime. */
export async function catchUp(
  server: TestPostgres,
  slot: string,
  look: () => void | Promise<void>,
  found?: () => unknown,
): Promise<void> {
  const [now] = await server.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await waitFor(async () => {
    await look();
    const [row] = await server.sql(
      "select confirmed_flush_lsn >= $2::pg_lsn as done from pg_replication_slots where slot_name = $1",
      { values: [slot, now!.lsn] },
    );
    return row!.done;
  }, {
    what: `the slot to be confirmed up to ${now!.lsn}`,
    timeoutMs: CATCH_UP_MS,
    intervalMs: 50,
    found,
  });
}

async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Splits, merges and rescales now and then, beside what the puts' faults do. */
class Resharding {
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(kinesis: FaultServerProcess, { seed, reshardsPerSecond }: Scenario) {
    this.#running = reshardsPerSecond === 0
      ? Promise.resolve()
      : this.#run(kinesis, randomFrom(seed + 7), 1000 / reshardsPerSecond);
  }

  async #run(kinesis: FaultServerProcess, random: () => number, meanMs: number): Promise<void> {
    while (!this.#isOver) {
      await sleep(Math.min(2_000, random() * 2 * meanMs));
      await kinesis.reshard((["split", "merge", "rescale"] as const)[Math.floor(random() * 3)]!);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}

/** Refuses all puts into a part of the hash space for a while, again and again. */
class StickingLane {
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(kinesis: FaultServerProcess, { seed, hasStuckLane }: Scenario) {
    this.#running = hasStuckLane ? this.#run(kinesis, randomFrom(seed + 11)) : Promise.resolve();
  }

  async #run(kinesis: FaultServerProcess, random: () => number): Promise<void> {
    while (!this.#isOver) {
      await kinesis.stick(Math.floor(random() * 16), 1 + Math.floor(random() * 8));
      await sleep(500 + random() * 2_500);
      await kinesis.stick(0, 0);
      await sleep(random() * 500);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
