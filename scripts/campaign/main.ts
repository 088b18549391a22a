/** `deno task campaign`: see options.ts for what it tries and how it is asked. */
import type { OutputPlugin } from "../../src/options.ts";
import { hasWal2json, startDebianPostgres } from "../../tests/support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../tests/support/embedded_postgres.ts";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";
import { readOrExit } from "../command_line.ts";
import { type CampaignOptions, readOptions } from "./options.ts";
import { drawScenario, type Scenario } from "../../tests/campaign/plan.ts";
import { PROOFS } from "../../tests/campaign/proofs.ts";
import { HEAD, summarize, toLine } from "../../tests/campaign/scenario_report.ts";
import { runScenario, type ScenarioResult } from "../../tests/campaign/run_scenario.ts";
import { SERVER_SETTINGS } from "../../tests/campaign/server_settings.ts";

if (import.meta.main) {
  const options = readOrExit("deno task campaign", () => readOptions(Deno.args));
  if (options !== undefined) Deno.exit(await campaign(options) ? 0 : 1);
}

/** True when no promise was broken. */
async function campaign(options: CampaignOptions): Promise<boolean> {
  const proofsHold = options.proofs === undefined || await runProofs(options.proofs);
  return (options.scenarios === 0 || await runScenarios(options)) && proofsHold;
}

async function runScenarios(options: CampaignOptions): Promise<boolean> {
  const { seed, kills, faults, scenarios, minutes, special } = options;
  const endMs = performance.now() + minutes * 60_000;
  console.log(`seed ${seed}: at least ${scenarios} scenarios, ${kills} kills, ${faults} faults`);
  await using servers = new AsyncDisposableStack();
  const debian = hasWal2json()
    ? servers.use(await startDebianPostgres({ settings: SERVER_SETTINGS }))
    : undefined;
  const embedded = servers.use(await startEmbeddedPostgres({ settings: SERVER_SETTINGS }));
  if (debian === undefined) console.log("without wal2json: Debian's is not installed");
  // test_decoding and pgoutput run on 18, wal2json on the server that has it.
  const plugins: OutputPlugin[] = ["test_decoding", "pgoutput"];
  if (debian !== undefined) plugins.push("wal2json");

  const results: ScenarioResult[] = [];
  const sum = (of: (result: ScenarioResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  console.log(HEAD);
  const isEnough = () =>
    results.length >= scenarios && sum((r) => r.kills) >= kills && sum((r) => r.faults) >= faults;
  while (!isEnough() && performance.now() < endMs) {
    const scenario = drawScenario(seed + results.length, plugins, special);
    const server = scenario.plugin === "wal2json" ? debian! : embedded;
    const result = await tryScenario(server, scenario);
    results.push(result);
    console.log(toLine(scenario, result));
    for (const finding of result.findings) console.log(`    FOUND: ${finding}`);
    if (result.findings.length > 0) {
      const only = special === undefined ? "" : ` --special ${special}`;
      console.log(`    again: deno task campaign --seed ${scenario.seed} --scenarios 1${only}`);
    }
  }
  console.log(summarize(seed, results));
  return results.every(({ findings }) => findings.length === 0);
}

async function tryScenario(server: TestPostgres, scenario: Scenario): Promise<ScenarioResult> {
  try {
    return await runScenario({ server }, scenario);
  } catch (error) {
    await revive(server);
    // A scenario that cannot even be ended proves nothing: that is a finding too.
    const findings = [`broken off: ${describe(error)}`];
    return {
      ...{ findings, lost: 0, outOfOrder: 0, duplicates: 0, changes: 0 },
      ...{ kills: 0, restarts: 0, failovers: 0, leftBehind: 0, reshards: 0, puts: 0, faults: 0 },
      ...{ confirmedLsns: 0, peakMebibytes: 0, seconds: 0 },
    };
  }
}

/** A scenario that was broken off while the server was down must not break off all that follow. */
async function revive(server: TestPostgres): Promise<void> {
  try {
    await server.sql("select");
  } catch {
    await server.kill9().catch(() => {});
    await server.start();
  }
}

/** With what an error at the end hid. */
function describe(error: unknown): string {
  if (error instanceof SuppressedError) {
    return `${describe(error.suppressed)}; then ${describe(error.error)}`;
  }
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

async function runProofs(only: RegExp): Promise<boolean> {
  let hold = true;
  for (const { name, prove } of PROOFS) {
    if (!only.test(name)) continue;
    console.log(`\n${name}`);
    await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } });
    const { lines, isProven } = await prove(server);
    for (const line of lines) console.log(`  ${line}`);
    console.log(`  ${isProven ? "holds" : "DOES NOT HOLD"}`);
    hold &&= isProven;
  }
  return hold;
}
