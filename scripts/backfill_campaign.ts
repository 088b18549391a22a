import { parseArgs } from "node:util";
import { OUTPUT_PLUGINS } from "../src/options.ts";
import { drawKeptPlan, type KeptPlan } from "../tests/campaign/backfill/kept_plan.ts";
import {
  KEPT_SETTINGS,
  type KeptResult,
  runKeptTrial,
} from "../tests/campaign/backfill/kept_trial.ts";
import { hasWal2json, startDebianPostgres } from "../tests/support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../tests/support/embedded_postgres.ts";
import type { TestPostgres } from "../tests/support/test_postgres.ts";
import { readChoice, readCount, readOrExit } from "./command_line.ts";

const HELP =
  `Reads tables while they are written to at random, with the program killed, frozen and taken over
from again and again, and holds what consumers have against the tables.

deno task backfill:campaign [options]
  --seed N       seed of the first trial (default: a new one); each one after it has the next
  --trials N     so many trials
  --minutes N    begins no trial after so long (default 10)
  --plugin NAME  only trials with this plugin
  --version N    only on this PostgreSQL, 15 or 18
  --csv FILE     where the trials are written too

--seed N --trials 1, with the plugin and the version that the line names, draws a trial again.
PG2KINESIS_BIN names an executable to try instead of main.ts. Exit code 1 when anything was wrong.`;

const { seed, minutes, trials, plugin, version, csv } = readOrExit(
  "deno task backfill:campaign",
  readOptions,
);

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      trials: { type: "string" },
      minutes: { type: "string", default: "10" },
      plugin: { type: "string" },
      version: { type: "string" },
      csv: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit();
  }
  return {
    seed: values.seed === undefined
      ? crypto.getRandomValues(new Uint32Array(1))[0]!
      : readCount("seed", values.seed),
    trials: values.trials === undefined ? Infinity : readCount("trials", values.trials, 1),
    minutes: readCount("minutes", values.minutes, 1),
    plugin: values.plugin === undefined
      ? undefined
      : readChoice("plugin", values.plugin, OUTPUT_PLUGINS),
    version: values.version === undefined
      ? undefined
      : readChoice("version", values.version, ["15", "18"]),
    csv: values.csv,
  };
}

const settings = KEPT_SETTINGS;
const wanted = (name: string) => version === undefined || version === name;
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
].filter((each) => plugin === undefined || each.plugin === plugin);

if (cases.length === 0) {
  console.error(
    `no trial: ${plugin ?? "any plugin"} on PostgreSQL ${
      version ?? "15 or 18"
    } cannot be had here; ` +
      "wal2json and 15 are Debian's postgresql-15 and postgresql-15-wal2json",
  );
  await embedded?.[Symbol.asyncDispose]();
  Deno.exit(1);
}

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
