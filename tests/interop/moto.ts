import type { TestKinesis } from "../support/kinesalite.ts";
import { startMockProcess } from "../support/mock_process.ts";
import { findFreePort } from "../support/postgres_server.ts";
import type { Python } from "../support/interop.ts";

/**
 * Starts moto's server, whose endpoint is every service's: Kinesis, DynamoDB, and what else a reader asks. Its
 * Kinesis moves the records of a shard that is split or merged into the new shards, which Kinesis does not, and
 * does not name those to readers: it is for streams that keep their shards.
 */
export async function startMoto({ executable }: Python): Promise<TestKinesis> {
  const port = findFreePort();
  return await startMockProcess({
    name: "moto's server",
    port,
    command: executable,
    args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    isUp: () =>
      fetch(`http://127.0.0.1:${port}/moto-api/`).then(async (answer) => {
        await answer.body?.cancel();
        return answer.ok;
      }, () => false),
    timeoutMs: 60_000,
  });
}
