import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import type { RecordToPut } from "../../../src/kinesis/client/kinesis_api.ts";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";
import {
  type PutBody,
  putRecordBody,
  putRecordsBody,
} from "../../../src/kinesis/client/put_body.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

const pool = new BufferPool(1024 * 1024);
const NAMED = { StreamName: "s" };
const ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";

/** What JSON makes of a body, which goes back into the pool with what it holds. */
function read({ buffer, length }: PutBody): unknown {
  const content = JSON.parse(
    new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length)),
  );
  pool.give(buffer);
  return content;
}

function base64(data: Uint8Array): string {
  return Buffer.from(data).toString("base64");
}

Deno.test("putRecordBody leaves out what there is not, and names a stream by its ARN", () => {
  const record = {
    streamName: "s",
    partitionKey: "k",
    data: Uint8Array.of(1, 2, 255),
    explicitHashKey: undefined,
    sequenceNumberForOrdering: undefined,
  };
  assertEquals(read(putRecordBody(record, pool)), { ...NAMED, PartitionKey: "k", Data: "AQL/" });
  const all = { ...record, explicitHashKey: "0", sequenceNumberForOrdering: "7", streamName: ARN };
  assertEquals(read(putRecordBody(all, pool)), {
    StreamARN: ARN,
    PartitionKey: "k",
    ExplicitHashKey: "0",
    SequenceNumberForOrdering: "7",
    Data: "AQL/",
  });
});

Deno.test("put bodies hold every record as it is, whatever keys and sizes they have", () => {
  const random = randomFrom(randomSeed());
  const upTo = (most: number) => Math.floor(random() * most);
  const keys = ["a", '"Data":""', "é", "😀\\", "\u0000\u001f\u2028", "k".repeat(256)];
  const sizes = [0, 1, 2, 3, 100, 6143, 6144, 6145, 100_000];
  for (let round = 0; round < 100; round++) {
    const records: RecordToPut[] = Array.from({ length: 1 + upTo(20) }, () => ({
      partitionKey: keys[upTo(keys.length)]!,
      data: new Uint8Array(sizes[upTo(round < 90 ? 6 : 9)]!).map(() => upTo(256)),
      explicitHashKey: random() < 0.5 ? undefined : String(upTo(1e9)),
    }));
    const expected = records.map(({ partitionKey, data, explicitHashKey }) => ({
      PartitionKey: partitionKey,
      ...explicitHashKey === undefined ? {} : { ExplicitHashKey: explicitHashKey },
      Data: base64(data),
    }));
    assertEquals(read(putRecordsBody("s", records, pool)), { ...NAMED, Records: expected });
    const [record] = records;
    const one = { ...record!, streamName: "s", sequenceNumberForOrdering: undefined };
    assertEquals(read(putRecordBody(one, pool)), { ...NAMED, ...expected[0]! });
  }
});

Deno.test("put bodies take a view into a larger buffer for the bytes it is", () => {
  const data = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
  const record = { partitionKey: "k", data, explicitHashKey: undefined };
  assertEquals(read(putRecordsBody("s", [record], pool)), {
    ...NAMED,
    Records: [{ PartitionKey: "k", Data: "AgM=" }],
  });
});

Deno.test("put bodies have room for keys of which every character is three bytes", () => {
  const record = {
    partitionKey: "€".repeat(256),
    data: new Uint8Array(0),
    explicitHashKey: undefined,
  };
  const records = Array.from({ length: 500 }, () => record);
  assertEquals(read(putRecordsBody("s", records, pool)), {
    ...NAMED,
    Records: records.map(({ partitionKey }) => ({ PartitionKey: partitionKey, Data: "" })),
  });
});
