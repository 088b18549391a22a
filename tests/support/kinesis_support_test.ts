import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PutRecordCommand, SplitShardCommand } from "@aws-sdk/client-kinesis";
import { createHash } from "node:crypto";
import common from "aws-kinesis-agg/lib/common.js";
import { startKinesalite, type TestKinesis, waitForActiveStream } from "./kinesalite.ts";
import { droppedByKcl, hashKeyOf, readBack, takeApart } from "./read_back.ts";

const MAX_HASH_KEY = "340282366920938463463374607431768211455";

Deno.test("readBack gives binary user records, shard by shard, in order", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 2);
  const bytes = new Uint8Array([0, 255, 128, 200, 10]);
  // MD5("a") begins with 0c, MD5("b") with 92: the first and the second shard.
  await put(kinesis, "b", bytes);
  await put(kinesis, "a", aggregate(["a"], [[0, bytes], [0, new TextEncoder().encode("é")]]));
  await put(kinesis, "b", new TextEncoder().encode("last"));
  const stream = await readBack(kinesis.client, "s");
  assertEquals(stream.shards.map(({ parents }) => parents), [[], []]);
  assertEquals(stream.shards[1]!.range.end, BigInt(MAX_HASH_KEY));
  assertEquals(stream.kinesisRecords, 3);
  assertEquals(
    stream.records.map((
      r,
    ) => [stream.shards.findIndex((s) => s.shardId === r.shardId), r.subSequence, r.partitionKey]),
    [[0, 0, "a"], [0, 1, "a"], [1, undefined, "b"], [1, undefined, "b"]],
  );
  assertEquals(stream.records[0]!.data, bytes);
  assertEquals(stream.records[2]!.data, bytes);
  assertEquals(stream.records.map(({ arrival }) => arrival), [0, 1, 2, 3]);
  assertEquals([stream.records[1]!.text, stream.records[3]!.text], ["é", "last"]);
  assertEquals(stream.records[0]!.hashKey, 0x0cc175b9c0f1b6a831c399e269772661n);
});

Deno.test("readBack reads parents before children", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  const texts = ["1", "2", "3"];
  await put(kinesis, "a", new TextEncoder().encode(texts[0]));
  const [parent] = (await readBack(kinesis.client, "s")).shards;
  await kinesis.client.send(
    new SplitShardCommand({
      StreamName: "s",
      ShardToSplit: parent!.shardId,
      NewStartingHashKey: String(1n << 127n),
    }),
  );
  await waitForActiveStream(kinesis.client, "s");
  await put(kinesis, "b", new TextEncoder().encode(texts[2]));
  await put(kinesis, "a", new TextEncoder().encode(texts[1]));
  const stream = await readBack(kinesis.client, "s");
  assertEquals(stream.records.map(({ text }) => text), texts);
  assertEquals(stream.shards.map(({ parents }) => parents.length), [0, 1, 1]);
});

Deno.test("droppedByKcl drops a whole aggregate for one user record outside of the shard", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 2);
  const data = new Uint8Array();
  await put(kinesis, "a", aggregate(["a", "b"], [[0, data], [1, data]]));
  await put(kinesis, "a", aggregate(["a"], [[0, data], [0, data]]));
  await put(kinesis, "a", aggregate(["b"], [[0, data, 0], [0, data, 0]], ["0"]));
  await put(kinesis, "b", aggregate(["b"], [[0, data], [0, data, 0]], ["0"]));
  const stream = await readBack(kinesis.client, "s");
  assertEquals(stream.records.length, 8);
  const dropped = droppedByKcl(stream);
  const numbers = [...new Set(stream.records.map(({ sequenceNumber }) => sequenceNumber))];
  assertEquals(
    dropped.map((r) => [numbers.indexOf(r.sequenceNumber), r.subSequence, r.explicitHashKey]),
    [[0, 0, undefined], [0, 1, undefined], [3, 0, undefined], [3, 1, "0"]],
  );
});

Deno.test("takeApart refuses an aggregate with a wrong checksum", () => {
  const data = aggregate(["a"], [[0, new Uint8Array(3)]]);
  data[data.length - 1]! ^= 1;
  assertThrows(
    () => takeApart({ sequenceNumber: "1", partitionKey: "a", data }),
    Error,
    "deaggregator refused",
  );
});

Deno.test("hashKeyOf is the MD5 as an unsigned number", () => {
  assertEquals(hashKeyOf("b"), 0x92eb5ffee6ae2fec3ad71c777531578fn);
});

Deno.test("startKinesalite refuses a stream that is not there", async () => {
  await using kinesis = await startKinesalite();
  await assertRejects(() => readBack(kinesis.client, "nothing"), Error, "not found");
  assert(kinesis.env.AWS_ENDPOINT_URL_KINESIS!.startsWith("http://127.0.0.1:"));
});

async function put(kinesis: TestKinesis, PartitionKey: string, Data: Uint8Array) {
  await kinesis.client.send(new PutRecordCommand({ StreamName: "s", PartitionKey, Data }));
}

/** An aggregate by AWS's own protobuf model, whatever it holds: [partition key, data, hash key]. */
function aggregate(
  partitionKeys: string[],
  records: [number, Uint8Array, number?][],
  explicitHashKeys: string[] = [],
): Uint8Array {
  const body = common.AggregatedRecord.encode(common.AggregatedRecord.create({
    partition_key_table: partitionKeys,
    explicit_hash_key_table: explicitHashKeys,
    records: records.map(([partition_key_index, data, explicit_hash_key_index]) => ({
      partition_key_index,
      data,
      ...(explicit_hash_key_index === undefined ? {} : { explicit_hash_key_index }),
    })),
  })).finish();
  const checksum = createHash("md5").update(body).digest();
  return new Uint8Array([...common.magic, ...body, ...checksum]);
}

// Deno 2.4 never lets go of a request body that was cut short.
const leaky = { sanitizeOps: false, sanitizeResources: false };
Deno.test(
  "startKinesalite survives a client that is gone in the middle of a request",
  leaky,
  async () => {
    await using kinesis = await startKinesalite();
    await kinesis.createStream("s", 1);
    const { hostname, port } = new URL(kinesis.endpoint);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    await connection.write(new TextEncoder().encode(request));
    // Only once the server reads the body does the end of the connection cut it short.
    await put(kinesis, "a", new Uint8Array(1));
    connection.close();
    for (let i = 0; i < 20; i++) await put(kinesis, "a", new Uint8Array(1));
    assertEquals((await readBack(kinesis.client, "s")).records.length, 21);
  },
);
