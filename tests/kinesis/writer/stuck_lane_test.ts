import { assert, assertEquals } from "@std/assert";
import { Checkpoint } from "../../../src/checkpoint.ts";
import { openStream } from "../../../src/kinesis/stream/open_stream.ts";
import { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import { Simulation, STREAM } from "./simulation.ts";

const DAY_MS = 86_400_000;
const EVERY_MS = 6_000;

Deno.test("a day of one lane that is stuck leaves the memory flat, while the others go on", async () => {
  const simulation = new Simulation({ shards: 2 });
  const { api, clock, random } = simulation;
  const isStuck = (key: string) => hashKeyOf(key) < 1n << 127n;
  const keys = Array.from({ length: 100 }, (_, n) => `key ${n}`);
  const [stuckKey] = keys.filter(isStuck);
  const others = keys.filter((key) => !isStuck(key));
  const putRecord = api.putRecord.bind(api);
  api.putRecord = (record, ...rest) =>
    BigInt(record.explicitHashKey ?? hashKeyOf(record.partitionKey)) < 1n << 127n
      ? Promise.reject(
        Object.assign(new Error("slow down"), {
          name: "ProvisionedThroughputExceededException",
          $metadata: { httpStatusCode: 400 },
        }),
      )
      : putRecord(record, ...rest);
  let stored = 0;
  let largest = 0;
  const day = async () => {
    const found = { name: STREAM, create: false, shardCount: 0 };
    const { signal } = new AbortController();
    const stream = await openStream(api, found, clock, random, signal);
    using writer = new DisposableWriter({
      ...{ api, stream, aggregation: "kpl", lingerMs: 0, clock, random },
    });
    const checkpoint = new Checkpoint(0n, () => {}, () => stored++);
    let lsn = 0n;
    const publish = (key: string) => {
      writer.add(key, `row ${++lsn}`, checkpoint.begin());
      checkpoint.commit(lsn);
    };
    publish(stuckKey!);
    for (let n = 0; n < DAY_MS / EVERY_MS; n++) {
      publish(others[n % others.length]!);
      await writer.flush();
      await clock.sleep(EVERY_MS);
      largest = Math.max(largest, checkpoint.size);
    }
    assertEquals(checkpoint.flushLsn, 0n);
  };
  await clock.run(day(), 2 * DAY_MS);
  assertEquals(stored, DAY_MS / EVERY_MS);
  assert(largest <= 4, `${largest} entries`);
});

class DisposableWriter extends StreamWriter {
  [Symbol.dispose](): void {
    this.close();
  }
}
