import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { connectKinesis } from "../../../src/kinesis/client/kinesis_client.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { openStream } from "../../../src/kinesis/stream/open_stream.ts";
import { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import { testKinesis } from "../../support/kinesalite.ts";
import { droppedByKcl, hashKeyOf, readBack, takeApart } from "../../support/read_back.ts";
import { randomSeed } from "../../support/random.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

const STREAM = "changes";
const KEYS = 50;

/** Starts the fault server as a process of its own, as campaigns do. */
async function startFaultServer(...args: string[]) {
  const main = fileURLToPath(new URL("../../support/fault_server/main.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", main, "--stream", STREAM, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  const endpoint = /listening on (\S+)/.exec(value ?? "")?.[1];
  if (endpoint === undefined) throw new Error(`no endpoint in "${value}"`);
  const ask = async (method: string, path: string) => {
    const response = await fetch(`${endpoint}/admin/${path}`, { method });
    return await response.text();
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await child.status;
    await reader.cancel();
  };
  return { endpoint, ask, [Symbol.asyncDispose]: stop };
}

Deno.test({
  name: "the fault server keeps a writer in its own process busy with faults, and nothing is lost",
  // The SDK keeps idle connections open until they are closed.
  sanitizeResources: false,
  fn: async () => {
    const seed = randomSeed() % 1_000_000;
    const faults = "throttle=0.05,error=0.05,cut-before=0.05,cut-after=0.05,error-after=0.03," +
      "slow-after=0.02,split=0.02,merge=0.02,rescale=0.01";
    await using server = await startFaultServer(
      "--shards=3",
      `--seed=${seed}`,
      `--faults=${faults}`,
      "--slow-ms=50",
      "--listing-lag-ms=200",
    );
    const api = await connectKinesis({
      endpoint: server.endpoint,
      region: "us-east-1",
      credentials: { accessKeyId: "AKIATEST", secretAccessKey: "test" },
    });
    const { signal } = new AbortController();
    const found = { name: STREAM, create: false, shardCount: 0 };
    const stream = await openStream(api, found, systemClock, Math.random, signal);
    const writer = new StreamWriter({
      api,
      stream,
      aggregation: "kpl",
      lingerMs: 0,
      clock: systemClock,
      random: Math.random,
    });
    const ticket = new CountingTicket();
    const records = 3_000;
    for (let i = 0; i < records; i++) {
      writer.add(`key ${i % KEYS}`, String(i), ticket);
      // One after the other for a while, so that there are puts enough to meet the faults.
      if (i % 30 === 29) await (i < 1_500 ? writer.drain() : writer.flush());
    }
    await writer.drain();
    assertEquals(ticket.acknowledged, records);
    writer.close();
    api.close();

    const { puts, faults: injected } = JSON.parse(await server.ask("GET", "stats"));
    // Fifty batches were stored one after the other, in how many shards is up to the seed.
    assert(puts >= 50 && injected > 5, `${injected} faults in ${puts} puts, seed ${seed}`);
    const shards = new Map(
      (JSON.parse(await server.ask("GET", `shards?stream=${STREAM}`)) as {
        id: string;
        start: string;
        end: string;
      }[]).map((shard) => [shard.id, shard]),
    );
    const arrived = (await server.ask("GET", `records?stream=${STREAM}`)).trimEnd().split("\n")
      .map((line) => JSON.parse(line));
    const first = new Map<string, number[]>();
    for (const { arrival, shardId, sequenceNumber, partitionKey, data } of arrived) {
      const { start, end } = shards.get(shardId)!;
      const users = takeApart({ sequenceNumber, partitionKey, data: Buffer.from(data, "base64") });
      const isOutside = (key: string) =>
        hashKeyOf(key) < BigInt(start) || hashKeyOf(key) > BigInt(end);
      if (users.some((user) => isOutside(user.partitionKey))) continue;
      for (const user of users) {
        const numbers = first.get(user.partitionKey) ?? [];
        first.set(user.partitionKey, numbers);
        if (!numbers.includes(Number(user.text))) numbers.push(Number(user.text));
      }
      assert(arrival >= 0);
    }
    for (let key = 0; key < KEYS; key++) {
      const expected = Array.from({ length: records / KEYS }, (_, i) => i * KEYS + key);
      assertEquals(first.get(`key ${key}`), expected, `seed ${seed}`);
    }

    // And what GetRecords gives is the same.
    await using kinesis = testKinesis(server.endpoint, () => Promise.resolve());
    const stored = await readBack(kinesis.client, STREAM);
    assertEquals(stored.kinesisRecords, arrived.length);
    const dropped = new Set(droppedByKcl(stored));
    const seen = new Set(stored.records.filter((r) => !dropped.has(r)).map(({ text }) => text));
    assertEquals(seen.size, records);
  },
});

Deno.test("the fault server as a sink answers and keeps nothing", async () => {
  await using server = await startFaultServer("--sink");
  await using kinesis = testKinesis(server.endpoint, () => Promise.resolve());
  const { PutRecordCommand } = await import("@aws-sdk/client-kinesis");
  const answer = await kinesis.client.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: "k", Data: new Uint8Array(1000) }),
  );
  assertEquals(answer.ShardId, "shardId-000000000000");
  assertEquals(await server.ask("GET", `records?stream=${STREAM}`), "");
});
