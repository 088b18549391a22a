/**
 * Reads tables while they are written to at random, with the program killed, frozen and taken over from again
 * and again, and holds what consumers have against the tables:
 *
 *     deno task backfill:campaign [--seed N] [--minutes N] [--trials N] [--plugin NAME] [--version N] [--csv FILE]
 *
 * Prints a line a trial, and ends with 1 when one was wrong. `--seed N --trials 1`, with the plugin and the
 * version of PostgreSQL (15 or 18) that the line names, draws a trial again. PG2KINESIS_BIN names an executable
 * to try instead of main.ts.
 */
import { drawKeptPlan, type KeptPlan } from "../tests/campaign/backfill/kept_plan.ts";
import {
  KEPT_SETTINGS,
  type KeptResult,
  runKeptTrial,
} from "../tests/campaign/backfill/kept_trial.ts";
import { hasWal2json, startDebianPostgres } from "../tests/support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../tests/support/embedded_postgres.ts";
import type { TestPostgres } from "../tests/support/test_postgres.ts";

const option = (name: string, otherwise: string) => {
  const at = Deno.args.indexOf(`--${name}`);
  return at === -1 ? otherwise : Deno.args[at + 1] ?? otherwise;
};
const seed = Number(option("seed", String(crypto.getRandomValues(new Uint32Array(1))[0])));
const minutes = Number(option("minutes", "10"));
const trials = Number(option("trials", "Infinity"));
const [plugin, version, csv] = [option("plugin", ""), option("version", ""), option("csv", "")];

const settings = KEPT_SETTINGS;
const wanted = (name: string) => version === "" || version === name;
const embedded = wanted("18") ? await startEmbeddedPostgres({ settings }) : undefined;
const debian = hasWal2json() && wanted("15") ? await startDebianPostgres({ settings }) : undefined;
const cases = [
  ...embedded === undefined ? [] : [
    { server: embedded, plugin: "pgoutput" } as const,
    { server: embedded, plugin: "test_decoding" } as const,
  ],
  ...debian === undefined ? [] : [
    { server: debian, plugin: "wal2json" } as const,
    { server: debian, plugin: "pgoutput" } as const,
    { server: debian, plugin: "test_decoding" } as const,
  ],
].filter((each) => plugin === "" || each.plugin === plugin);

const HEAD =
  "seed,plugin,version,tables,rows,rate,shards,hosts,changes,records,reads,kills,takeovers," +
  "freezes,restarts,reshards,faults,requests,stops,peak_mib,seconds,wrong,findings";
if (csv !== "") await Deno.writeTextFile(csv, `${HEAD}\n`);
console.log(HEAD);
const endMs = performance.now() + minutes * 60_000;
const sum = { trials: 0, changes: 0, records: 0, kills: 0, wrong: 0, findings: 0 };
for (let number = 0; number < trials && performance.now() < endMs; number++) {
  const { server, plugin } = cases[number % cases.length]!;
  const plan = drawKeptPlan((seed + number) >>> 0, plugin, server.version);
  const result = await tried(server, plan);
  if (typeof result === "string") {
    console.log(`${plan.seed} ${plugin} on ${server.version}: broken off: ${result}`);
    sum.findings++;
    continue;
  }
  const line = lineOf(server, plan, result);
  console.log(line);
  if (csv !== "") await Deno.writeTextFile(csv, `${line}\n`, { append: true });
  sum.trials++;
  sum.changes += result.changes;
  sum.records += result.records;
  sum.kills += result.kills;
  sum.wrong += result.wrong.length;
  sum.findings += result.findings.length;
  await tell(plan, result);
}
console.log(
  `seed ${seed}: ${sum.trials} trials, ${sum.changes} changes, ${sum.kills} kills, ` +
    `${sum.records} records, ${sum.wrong} wrong, ${sum.findings} findings`,
);
for (const server of [embedded, debian]) await server?.[Symbol.asyncDispose]();
Deno.exit(sum.wrong + sum.findings > 0 ? 1 : 0);

/** The reason, where it could not be ended. */
async function tried(server: TestPostgres, plan: KeptPlan): Promise<KeptResult | string> {
  try {
    return await runKeptTrial(server, plan);
  } catch (error) {
    // A trial that was broken off while the server was down must not break off all that follow.
    await server.sql("select").catch(async () => {
      await server.kill9().catch(() => {});
      await server.start();
    });
    return error instanceof Error ? error.stack ?? error.message : String(error);
  }
}

function lineOf({ version }: TestPostgres, plan: KeptPlan, result: KeptResult): string {
  const { seed, plugin, tables, rows, rate = "", shards, isPair } = plan;
  const { changes, records, reads, kills, takeovers, freezes, restarts } = result;
  const { reshards, faults, requests, stops, peakMebibytes, seconds, wrong, findings } = result;
  return [
    ...[seed, plugin, Math.floor(version / 10_000), tables.map(({ name }) => name).join(" ")],
    ...[rows, rate, shards, isPair ? 2 : 1, changes, records, reads, kills, takeovers, freezes],
    ...[restarts, reshards, faults, requests, stops, Math.round(peakMebibytes)],
    ...[seconds.toFixed(1), wrong.length, findings.length],
  ].join(",");
}

/** What was found, with what it takes to look into it. */
async function tell({ seed, plugin }: KeptPlan, { wrong, findings, log, stream }: KeptResult) {
  for (const finding of findings) console.log(`    FOUND: ${finding}`);
  for (const line of wrong.slice(0, 10)) console.log(`    WRONG: ${line}`);
  if (wrong.length + findings.length === 0) return;
  const file = `${csv === "" ? "backfill_campaign" : csv}_${plugin}_${seed}`;
  await Deno.writeTextFile(`${file}.log`, log);
  await Deno.writeTextFile(`${file}.jsonl`, stream.dump());
  console.log(`    log and stream: ${file}.log, ${file}.jsonl`);
}
