import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
// Never imported as a module, which would start it in this process; this fetches the package.
import certificate from "kinesis-local/server.json" with { type: "json" };
import type { TestKinesis } from "./kinesalite.ts";
import { startMockProcess } from "./mock_process.ts";
import { findFreePort } from "./postgres_server.ts";

/** What a test prints when it has to skip. */
export const NO_NODE = "skipped: kinesis-local needs Node.js, and there is no `node` on PATH";

/** Whether `node` can be run. */
export function hasNode(): boolean {
  try {
    return new Deno.Command("node", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/**
 * Starts kinesis-local, which knows more of the API than kinesalite: UpdateShardCount, StreamARN,
 * MaxRecordSizeInKiB. It runs under Node, since under Deno it hangs on bodies over 120 KB. It takes
 * about 3 MiB/s, and rejects a `SequenceNumberForOrdering` of "0".
 */
export async function startKinesisLocal(): Promise<TestKinesis> {
  if (Object.keys(certificate).length === 0) throw new Error("kinesis-local has no certificate");
  const packageDir = dirname(fileURLToPath(import.meta.resolve("kinesis-local/server.json")));
  const port = findFreePort();
  const durations = ["CREATE_STREAM", "DELETE_STREAM", "MERGE_SHARDS", "SPLIT_SHARD"]
    .concat(["UPDATE_SHARD_COUNT", "UPDATE_STREAM_MODE"])
    .map((name) => [`${name}_DURATION`, "10ms"]);
  return await startMockProcess({
    name: "kinesis-local",
    port,
    command: "node",
    args: [join(packageDir, "main.js")],
    env: {
      PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
      KINESIS_MOCK_CERT_PATH: join(packageDir, "server.json"),
      KINESIS_MOCK_PLAIN_PORT: String(port),
      KINESIS_MOCK_TLS_PORT: String(findFreePort()),
      LOG_LEVEL: "ERROR",
      SHARD_LIMIT: "200",
      ...Object.fromEntries(durations),
    },
    isUp: () => isListening(port),
  });
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
