import { assertEquals } from "@std/assert";
import { runTrial, TRIAL_SETTINGS } from "../support/backfill_trial.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";

const settings = TRIAL_SETTINGS;
const embedded = await startEmbeddedPostgres({ settings });
const debian = hasWal2json() ? await startDebianPostgres({ settings }) : undefined;
if (debian === undefined) console.log(`${NO_DEBIAN_POSTGRES}: goes on with 18 alone`);

/** `deno task backfill:campaign` takes others. */
const seed = 20261128;
const cases = [
  ...debian === undefined ? [] : [{ server: debian, plugin: "wal2json" } as const],
  { server: embedded, plugin: "pgoutput" } as const,
  { server: embedded, plugin: "test_decoding" } as const,
];

for (const { server, plugin } of cases) {
  Deno.test(`consumers have what the table has, whatever is written meanwhile (${plugin})`, async () => {
    const trial = { server, plugin, seed, rows: 200, rate: 60, writers: 4, kills: 1 };
    const { wrong } = await runTrial(trial);
    assertEquals(wrong, [], `seed ${seed}`);
  });
}
