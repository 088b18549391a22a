/** What our own puts make of an answer, held against the SDK's client. */
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { KinesisClient, PutRecordCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { HttpHandler, SdkRequest } from "../../../src/aws/http_handler.ts";
import { hashBody, RequestSigner } from "../../../src/aws/signature.ts";
import { NotSent } from "../../../src/base/errors.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { AnsweringHandler } from "../../../src/kinesis/client/answered_call.ts";
import { connectKinesis } from "../../../src/kinesis/client/kinesis_client.ts";
import { classify } from "../../../src/kinesis/client/kinesis_failure.ts";
import { LeanPuts } from "../../../src/kinesis/client/lean_puts.ts";
import { type HttpResponse, serveHttp } from "../../support/fault_server/http1.ts";

const credentials = { accessKeyId: "AKIATEST", secretAccessKey: "test" };
const record = { partitionKey: "k", data: Uint8Array.of(1, 2, 3), explicitHashKey: undefined };
const put = { ...record, streamName: "changes", sequenceNumberForOrdering: undefined };
const { signal } = new AbortController();

/** What there is to know of an outcome. */
async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { gives: await call() };
  } catch (error) {
    const { name, message, code, $metadata } = error as Error & {
      code?: string;
      $metadata?: { httpStatusCode?: number };
    };
    return { name, message, code, status: $metadata?.httpStatusCode };
  }
}

const JSON_TYPE = "application/x-amz-json-1.1";
const error = (type: string) =>
  JSON.stringify({ __type: type, message: "Rate exceeded for shard" });
const ANSWERS: readonly HttpResponse[] = [
  { status: 400, contentType: JSON_TYPE, body: error("ProvisionedThroughputExceededException") },
  {
    status: 400,
    contentType: JSON_TYPE,
    body: error("com.amazonaws.kinesis#LimitExceededException"),
  },
  { status: 400, contentType: JSON_TYPE, body: error("ValidationException") },
  { status: 400, contentType: JSON_TYPE, body: "{}" },
  { status: 400, contentType: JSON_TYPE, body: "" },
  { status: 500, contentType: JSON_TYPE, body: error("InternalFailure") },
  { status: 503, contentType: "text/plain", body: "busy" },
  {
    status: 500,
    contentType: JSON_TYPE,
    body: '{"ShardId":"s","SequenceNumber":"1","Records":[{}]}',
  },
  { status: 200, contentType: JSON_TYPE, body: '{"ShardId":"shard","Sequence' },
  { status: 200, contentType: JSON_TYPE, body: "nothing" },
  { status: 200, contentType: JSON_TYPE, body: new Uint8Array([0x7B, 0xFF, 0xFE, 0x7D]) },
];

const NO_SUCCESS = [
  ...["{}", "null", "[]", '{"ShardId":"s"}', '{"ShardId":1,"SequenceNumber":2}'],
  ...['{"Records":"x"}', '{"Records":{"length":1}}', '{"Records":[null]}', '{"Records":[5]}'],
  ...['{"Records":[{}]}', '{"Records":[{"ShardId":"s"}]}', '{"Records":[{"SequenceNumber":"1"}]}'],
];
const ASKED = { verb: "put into", stream: "changes", region: "us-east-1", action: "kinesis:Put" };

Deno.test("a put that was not stored fails as with the SDK's client, for whatever answer", async () => {
  let answer = ANSWERS[0]!;
  await using server = serveHttp(0, () => Promise.resolve(answer));
  const endpoint = `http://127.0.0.1:${server.port}`;
  const settings = { endpoint, region: "us-east-1", credentials };
  const api = await connectKinesis(settings);
  const requestHandler = new NodeHttpHandler();
  const sdk = new KinesisClient({ ...settings, maxAttempts: 1, requestHandler });
  const Records = [{ PartitionKey: "k", Data: record.data }];
  try {
    for (answer of ANSWERS) {
      const what = `${answer.status} ${answer.body}`;
      const one = await outcomeOf(() => api.putRecord(put, signal));
      assertEquals(
        one,
        await outcomeOf(() =>
          sdk.send(new PutRecordCommand({ StreamName: "changes", ...Records[0]! }))
        ),
        what,
      );
      assert(!("gives" in (one as object)), what);
      assertEquals(
        await outcomeOf(() => api.putRecords("changes", [record], signal)),
        await outcomeOf(() => sdk.send(new PutRecordsCommand({ StreamName: "changes", Records }))),
        what,
      );
    }
    // What the SDK lets pass as a success without a word of where the record is.
    for (const body of NO_SUCCESS) {
      answer = { status: 200, contentType: JSON_TYPE, body };
      for (
        const call of [
          () => api.putRecord(put, signal),
          () => api.putRecords("changes", [record], signal),
        ]
      ) {
        const error = await assertRejects(call, Error, undefined, body);
        // Neither a success nor a mistake of this program's that ends the run.
        assertEquals(classify(error, ASKED).kind, "retry", `${body}: ${error}`);
      }
    }
  } finally {
    api.close();
    sdk.destroy();
  }
});

