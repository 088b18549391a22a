import type { TestPostgres } from "../support/test_postgres.ts";
import { proveHotShards } from "./hot_shards.ts";
import { proveManyStreams } from "./many_streams.ts";
import { proveMemory } from "./memory_proof.ts";
import { proveTakeover } from "./takeover.ts";
import type { Proof } from "./proof.ts";
import { proveSeveralStreams } from "./several_streams.ts";
import { proveThrottled } from "./throttled.ts";

/** What has a scenario of its own. */
export const PROOFS: readonly {
  readonly name: string;
  readonly prove: (server: TestPostgres) => Promise<Proof>;
}[] = [
  { name: "hot shards: four of them paced at their limit", prove: proveHotShards },
  { name: "throttled: a stream that refuses everything for two minutes", prove: proveThrottled },
  { name: "takeover: a second host, and 20 kills -9 of the first", prove: proveTakeover },
  {
    name: "streams: three of four shards, one throttled to a trickle, one deleted, 40 kills -9",
    prove: proveSeveralStreams,
  },
  { name: "many streams: 200 tables into one, and into 200", prove: proveManyStreams },
  { name: "memory: a transaction of 600,000 rows", prove: proveMemory },
];
