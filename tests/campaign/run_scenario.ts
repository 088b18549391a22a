import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { ConfirmedSampler } from "./confirmed_samples.ts";
import { FailoverSite } from "./failover_site.ts";
import { FaultServerProcess } from "./fault_server_process.ts";
import { type Blow, mayDuplicate, type Scenario } from "./plan.ts";
import { readPublished } from "./published.ts";
import { SingleSite } from "./single_site.ts";
import type { Site } from "./site.ts";
import { Supervisor } from "./supervisor.ts";
import { Resharding, StickingLane } from "./trouble.ts";
import { type Verdict, verify } from "./verify.ts";
import { Workload } from "./workload.ts";

/** On a machine with other work; without aggregation one change a round trip is all that a key gets. */
const CATCH_UP_MS = 300_000;
const RESTART_MS = 60_000;
/** What waits when the writers stop meets faults for so long. */
const FAULTY_DRAIN_MS = 20_000;
/**
 * The program's memory, with its buffers of 10 MiB full and a garbage collector that takes its time;
 * from source it begins with more.
 */
const MOST_MEBIBYTES = Deno.env.get("PG2KINESIS_BIN") ? 180 : 240;

export interface ScenarioResult extends Verdict {
  readonly changes: number;
  readonly kills: number;
  readonly restarts: number;
  readonly failovers: number;
  /** Changes that are in the stream and that a failover lost. */
  readonly leftBehind: number;
  /** Shards that were closed. */
  readonly reshards: number;
  readonly puts: number;
  /** Faults that the server injected, reshards among them. */
  readonly faults: number;
  readonly confirmedLsns: number;
  /** Most resident memory of the program. */
  readonly peakMebibytes: number;
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
  await using site = scenario.hasStandby
    ? await FailoverSite.open(scenario.plugin)
    : await SingleSite.open(server, scenario.plugin);
  await using kinesis = await FaultServerProcess.start(scenario);
  await using supervisor = new Supervisor([...site.flags, ...scenario.flags], kinesis.env);
  await using sampler = new ConfirmedSampler(site.server, site.slot);

  const workload = new Workload(site.server, site.database, scenario);
  const resharding = new Resharding(kinesis, scenario);
  const sticking = new StickingLane(kinesis, scenario);
  const findings: string[] = [];
  try {
    for (const blow of scenario.blows) await strike(blow, site, supervisor, kinesis);
    await supervisor.following();
    await supervisor.run(scenario.tailMs);
  } finally {
    await workload.stop();
    await resharding.stop();
    await sticking.stop();
  }
  const caughtUp = finish(site, supervisor, findings);
  await Promise.race([caughtUp, sleep(FAULTY_DRAIN_MS)]);
  // Where half of everything fails a backlog would take minutes; the faults have had their time.
  await kinesis.setChances({});
  const isFinished = await caughtUp;
  if (supervisor.program !== undefined) await supervisor.stop();
  await sampler[Symbol.asyncDispose]();

  const committed = await site.committed((prefix) => scenario.publishedPrefixes.includes(prefix));
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
  const names = new Set(published.map(({ name }) => name));
  findings.push(
    ...supervisor.findings,
    ...verdict.findings,
    ...site.checkLog(supervisor.log, names),
  );
  const { peakMebibytes } = supervisor;
  if (peakMebibytes > MOST_MEBIBYTES) findings.push(`memory: ${peakMebibytes.toFixed(0)} MiB`);
  const { puts, faults } = await kinesis.stats();
  const count = (kind: Blow["kind"]) => scenario.blows.filter((blow) => blow.kind === kind).length;
  return {
    ...verdict,
    findings,
    changes: committed.length,
    kills: count("kill"),
    restarts: count("restart"),
    failovers: count("failover"),
    leftBehind: committed.filter(({ name, isLost }) => isLost && names.has(name)).length,
    reshards: new Set(shards.flatMap(({ parents }) => parents)).size,
    puts,
    faults,
    confirmedLsns: sampler.samples.length,
    peakMebibytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

async function strike(
  blow: Blow,
  site: Site,
  supervisor: Supervisor,
  kinesis: FaultServerProcess,
): Promise<void> {
  await supervisor.revive();
  if (blow.kind === "kill" && blow.after === "start") {
    await supervisor.run(blow.ms);
    return await supervisor.kill9();
  }
  await supervisor.following();
  await supervisor.run(blow.ms);
  if (blow.kind === "kill") return await supervisor.kill9();
  supervisor.excuseEnd();
  if (blow.kind === "failover") {
    const before = supervisor.log.length;
    await site.failOver(blow, (isHeld) => kinesis.stick(0, isHeld ? 8 : 0));
    // A blow at once would meet a program that waits, with nothing of the new timeline.
    return await supervisor.goesOn(before);
  }
  const { server } = site;
  const stopping = blow.mode === "kill9" ? server.kill9() : server.stop(blow.mode);
  await within(stopping, RESTART_MS, `the server to stop (${blow.mode})`);
  await server.start();
}

/** Lets the program catch up, started again as often as it ends. Gives whether it did, else a finding. */
export async function finish(
  { server, slot }: Pick<Site, "server" | "slot">,
  supervisor: Supervisor,
  findings: string[],
): Promise<boolean> {
  try {
    await catchUp(
      server,
      slot,
      () => supervisor.revive(),
      () => supervisor.program?.stderr.slice(-1_000),
    );
    return true;
  } catch (error) {
    findings.push(`not finished in time: ${(error as Error).message}`);
    return false;
  }
}

/** Waits until all that is committed now is confirmed; `look` is called in the meantime. */
export async function catchUp(
  server: Pick<TestPostgres, "sql">,
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
