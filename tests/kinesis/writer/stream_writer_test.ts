import { MergeShardsCommand, SplitShardCommand } from "@aws-sdk/client-kinesis";
import { assertEquals } from "@std/assert";
import { connectKinesis } from "../../../src/kinesis/client/kinesis_client.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { openStream } from "../../../src/kinesis/stream/open_stream.ts";
import {
  StreamWriter,
  type StreamWriterOptions,
} from "../../../src/kinesis/writer/stream_writer.ts";
import { startKinesalite, type TestKinesis } from "../../support/kinesalite.ts";
import { droppedByKcl, readBack, type StoredRecord } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

const STREAM = "changes";

async function openTestWriter(
  kinesis: TestKinesis,
  options: Partial<StreamWriterOptions> = {},
): Promise<StreamWriter> {
  const api = await connectKinesis({
    endpoint: kinesis.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "AKIATEST", secretAccessKey: "test" },
  });
  const { signal } = new AbortController();
  const stream = await openStream(
    api,
    { name: STREAM, create: false, shardCount: 0 },
    systemClock,
    Math.random,
    signal,
  );
  const writer = new StreamWriter({
    api,
    stream,
    aggregation: "kpl",
    lingerMs: 0,
    clock: systemClock,
    random: Math.random,
    ...options,
  });
  const close = () => {
    StreamWriter.prototype.close.call(writer);
    api.close();
  };
  return Object.assign(writer, { close });
}

/** Adds `count` records of `keys` keys, some after each flush; their texts are their numbers. */
async function addNumbered(
  writer: StreamWriter,
  ticket: CountingTicket,
  { from = 0, count, keys }: { from?: number; count: number; keys: number },
) {
  for (let i = from; i < from + count; i++) {
    assertEquals(writer.add(`key ${(i * 7919) % keys}`, String(i), ticket), 0);
    if (i % 100 === 99) await writer.flush();
  }
}

/** The first time that each text was stored, by partition key, in the order of the stream. */
function firstStored(records: readonly StoredRecord[]): Map<string, number[]> {
  const seen = new Set<string>();
  const byKey = new Map<string, number[]>();
  for (const { partitionKey, text } of records) {
    if (seen.has(text)) continue;
    seen.add(text);
    byKey.set(partitionKey, [...byKey.get(partitionKey) ?? [], Number(text)]);
  }
  return byKey;
}

function assertAllInOrder(records: readonly StoredRecord[], count: number) {
  const byKey = firstStored(records);
  for (const [key, numbers] of byKey) {
    assertEquals(numbers, numbers.toSorted((a, b) => a - b), key);
  }
  assertEquals([...byKey.values()].flat().length, count);
}

for (const aggregation of ["kpl", "none"] as const) {
  for (const shards of [1, 4]) {
    Deno.test(`StreamWriter stores each key's records in order, ${aggregation}, ${shards} shards`, async () => {
      await using kinesis = await startKinesalite();
      await kinesis.createStream(STREAM, shards);
      const writer = await openTestWriter(kinesis, { aggregation });
      const ticket = new CountingTicket();
      await addNumbered(writer, ticket, { count: 5000, keys: aggregation === "kpl" ? 97 : 1999 });
      await writer.drain();
      assertEquals([ticket.expected, ticket.acknowledged, writer.pendingBytes], [5000, 5000, 0]);
      writer.close();

      const stored = await readBack(kinesis.client, STREAM);
      assertEquals(stored.records.length, 5000);
      assertAllInOrder(stored.records, 5000);
      assertEquals(droppedByKcl(stored), []);
    });
  }
}

Deno.test("StreamWriter follows a split and a merge in the middle of its work", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream(STREAM, 2);
  const writer = await openTestWriter(kinesis);
  const ticket = new CountingTicket();
  await addNumbered(writer, ticket, { count: 2000, keys: 97 });
  await kinesis.client.send(
    new SplitShardCommand({
      StreamName: STREAM,
      ShardToSplit: "shardId-000000000000",
      NewStartingHashKey: String(1n << 125n),
    }),
  );
  await addNumbered(writer, ticket, { from: 2000, count: 2000, keys: 97 });
  await writer.drain();
  await kinesis.client.send(
    new MergeShardsCommand({
      StreamName: STREAM,
      ShardToMerge: "shardId-000000000003",
      AdjacentShardToMerge: "shardId-000000000001",
    }),
  );
  await addNumbered(writer, ticket, { from: 4000, count: 2000, keys: 97 });
  await writer.drain();
  assertEquals([ticket.expected, ticket.acknowledged], [6000, 6000]);
  assertEquals(writer.stats().shards.map(({ shardId }) => shardId), [
    "shardId-000000000002",
    "shardId-000000000004",
  ]);
  writer.close();

  const stored = await readBack(kinesis.client, STREAM);
  const dropped = new Set(droppedByKcl(stored));
  assertAllInOrder(stored.records, 6000);
  assertAllInOrder(stored.records.filter((record) => !dropped.has(record)), 6000);
});
