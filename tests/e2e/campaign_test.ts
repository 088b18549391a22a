import { assert, assertEquals } from "@std/assert";
import { drawScenario, EXTRAS, type Scenario } from "../campaign/plan.ts";
import { HEAD, toLine } from "../campaign/scenario_report.ts";
import { runScenario, type ScenarioResult } from "../campaign/run_scenario.ts";
import { SERVER_SETTINGS } from "../campaign/server_settings.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { randomSeed } from "../support/random.ts";

const PLUGINS = ["test_decoding", "pgoutput"] as const;

/** The long one is `deno task campaign --long`. */
Deno.test("pg2kinesis keeps every promise through kills, faults, reshards and a restart", async () => {
  const seed = randomSeed();
  await using server = await startEmbeddedPostgres({ settings: SERVER_SETTINGS });
  const kill = (ms: number) => ({ kind: "kill", after: "following", ms }) as const;
  const drawn = { ...drawScenario(seed, PLUGINS), tailMs: 3_000 };
  console.log(HEAD);

  // Whatever else was drawn: each of them in its own way.
  const killed = await run({
    ...drawn,
    chances: { throttle: 0.1, error: 0.05, "cut-after": 0.1, "error-after": 0.05 },
    blows: [kill(0), kill(300), { kind: "restart", mode: "fast", ms: 200 }, kill(100)],
  });
  assert(killed.faults > 0, "faults were injected");

  const resharded = await run({
    ...drawn,
    shards: 3,
    chances: { split: 0.02, merge: 0.02, "cut-after": 0.05 },
    blows: [kill(500)],
    reshardsPerSecond: 3,
    hasStuckLane: true,
    extras: EXTRAS.filter((extra) => extra !== "bulk"),
  });
  assert(resharded.reshards > 0, "shards were split or merged");

  const failedOver = await run({
    ...drawn,
    ...{ plugin: "pgoutput", format: "JSON", flags: ["-f", "JSON", "--aggregation", "kpl"] },
    // What was drawn may publish messages, by a flag that is not among these.
    publishedPrefixes: [],
    ...{ aggregation: "kpl", shards: 3, chances: { throttle: 0.1, "cut-after": 0.05 } },
    blows: [kill(300), { kind: "failover", ms: 100, lagMs: 300, isHeld: true }, kill(100)],
    hasStandby: true,
  });
  assertEquals(failedOver.failovers, 1);

  const quiet = await run({ ...drawn, chances: {}, blows: [], reshardsPerSecond: 0, tailMs: 500 });
  assertEquals(quiet.duplicates, 0);

  async function run(scenario: Scenario): Promise<ScenarioResult> {
    const result = await runScenario({ server }, scenario);
    console.log(toLine(scenario, result));
    assertEquals(result.findings, []);
    assert(result.changes > 0, "something was written");
    assert(result.confirmedLsns > 0, "something was confirmed");
    return result;
  }
});