Deno.test("puts go where the SDK's client sends them, whichever account a stream or the credentials are in", async () => {
  const hosts: string[] = [];
  const body = new TextEncoder().encode('{"ShardId":"s","SequenceNumber":"1"}');
  const network = {
    metadata: { handlerProtocol: "http/1.1" },
    handle: ({ hostname }: SdkRequest) => {
      hosts.push(hostname);
      return Promise.resolve({ response: { statusCode: 200, reason: "OK", headers: {}, body } });
    },
  } as unknown as HttpHandler;
  let accountId: string | undefined;
  const provide = () => Promise.resolve({ ...credentials, ...accountId ? { accountId } : {} });
  const client = new KinesisClient({
    region: "eu-west-1",
    credentials: Object.assign(provide, { memoized: true }),
    requestHandler: new AnsweringHandler(network) as never,
  });
  const puts = new LeanPuts(client, network, systemClock);
  const options = { abortSignal: signal, requestTimeout: 1000 };
  const arnOf = (account: string) => `arn:aws:kinesis:eu-west-1:${account}:stream/changes`;
  const found = new Set<string>();
  // As when a role of another account is taken while the program runs.
  for (accountId of [undefined, "333333333333", "444444444444"]) {
    for (const arn of [arnOf("111111111111"), arnOf("222222222222"), undefined]) {
      await puts.putRecord({ ...put, streamName: arn ?? "changes" }, options);
      const stream = arn === undefined ? { StreamName: "changes" } : { StreamARN: arn };
      const [ours] = hosts.splice(0);
      found.add(ours!);
      await client.send(new PutRecordCommand({ ...stream, PartitionKey: "k", Data: record.data }));
      assertEquals([ours], hosts.splice(0), `${arn} with the credentials of ${accountId}`);
    }
  }
  assertEquals(found.size, 5);
});

Deno.test("puts at the same time have each its own body, and the signature of it", async () => {
  const sent: { body: Uint8Array<ArrayBuffer>; headers: Headers }[] = [];
  const dataOf = (body: Uint8Array) =>
    new Uint8Array(Buffer.from(JSON.parse(new TextDecoder().decode(body)).Data, "base64"));
  const answer = new TextEncoder().encode('{"ShardId":"s","SequenceNumber":"1"}');
  const network = {
    metadata: { handlerProtocol: "http/1.1" },
    handle: ({ body, headers }: SdkRequest) => {
      const copy = (body as Uint8Array<ArrayBuffer>).slice();
      sent.push({ body: copy, headers: new Headers(headers) });
      const response = { statusCode: 200, reason: "OK", headers: {}, body: answer };
      return Promise.resolve({ response });
    },
  } as unknown as HttpHandler;
  const requestHandler = new AnsweringHandler(network) as never;
  const client = new KinesisClient({ region: "eu-west-1", credentials, requestHandler });
  const puts = new LeanPuts(client, network, systemClock);
  const options = { abortSignal: signal, requestTimeout: 1000 };
  // Beyond a certain length another thread hashes the body, and other puts are written meanwhile.
  const sizes = [900_000, 10, 900_000, 390_000, 395_000, 10];
  const datas = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  await Promise.all(datas.map((data) => puts.putRecord({ ...put, data }, options)));

  for (const data of datas) {
    const { body, headers } = sent.find(({ body }) => dataOf(body)[0] === data[0])!;
    assertEquals(dataOf(body), data);
    const authorization = headers.get("authorization")!;
    const names = /SignedHeaders=([^,]+)/.exec(authorization)![1]!.split(";")
      .filter((name) => name !== "x-amz-date");
    const signer = new RequestSigner({ region: "eu-west-1", service: "kinesis" }, {
      ...{ method: "POST", path: "/" },
      headers: Object.fromEntries(names.map((name) => [name, headers.get(name)!])),
    });
    const time = headers.get("x-amz-date")!
      .replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5");
    const again = signer.sign(await hashBody(body), credentials, Date.parse(time));
    assertEquals(again.authorization, authorization);
  }
});

for (const wire of ["json", "cbor"] as const) {
  Deno.test(`a put that may not be sent any more once it is ready does not leave (${wire})`, async () => {
    let requests = 0;
    await using server = serveHttp(0, () => {
      requests++;
      return Promise.resolve({ status: 500, contentType: JSON_TYPE, body: "{}" });
    });
    const endpoint = `http://127.0.0.1:${server.port}`;
    const api = await connectKinesis({ endpoint, region: "us-east-1", credentials, wire });
    try {
      for (
        const call of [
          (maySend: () => boolean) => api.putRecord(put, signal, maySend),
          (maySend: () => boolean) => api.putRecords("changes", [record], signal, maySend),
        ]
      ) {
        let maySend = true;
        const called = call(() => maySend);
        maySend = false;
        await assertRejects(() => called, NotSent);
      }
    } finally {
      api.close();
    }
    assertEquals(requests, 0);
  });
}
