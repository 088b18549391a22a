import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { KinesisApi, PutRecordRequest } from "../../src/kinesis/api.ts";
import { connectKinesis } from "../../src/kinesis/client.ts";
import { classify } from "../../src/kinesis/put_error.ts";
import { type Fault, FaultPlan } from "../support/fault_server/fault_plan.ts";
import { FaultyService } from "../support/fault_server/faulty_service.ts";
import { type FaultServer, serveFaults } from "../support/fault_server/http_server.ts";
import { KinesisService } from "../support/fault_server/kinesis_service.ts";
import { sleep } from "../support/wait.ts";

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

function connect(endpoint: string, transport: "node:http" | "fetch"): Promise<KinesisApi> {
  const credentials = { accessKeyId: "AKIATEST", secretAccessKey: "test" };
  return connectKinesis({ endpoint, region: "us-east-1", credentials }, transport);
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

const isOldDeno = Deno.version.deno.startsWith("2.4.");

for (const transport of ["node:http", "fetch"] as const) {
  const options = {
    ignore: isOldDeno && transport === "node:http",
    // Both keep idle connections open until they are closed.
    sanitizeResources: false,
  };
  if (options.ignore) {
    console.log("skipped: Deno 2.4's node:http is not used, it misses cut connections");
  }

  Deno.test({
    ...options,
    name: `connectKinesis puts and describes over ${transport}, from 0 bytes to 10 MiB`,
    fn: async () => {
      await using server = startServer([]);
      const api = await connect(server.endpoint, transport);
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
      name: `connectKinesis tells ${fault} over ${transport}, and works afterwards`,
      fn: async () => {
        // A put whose connection is cut is sent once more by some versions of the runtime itself.
        await using server = startServer([fault, ...fault.startsWith("cut") ? [fault] : []]);
        const api = await connect(server.endpoint, transport);
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
    name: `connectKinesis breaks off a put over ${transport} when its signal aborts`,
    fn: async () => {
      await using server = startServer(["slow-after"], 1_000);
      const api = await connect(server.endpoint, transport);
      const stop = new AbortController();
      const put = api.putRecord(request(new Uint8Array(9)), stop.signal);
      stop.abort();
      await assertRejects(() => put);
      api.close();
    },
  });

  Deno.test({
    ...options,
    name: `connectKinesis tells over ${transport} that nobody listens`,
    fn: async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      listener.close();
      const api = await connect(`http://127.0.0.1:${port}`, transport);
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

/** What `connectKinesis` finds in a process with just this environment and these permissions. */
async function connectWith(env: Record<string, string>): Promise<string> {
  const home = await Deno.makeTempDir();
  const file = (path: string) => new URL(path, import.meta.url).pathname;
  const script = `${home}/connect.ts`;
  await Deno.writeTextFile(
    script,
    `import { connectKinesis } from "${file("../../src/kinesis/client.ts")}";
    const found = await connectKinesis().catch((error) => ({ region: String(error) }));
    console.log(found.region);
    Deno.exit(0);`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      `--config=${file("../../deno.json")}`,
      "--allow-net",
      "--allow-env",
      "--allow-sys=osRelease",
      `--allow-read=${home}`,
      script,
    ],
    clearEnv: true,
    env: {
      HOME: home,
      DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
      AWS_EC2_METADATA_DISABLED: "true",
      ...env,
    },
  }).output();
  await Deno.remove(home, { recursive: true });
  return new TextDecoder().decode(stdout.length > 0 ? stdout : stderr).trim();
}

Deno.test("connectKinesis finds the region where AWS_REGION, then AWS_DEFAULT_REGION say", async () => {
  const keys = { AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: "test" };
  const both = { AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "eu-west-2" };
  assertEquals(await connectWith({ ...keys, ...both }), "eu-west-1");
  assertEquals(await connectWith({ ...keys, AWS_DEFAULT_REGION: "eu-west-2" }), "eu-west-2");
  assertMatch(await connectWith(keys), /^RunError: no AWS region found: set AWS_REGION/);
  assertMatch(
    await connectWith({ AWS_REGION: "eu-west-1" }),
    /^RunError: no AWS credentials found: set AWS_ACCESS_KEY_ID/,
  );
});
