import { type TestKinesis, testKinesis } from "../support/kinesalite.ts";
import { findFreePort } from "../support/postgres_server.ts";
import { waitFor } from "../support/wait.ts";
import type { Python } from "../support/interop.ts";

/**
 * Starts moto's server, whose endpoint is every service's: Kinesis, DynamoDB, and what else a reader asks. Its
 * Kinesis moves the records of a shard that is split or merged into the new shards, which Kinesis does not, and
 * does not name those to readers: it is for streams that keep their shards.
 */
export async function startMoto({ executable }: Python): Promise<TestKinesis> {
  const port = findFreePort();
  const process = new Deno.Command(executable, {
    args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  process.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) process.kill("SIGKILL");
    await process.status;
  };
  try {
    await waitFor(async () => {
      if (ended) throw new Error("moto's server ended by itself");
      return await fetch(`http://127.0.0.1:${port}/moto-api/`).then(async (answer) => {
        await answer.body?.cancel();
        return answer.ok;
      }, () => false);
    }, { what: `moto's server to listen on port ${port}`, timeoutMs: 60_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return testKinesis(`http://127.0.0.1:${port}`, stop);
}
