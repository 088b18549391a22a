import { assert, assertEquals } from "@std/assert";
import { runSeveralStreams, type StreamBlow } from "../campaign/several_streams.ts";
import { SERVER_SETTINGS } from "../campaign/server_settings.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";

// Without aggregation it takes longer to catch up.
const BLOWS: Readonly<Record<"kpl" | "none", readonly StreamBlow[]>> = {
  kpl: [
    { kind: "kill", ms: 300 },
    { kind: "delete", ms: 500 },
    { kind: "kill", ms: 200 },
    { kind: "recreate", ms: 500 },
  ],
  none: [{ kind: "kill", ms: 300 }, { kind: "delete", ms: 300 }],
};

// `deno task campaign --proofs streams` does so with twenty kills.
for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`pg2kinesis keeps its promises to three streams, of which one is throttled and one deleted (--aggregation ${aggregation})`, async () => {
    await using server = await startEmbeddedPostgres({ settings: SERVER_SETTINGS });
    const blows = BLOWS[aggregation];
    const result = await runSeveralStreams(server, { seed: 7, writers: 2, aggregation, blows });
    assertEquals(result.findings, []);
    const { changes, commitRecords, refused } = result;
    assert(changes > 0 && commitRecords > 0 && refused > 0, JSON.stringify(result));
  });
}
