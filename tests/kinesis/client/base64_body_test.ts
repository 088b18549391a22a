import { Buffer } from "node:buffer";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { fillIn, useNativeBase64 } from "../../../src/kinesis/client/base64_body.ts";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";

const pool = new BufferPool(1024 * 1024);
const read = ({ buffer, length }: ReturnType<typeof fillIn>) =>
  JSON.parse(new TextDecoder().decode(buffer.subarray(0, length)));

Deno.test("fillIn puts the base64 of each record in its place, whatever the other members say", () => {
  const key = '"Data":"" é 😀';
  const template = JSON.stringify({
    Records: [{ Data: "", PartitionKey: key }, { PartitionKey: "b", Data: "" }, { Data: "" }],
    StreamName: "s",
  });
  const data = [Uint8Array.of(0, 255, 16, 7), new Uint8Array(0), Uint8Array.of(65)];
  const expected = {
    Records: [
      { Data: "AP8QBw==", PartitionKey: key },
      { PartitionKey: "b", Data: "" },
      { Data: "QQ==" },
    ],
    StreamName: "s",
  };
  assertEquals(read(fillIn(template, data, pool)), expected);
  assertEquals(read(fillIn(new TextEncoder().encode(template), data, pool)), expected);
});

Deno.test("fillIn takes a view into a larger buffer for the bytes it is", () => {
  const whole = new TextEncoder().encode('....{"Data":""}....');
  const data = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
  assertEquals(read(fillIn(whole.subarray(4, 15), [data], pool)), { Data: "AgM=" });
});

Deno.test("fillIn refuses a JSON text without the place for the data", () => {
  assertThrows(
    () => fillIn('{"Data":"","StreamName":"s"}', [NONE, NONE], pool),
    Error,
    "please report",
  );
});

const NONE = new Uint8Array(0);

Deno.test("fillIn writes large data and a used buffer without a trace of what was there", () => {
  for (const bytes of [6143, 6144, 6145, 500_000]) {
    const data = new Uint8Array(bytes).map((_, i) => i * 7 + (i >> 8));
    const body = fillIn('{"Data":"","StreamName":"s"}', [data], pool);
    assertEquals(read(body), { Data: Buffer.from(data).toString("base64"), StreamName: "s" });
    pool.give(body.buffer);
  }
});

Deno.test("useNativeBase64 uses a body again once its put was answered, and never one that failed", async () => {
  const bodies: Uint8Array[] = [];
  let fails = false;
  const answer = new TextEncoder().encode('{"ShardId":"s","SequenceNumber":"1"}');
  const client = new KinesisClient({
    region: "us-east-1",
    endpoint: "http://127.0.0.1:1",
    maxAttempts: 1,
    credentials: { accessKeyId: "AKIATEST", secretAccessKey: "test" },
    requestHandler: {
      handle: ({ body }: { body: Uint8Array }) => {
        bodies.push(body);
        if (fails) return Promise.reject(Object.assign(new Error("cut"), { code: "ECONNRESET" }));
        return Promise.resolve({ response: { statusCode: 200, headers: {}, body: answer } });
      },
    } as never,
  });
  useNativeBase64(client, new BufferPool(1024 * 1024));
  const put = (byte: number) =>
    client.send(
      new PutRecordCommand({
        StreamName: "s",
        PartitionKey: "k",
        Data: new Uint8Array(9000).fill(byte),
      }),
    );
  await put(1);
  fails = true;
  await assertRejects(() => put(2));
  fails = false;
  const failed = bodies[1]!.slice();
  await put(3);
  const [first, second, third] = bodies.map(({ buffer }) => buffer);
  assertEquals([first === second, second === third], [true, false]);
  assertEquals(bodies[1], failed);
  client.destroy();
});
