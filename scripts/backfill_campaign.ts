/**
 * Reads tables while they are written to at random, with the program killed again and again, and holds what
 * consumers have against the tables:
 *
 *     deno task backfill:campaign [--seed N] [--minutes N] [--plugin NAME]
 *
 * Prints a line a trial, and ends with 1 at the first that is wrong.
 */
import { runTrial, TRIAL_SETTINGS } from "../tests/support/backfill_trial.ts";
import { hasWal2json, startDebianPostgres } from "../tests/support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../tests/support/embedded_postgres.ts";

const option = (name: string, otherwise: string) => {
  const at = Deno.args.indexOf(`--${name}`);
  return at === -1 ? otherwise : Deno.args[at + 1] ?? otherwise;
};
const seed = Number(option("seed", String(crypto.getRandomValues(new Uint32Array(1))[0])));
const minutes = Number(option("minutes", "10"));
const only = option("plugin", "");

const settings = TRIAL_SETTINGS;
const embedded = await startEmbeddedPostgres({ settings });
const debian = hasWal2json() ? await startDebianPostgres({ settings }) : undefined;
const cases = [
  { server: embedded, plugin: "test_decoding" } as const,
  { server: embedded, plugin: "pgoutput" } as const,
  ...debian === undefined ? [] : [
    { server: debian, plugin: "wal2json" } as const,
    { server: debian, plugin: "test_decoding" } as const,
    { server: debian, plugin: "pgoutput" } as const,
  ],
].filter(({ plugin }) => only === "" || plugin === only);

const endMs = performance.now() + minutes * 60_000;
const sum = { trials: 0, changes: 0, records: 0, kills: 0 };
let isWrong = false;
for (let number = 0; performance.now() < endMs && !isWrong; number++) {
  const { server, plugin } = cases[number % cases.length]!;
  const own = (seed + 1000 * number) >>> 0;
  const trial = { server, plugin, seed: own, rows: 300, rate: 60, writers: 6, kills: number % 4 };
  const result = await runTrial(trial);
  sum.trials++;
  sum.changes += result.changes;
  sum.records += result.records;
  sum.kills += result.kills;
  isWrong = result.wrong.length > 0;
  console.log(
    `${plugin} on ${Math.floor(server.version / 10000)}, seed ${own}: ${result.changes} changes, ` +
      `${result.records} records, ${result.kills} kills, ${result.wrong.length} wrong`,
  );
  if (isWrong) {
    for (const line of result.wrong) console.log(`  ${line}`);
    await Deno.writeTextFile(`backfill_campaign_${own}.log`, result.log);
  }
}
console.log(
  `seed ${seed}: ${sum.trials} trials, ${sum.changes} changes, ${sum.kills} kills, ` +
    `${sum.records} records${isWrong ? ": WRONG" : ": 0 wrong"}`,
);
for (const server of [embedded, debian]) await server?.[Symbol.asyncDispose]();
Deno.exit(isWrong ? 1 : 0);
