import { assert, assertEquals, assertRejects } from "@std/assert";
import { RunError } from "../../../src/base/errors.ts";
import type { StreamSummary } from "../../../src/kinesis/client/kinesis_api.ts";
import { type OpenStream, openStream } from "../../../src/kinesis/stream/open_stream.ts";
import { throttled } from "../../support/fault_server/service_error.ts";
import { logged } from "../../support/logs.ts";
import { Simulation, STREAM } from "../writer/simulation.ts";

const HOUR_MS = 3_600_000;

/** Opens the stream over the simulated service, of which `changed` may answer differently. */
function open(
  simulation: Simulation,
  options: { name?: string; create?: boolean; shardCount?: number } = {},
  describe: (summary: StreamSummary) => Partial<StreamSummary> = () => ({}),
): Promise<OpenStream> {
  const { clock, random, api } = simulation;
  const asIs = Object.getPrototypeOf(api).describeStream.bind(api) as typeof api.describeStream;
  api.describeStream = async (name, signal) => {
    const summary = await asIs(name, signal);
    return { ...summary, ...describe(summary) };
  };
  const wanted = { name: STREAM, create: false, shardCount: 2, ...options };
  const { signal } = new AbortController();
  return clock.run(openStream(api, wanted, clock, random, signal), HOUR_MS);
}

Deno.test("openStream gives the stream's limits and shards, from all pages", async () => {
  const simulation = new Simulation({
    shards: 7,
    service: { shardsPerPage: 2, maxRecordBytes: 3 * 1024 * 1024, mode: "ON_DEMAND" },
  });
  const { summary, shards } = await open(simulation);
  assertEquals([summary.maxRecordBytes, summary.mode], [3 * 1024 * 1024, "on-demand"]);
  assertEquals([shards.open.length, shards.gap()], [7, undefined]);
});

Deno.test("openStream says how to make a stream that is not there", async () => {
  const error = await assertRejects(() => open(new Simulation(), { name: "other" }), RunError);
  assert(error.message.startsWith("cannot find stream other (us-east-1): "), error.message);
  assert(error.message.includes("--create-stream"), error.message);
});

Deno.test("openStream tells a quota of streams or shards that is used up", async () => {
  const simulation = new Simulation();
  simulation.api.createStream = () =>
    Promise.reject(Object.assign(new Error("over the limit"), { name: "LimitExceededException" }));
  const error = await assertRejects(
    () => open(simulation, { name: "other", create: true }),
    RunError,
  );
  assert(
    error.message.startsWith(
      "cannot create stream other (us-east-1): LimitExceededException: over the limit; the account's " +
        "quota of streams or shards in this region is used up",
    ),
    error.message,
  );
});

Deno.test("openStream makes a missing stream with --create-stream, of a size or on demand", async () => {
  const simulation = new Simulation();
  const made = await open(simulation, { name: "other", create: true, shardCount: 3 });
  assertEquals([made.shards.open.length, made.summary.mode], [3, "provisioned"]);
  const onDemand = await open(simulation, { name: "third", create: true, shardCount: 0 });
  assertEquals(onDemand.summary.mode, "on-demand");
  const there = await open(simulation, { create: true, shardCount: 5 });
  assertEquals(there.shards.open.length, 1);
});

Deno.test("openStream waits for a stream that is being made", async () => {
  const simulation = new Simulation();
  const { clock } = simulation;
  const status = () => ({ status: clock.now() < 20_000 ? "CREATING" : "ACTIVE" });
  await open(simulation, {}, status);
  assert(clock.now() >= 20_000 && clock.now() < 21_000, `${clock.now()} ms`);
});

Deno.test("openStream waits for a listing in which each key has one shard", async () => {
  const simulation = new Simulation({ shards: 2 });
  const { api, clock } = simulation;
  const whole = Object.getPrototypeOf(api).listShards.bind(api) as typeof api.listShards;
  // As in the middle of a reshard: first no shard is open, then one of the two.
  api.listShards = async (name, signal) => {
    const shards = await whole(name, signal);
    return shards.slice(0, clock.now() < 10_000 ? 0 : clock.now() < 20_000 ? 1 : 2);
  };
  const { shards } = await open(simulation);
  assertEquals([shards.open.length, shards.gap()], [2, undefined]);
  assert(clock.now() >= 20_000, `${clock.now()} ms`);
});

Deno.test("openStream warns of a listing that stays incomplete, once a minute", async () => {
  const simulation = new Simulation({ shards: 2 });
  const { api, clock } = simulation;
  const whole = Object.getPrototypeOf(api).listShards.bind(api) as typeof api.listShards;
  api.listShards = async (name, signal) =>
    (await whole(name, signal)).slice(0, clock.now() < 600_000 ? 1 : 2);
  const lines = await logged(() => open(simulation));
  const warnings = lines.filter(({ text }) =>
    /do not cover all keys, \d+ s after .*no open shard/.test(text)
  );
  assertEquals(warnings.length, 10, lines.map(({ text }) => text).join("\n"));
});

Deno.test("openStream refuses a stream that is being deleted, and one that ignores partition keys", async () => {
  const simulation = new Simulation();
  await assertRejects(
    () => open(simulation, {}, () => ({ status: "DELETING" })),
    RunError,
    "must be ACTIVE or UPDATING, found DELETING",
  );
  await assertRejects(
    () => open(simulation, {}, () => ({ distribution: "AUTO" })),
    RunError,
    "RecordDistributionStrategy AUTO",
  );
});

Deno.test("openStream tries again what passes, and gives up while a person still waits", async () => {
  const simulation = new Simulation();
  let calls = 0;
  simulation.faulty.onCall = () => {
    if (++calls < 5) throw throttled("of this test");
  };
  await open(simulation);
  simulation.faulty.onCall = () => {
    throw Object.assign(new Error("getaddrinfo ENOTFOUND kinesis"), { code: "ENOTFOUND" });
  };
  const since = simulation.clock.now();
  const lines = await logged(() =>
    assertRejects(() => open(simulation), RunError, "AWS_ENDPOINT_URL_KINESIS")
  );
  assert(simulation.clock.now() - since < 25_000);
  assert(lines.length <= 4, `the same reason is told ${lines.length} times`);
  assertEquals(
    lines[0]?.text,
    "cannot find stream changes yet: ENOTFOUND: getaddrinfo ENOTFOUND kinesis; trying for 15 s " +
      "more in us-east-1; check AWS_REGION, AWS_ENDPOINT_URL_KINESIS and the network path to that host",
  );
});

Deno.test("openStream tells that there is no answer before that counts as a failure", async () => {
  const simulation = new Simulation();
  const { api, clock } = simulation;
  api.describeStream = async () => {
    await clock.sleep(30_000);
    throw Object.assign(new Error("no answer"), { name: "TimeoutError" });
  };
  const lines = await logged(() =>
    assertRejects(() =>
      clock.run(
        openStream(
          api,
          { name: STREAM, create: false, shardCount: 1 },
          clock,
          () => 0,
          new AbortController().signal,
        ),
        HOUR_MS,
      ), RunError)
  );
  assertEquals(lines, [{
    level: "warning",
    text: "cannot find stream changes yet: no answer from us-east-1 after 3 s; " +
      "check AWS_REGION, AWS_ENDPOINT_URL_KINESIS and the network path to that host",
  }]);
});
