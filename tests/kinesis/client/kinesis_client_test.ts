import { cbor as cborCodec } from "@smithy/core/cbor";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { KinesisApi, PutRecordRequest } from "../../../src/kinesis/client/kinesis_api.ts";
import { connectKinesis } from "../../../src/kinesis/client/kinesis_client.ts";
import { classify } from "../../../src/kinesis/client/kinesis_failure.ts";
import { type Fault, FaultPlan } from "../../support/fault_server/fault_plan.ts";
import { FaultyService } from "../../support/fault_server/faulty_service.ts";
import { type FaultServer, serveFaults } from "../../support/fault_server/http_server.ts";
import { serveHttp } from "../../support/fault_server/http1.ts";
import { KinesisService } from "../../support/fault_server/kinesis_service.ts";
import { hasNode, NO_NODE, startKinesisLocal } from "../../support/kinesis_local.ts";
import { readBack } from "../../support/read_back.ts";
import { sleep } from "../../support/wait.ts";

const STREAM = "changes";
const MIB = 1024 * 1024;
const ASKED = {
  verb: "put into",
  stream: STREAM,
  region: "us-east-1",
  action: "kinesis:PutRecord",
};
const { signal } = new AbortController();

function startServer(faults: readonly Fault[], slowMs = 100): FaultServer {
  const service = new KinesisService({ maxRecordBytes: 10 * MIB, shardsPerPage: 2 });
  service.call("CreateStream", { StreamName: STREAM, ShardCount: 5 });
  const script = new Map(faults.map((fault, i) => [i + 1, fault]));
  return serveFaults(new FaultyService(service, new FaultPlan({ script, slowMs }), sleep));
}

type Wire = "json" | "cbor";
const WIRES: readonly Wire[] = ["json", "cbor"];

function connect(endpoint: string, wire: Wire): Promise<KinesisApi> {
  const credentials = { accessKeyId: "AKIATEST", secretAccessKey: "test" };
  return connectKinesis({ endpoint, region: "us-east-1", credentials, wire });
}

function request(data: Uint8Array, partitionKey = "key"): PutRecordRequest {
  return {
    streamName: STREAM,
    partitionKey,
    data,
    explicitHashKey: undefined,
    sequenceNumberForOrdering: undefined,
  };
}

for (const wire of WIRES) {
  // Idle connections are kept open until they are closed.
  const options = { sanitizeResources: false };

  Deno.test({
    ...options,
    name: `connectKinesis puts and describes in ${wire}, from 0 bytes to 10 MiB`,
    fn: async () => {
      await using server = startServer([]);
      const api = await connect(server.endpoint, wire);
      const stream = server.faulty.service.stream(STREAM);
      const sizes = [0, 1, 2, 3, 100_000, MIB, 10 * MIB - 3];
      for (const size of sizes) {
        const data = new Uint8Array(size).fill(size % 251);
        const stored = await api.putRecord(request(data), signal);
        const { shardId, sequenceNumber, data: found } = stream.records.at(-1)!;
        assertEquals(stored, { shardId, sequenceNumber });
        assertEquals(found, data);
      }
      const results = await api.putRecords(
        STREAM,
        sizes.slice(0, 4).map((size) => request(new Uint8Array(size), `é ${size}`)),
        signal,
      );
      const last = stream.records.slice(-4);
      assertEquals(last.map(({ partitionKey }) => partitionKey), ["é 0", "é 1", "é 2", "é 3"]);
      assertEquals(
        results,
        last.map(({ shardId }) => ({ kind: "stored", shardId })),
      );
      assertEquals((await api.listShards(STREAM, signal)).length, 5);
      const { createdAt, ...summary } = await api.describeStream(STREAM, signal);
      assertEquals(summary, {
        ...summary,
        status: "ACTIVE",
        mode: "provisioned",
        openShards: 5,
        maxRecordBytes: 10 * MIB,
      });
      assertEquals(createdAt, stream.createdAtMs);
      api.close();
    },
  });

  const met: readonly [Fault, string, number][] = [
    ["throttle", "throttled", 0],
    ["error", "service", 0],
    ["error-after", "service", 1],
    ["cut-before", "network", 0],
    ["cut-after", "network", 1],
  ];
  for (const [fault, reason, stored] of met) {
    Deno.test({
      ...options,
      name: `connectKinesis tells ${fault} in ${wire}, and works afterwards`,
      fn: async () => {
        // A put whose connection is cut is sent once more by some versions of the runtime itself.
        await using server = startServer([fault, ...fault.startsWith("cut") ? [fault] : []]);
        const api = await connect(server.endpoint, wire);
        const { plan, service } = server.faulty;
        const began = performance.now();
        const error = await assertRejects(() => api.putRecord(request(new Uint8Array(9)), signal));
        const failure = classify(error, ASKED);
        assertEquals([failure.kind, failure.kind === "retry" && failure.reason], ["retry", reason]);
        assert(performance.now() - began < 20_000, "noticed long before the request's timeout");
        assertEquals(service.stream(STREAM).records.length, stored * plan.puts);
        plan.settings = { ...plan.settings, script: new Map() };
        await api.putRecord(request(new Uint8Array(9)), signal);
        api.close();
      },
    });
  }

  Deno.test({
    ...options,
    name: `connectKinesis breaks off a put in ${wire} when its signal aborts`,
    fn: async () => {
      await using server = startServer(["slow-after"], 1_000);
      const api = await connect(server.endpoint, wire);
      const stop = new AbortController();
      const put = api.putRecord(request(new Uint8Array(9)), stop.signal);
      stop.abort();
      await assertRejects(() => put);
      api.close();
    },
  });

  Deno.test({
    ...options,
    name: `connectKinesis tells in ${wire} that nobody listens`,
    fn: async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      listener.close();
      const api = await connect(`http://127.0.0.1:${port}`, wire);
      const error = await assertRejects(() => api.describeStream(STREAM, signal));
      const failure = classify(error, ASKED);
      assertEquals([failure.kind, failure.kind === "retry" && failure.reason], [
        "retry",
        "network",
      ]);
      api.close();
    },
  });
}

