import { assertEquals } from "@std/assert";
import { drawKeptPlan, type KeptPlan } from "../campaign/backfill/kept_plan.ts";
import { KEPT_TABLES } from "../campaign/backfill/kept_tables.ts";
import { KEPT_SETTINGS, runKeptTrial } from "../campaign/backfill/kept_trial.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";

const settings = { ...KEPT_SETTINGS, wal_sender_timeout: "60s" };
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
  Deno.test(`consumers have what the tables have, whatever is written meanwhile (${plugin})`, async () => {
    // Two small tables that are read in about six seconds, two kills, no trouble with Kinesis.
    const plan: KeptPlan = {
      ...drawKeptPlan(seed, plugin, server.version),
      tables: KEPT_TABLES.filter(({ name }) => name === "by_int" || name === "by_two"),
      ...{ rows: 250, rate: 90, flags: ["-f", "JSON"], shards: 2, chances: {}, sticks: false },
      ...{ reshardsPerSecond: 0, isPair: false, startsWithSlot: false, asks: false },
      ...{ writers: 4, bulkRows: 100, bulkPauseMs: 300, truncates: false },
      blows: [
        { kind: "kill", moment: "read put", ms: 0 },
        { kind: "kill", moment: "mark under way", ms: 100 },
      ],
    };
    const { wrong, findings } = await runKeptTrial(server, plan);
    assertEquals([...wrong, ...findings], [], `seed ${seed}`);
  });
}
