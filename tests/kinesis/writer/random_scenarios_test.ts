import { assert } from "@std/assert";
import { runScenario, type ScenarioResult } from "./random_scenarios.ts";
import { randomSeed } from "../../support/random.ts";

/** `PG2KINESIS_TEST_SCENARIOS` runs more of them. */
const SCENARIOS = Number(Deno.env.get("PG2KINESIS_TEST_SCENARIOS") ?? 40);

Deno.test("StreamWriter keeps every promise through random faults and reshards", async () => {
  const first = randomSeed();
  const total = { puts: 0, faults: 0, userRecords: 0, duplicates: 0, reshards: 0 };
  for (let seed = first; seed < first + SCENARIOS; seed++) {
    const result = await runScenario(seed).catch((cause) => {
      throw new Error(`scenario ${seed} failed: ${cause.message}`, { cause });
    });
    for (const name of Object.keys(total) as (keyof ScenarioResult)[]) total[name] += result[name];
  }
  console.log(`${SCENARIOS} scenarios: ${JSON.stringify(total)}`);
  const { puts, faults, userRecords, reshards } = total;
  for (const count of [puts, faults, userRecords, reshards]) assert(count > 0, "nothing was tried");
});