/** Runs a script in a process with just this home, environment and the permissions that are needed. */
async function runIn(home: string, script: string, env: Record<string, string>): Promise<string> {
  const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  await Deno.writeTextFile(
    `${home}/script.ts`,
    `import { connectKinesis } from "${file("../../../src/kinesis/client/kinesis_client.ts")}";
    ${script}
    Deno.exit(0);`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      `--config=${file("../../../deno.json")}`,
      "--allow-net",
      "--allow-env",
      "--allow-sys=osRelease",
      `--allow-read=${home}`,
      `--allow-write=${home}`,
      `${home}/script.ts`,
    ],
    clearEnv: true,
    env: {
      HOME: home,
      DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
      AWS_EC2_METADATA_DISABLED: "true",
      ...env,
    },
  }).output();
  return new TextDecoder().decode(stdout.length > 0 ? stdout : stderr).trim();
}

async function withHome<T>(use: (home: string) => Promise<T>): Promise<T> {
  const home = await Deno.makeTempDir();
  try {
    return await use(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("connectKinesis finds the region where AWS_REGION, then AWS_DEFAULT_REGION say", async () => {
  const regionWith = (env: Record<string, string>) =>
    withHome((home) =>
      runIn(
        home,
        `const found = await connectKinesis().catch((error) => ({ region: String(error) }));
        console.log(found.region);`,
        env,
      )
    );
  const keys = { AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: "test" };
  const both = { AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "eu-west-2" };
  assertEquals(await regionWith({ ...keys, ...both }), "eu-west-1");
  assertEquals(await regionWith({ ...keys, AWS_DEFAULT_REGION: "eu-west-2" }), "eu-west-2");
  assertMatch(await regionWith(keys), /^MissingSetting: no AWS region found: set AWS_REGION/);
  assertMatch(
    await regionWith({ ...keys, AWS_REGION: "eu west" }),
    /^(RunError|MissingSetting): the AWS region cannot be one \(.*"eu west".*\): correct AWS_REGION/,
  );
  assertMatch(
    await regionWith({ AWS_REGION: "eu-west-1" }),
    /^(RunError|MissingSetting): no AWS credentials found: set AWS_ACCESS_KEY_ID/,
  );
});

for (const wire of ["json", "cbor"] as const) {
  Deno.test(`connectKinesis in ${wire} takes new credentials from the file when the old ones have expired`, async () => {
    await using server = serveHttp(0, (request) => {
      const contentType = request.headers.get("content-type")!;
      const isExpired = request.headers.get("authorization")!.includes("Credential=AKIAOLD/");
      const content = isExpired
        ? { __type: "ExpiredTokenException", message: "The security token is expired" }
        : { ShardId: "shard", SequenceNumber: "1" };
      const body = contentType.includes("cbor")
        ? cborCodec.serialize(content)
        : JSON.stringify(content);
      return Promise.resolve({ status: isExpired ? 400 : 200, contentType, body });
    });
    const printed = await withHome((home) =>
      runIn(
        home,
        `const write = async (id) => {
          const lines = ["[default]", "aws_access_key_id = " + id, "aws_secret_access_key = test"];
          await Deno.mkdir("${home}/.aws", { recursive: true });
          await Deno.writeTextFile("${home}/.aws/credentials", lines.join("\\n"));
        };
        await write("AKIAOLD");
        const api = await connectKinesis({ wire: "${wire}" });
        const record = { streamName: "changes", partitionKey: "key", data: new Uint8Array(3) };
        const put = () => api.putRecord(record, new AbortController().signal)
          .then(({ shardId }) => shardId, (error) => error.name);
        const found = [await put(), await put()];
        await write("AKIANEW");
        console.log(...found, await put(), await put());`,
        { AWS_REGION: "eu-west-1", AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${server.port}` },
      )
    );
    const expired = "ExpiredTokenException";
    // The put that fails with the old ones makes the next one look again.
    assertEquals(printed, `${expired} ${expired} shard shard`);
  });
}

const noNode = !hasNode();
if (noNode) console.warn(NO_NODE);
Deno.test({
  ignore: noNode,
  name: "connectKinesis in cbor stores the same bytes and tells the same errors as in json",
  sanitizeResources: false,
  fn: async () => {
    // Under Deno kinesalite answers CBOR with a single byte.
    await using kinesis = await startKinesisLocal();
    await kinesis.createStream(STREAM, 2);
    const credentials = { accessKeyId: "AKIATEST", secretAccessKey: "test" };
    const settings = { endpoint: kinesis.endpoint, region: "us-east-1", credentials };
    const [json, cbor] = await Promise.all([
      connectKinesis(settings),
      connectKinesis({ ...settings, wire: "cbor" }),
    ]);
    const data = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const put = { ...request(data, "kéy"), explicitHashKey: "0" };
    const stored = await cbor.putRecord(put, signal);
    const next = { ...put, sequenceNumberForOrdering: stored.sequenceNumber };
    assertEquals((await cbor.putRecord(next, signal)).shardId, stored.shardId);
    const [batched] = await cbor.putRecords(STREAM, [put], signal);
    assertEquals(batched, { kind: "stored", shardId: stored.shardId });
    assertEquals(
      (await readBack(kinesis.client, STREAM)).records.map((r) => [r.partitionKey, r.data]),
      [["kéy", data], ["kéy", data], ["kéy", data]],
    );
    const { createdAt } = await cbor.describeStream(STREAM, signal);
    assertEquals(createdAt, (await json.describeStream(STREAM, signal)).createdAt);
    for (const wrong of [{ streamName: "none" }, { explicitHashKey: "1".repeat(60) }]) {
      const [expected, found] = await Promise.all(
        [json, cbor].map((api) =>
          assertRejects(() => api.putRecord({ ...put, ...wrong }, signal), Error)
        ),
      );
      assertEquals([found!.name, found!.message], [expected!.name, expected!.message]);
      assertEquals(classify(found, ASKED), classify(expected, ASKED));
    }
    json.close();
    cbor.close();
  },
});

Deno.test({
  name: "connectKinesis tries again where something else than Kinesis answers, in json and cbor",
  sanitizeResources: false,
  fn: async () => {
    const page = { status: 503, contentType: "text/html", body: "<html>no</html>" };
    await using server = serveHttp(0, () => Promise.resolve(page));
    for (const wire of ["json", "cbor"] as const) {
      const api = await connect(`http://127.0.0.1:${server.port}`, wire);
      const error = await assertRejects(() => api.putRecord(request(new Uint8Array(9)), signal));
      assertEquals(classify(error, ASKED).kind, "retry", wire);
      api.close();
    }
  },
});
