import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RunError } from "../../../src/base/errors.ts";
import type { RecordTarget } from "../../../src/base/record_writer.ts";
import type { KinesisApi } from "../../../src/kinesis/client/kinesis_api.ts";
import { StreamSet, type StreamSetOptions } from "../../../src/kinesis/writer/stream_set.ts";
import { WriterMemory } from "../../../src/kinesis/writer/writer_memory.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { FaultPlan, type FaultPlanSettings } from "../../support/fault_server/fault_plan.ts";
import { ARN_START, KinesisService } from "../../support/fault_server/kinesis_service.ts";
import { FaultyService } from "../../support/fault_server/faulty_service.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";
import { seenRecords } from "./seen_by_consumer.ts";
import { SimulatedKinesis } from "./simulated_kinesis.ts";

const HOUR_MS = 3_600_000;
const KIB = 1024;

/** Streams in virtual time; what is asked of the service by name is counted. */
class World {
  readonly clock = new VirtualClock();
  readonly service: KinesisService;
  readonly asked: string[] = [];
  readonly #api: SimulatedKinesis;
  /** Streams that take nothing. */
  readonly throttled = new Set<string>();
  readonly random: () => number;

  constructor(
    streams: Readonly<Record<string, number>>,
    faults: Partial<FaultPlanSettings> = {},
    seed = 1,
  ) {
    this.random = randomFrom(seed);
    this.service = new KinesisService({ now: () => this.clock.now() });
    for (const [StreamName, ShardCount] of Object.entries(streams)) {
      this.service.call("CreateStream", { StreamName, ShardCount });
    }
    const plan = new FaultPlan({ random: this.random, ...faults });
    const faulty = new FaultyService(this.service, plan, (ms) => this.clock.sleep(ms));
    const network = { latencyMs: 20, timeoutMs: 30_000 };
    this.#api = new SimulatedKinesis(faulty, this.clock, network, this.random);
  }

  /** The API of Kinesis, with ARNs. */
  get api(): KinesisApi {
    const nameOf = (stream: string) => stream.replace(ARN_START, "");
    const api = this.#api;
    return {
      region: api.region,
      putRecord: async (request, signal) => {
        const streamName = nameOf(request.streamName);
        if (!this.throttled.has(streamName)) {
          return await api.putRecord({ ...request, streamName }, signal);
        }
        await this.clock.sleep(20);
        throw Object.assign(new Error("slow down"), {
          name: "ProvisionedThroughputExceededException",
        });
      },
      putRecords: (stream, records, signal) => api.putRecords(nameOf(stream), records, signal),
      listShards: (stream, signal) => api.listShards(nameOf(stream), signal),
      describeStream: async (stream, signal) => {
        this.asked.push(stream);
        const summary = await api.describeStream(nameOf(stream), signal);
        return { ...summary, arn: ARN_START + nameOf(stream) };
      },
      createStream: (stream, shards, signal) => api.createStream(stream, shards, signal),
      close: () => {},
    };
  }

  async run<T>(
    options: Partial<StreamSetOptions>,
    work: (set: StreamSet) => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this;
    const set = new StreamSet({
      streams: { create: false, shardCount: 1, aggregation: "kpl", lingerMs: 0 },
      connect: () => Promise.resolve(this.api),
      ...{ clock, random, signal: new AbortController().signal },
      ...options,
    });
    const started = async () => {
      try {
        return await work(set);
      } finally {
        set.close();
      }
    };
    return await clock.run(started(), HOUR_MS);
  }

  /** Keys and texts of a stream in the order of their arrival. */
  stored(name: string): { readonly partitionKey: string; readonly text: string }[] {
    const stream = this.service.stream(name);
    return stream.records.flatMap((put) => seenRecords(put, stream));
  }
}

const texts = (world: World, stream: string) => world.stored(stream).map(({ text }) => text);

Deno.test("StreamSet opens a stream when it is first asked for, once, and puts into that one", async () => {
  const world = new World({ a: 1, b: 4 });
  const ticket = new CountingTicket();
  await world.run({}, async (set) => {
    assertEquals(world.asked, []);
    const [first, again] = [set.open("a"), set.open("a")];
    assert(first instanceof Promise && first === again);
    const a = await first;
    assertEquals(set.open("a"), a);
    const b = await set.open("b");
    for (let i = 0; i < 100; i++) (i % 2 === 0 ? a : b).add(`k${i}`, String(i), ticket);
    await set.drain();
    assertEquals(set.pendingBytes, 0);
    const { streams, userRecords, shards } = set.stats();
    assertEquals(streams.map((each) => [each.stream, each.userRecords, each.shards.length]), [
      ["a", 50, 1],
      ["b", 50, 4],
    ]);
    assertEquals([userRecords, shards.length, ticket.acknowledged], [100, 5, 100]);
  });
  // Later looks are those of the streams' watches.
  assertEquals(world.asked.slice(0, 2), ["a", "b"]);
  assertEquals(texts(world, "a"), Array.from({ length: 50 }, (_, i) => String(i * 2)));
  assertEquals(new Set(texts(world, "b")).size, 50);
});

Deno.test("StreamSet's figures stay as they were: rates are the difference of two of them", async () => {
  const world = new World({ a: 2 });
  await world.run({}, async (set) => {
    const a = await set.open("a");
    const before = set.stats();
    const text = JSON.stringify(before);
    for (let i = 0; i < 10; i++) a.add(`k${i}`, String(i), new CountingTicket());
    await set.drain();
    assertEquals(JSON.stringify(before), text);
    const { puts, putSeconds } = set.stats();
    assert(puts > 0 && putSeconds.count === puts);
  });
});

Deno.test("StreamSet takes a name and an ARN of the same stream for one, with one lane a shard", async () => {
  const world = new World({ a: 2 });
  await world.run({}, async (set) => {
    const [byName, byArn] = await Promise.all([set.open("a"), set.open(ARN_START + "a")]);
    assertEquals(byName, byArn);
    assertEquals(set.stats().streams.length, 1);
  });
});

Deno.test("StreamSet says which stream is missing, and creates it when it may, but none by its ARN", async () => {
  const world = new World({ a: 1 });
  await world.run({}, async (set) => {
    await set.open("a");
    const error = await assertRejects(() => Promise.resolve(set.open("app.t")), RunError);
    assertStringIncludes((error as RunError).message, "cannot find stream app.t");
  });
  const streams = { create: true, shardCount: 3, aggregation: "kpl", lingerMs: 0 } as const;
  await world.run({ streams }, async (set) => {
    await set.open("app.t");
    assertEquals(set.stats().streams.map(({ shards }) => shards.length), [3]);
    await assertRejects(() => Promise.resolve(set.open(ARN_START + "gone")), RunError);
  });
  assertEquals(world.service.streams.has("gone"), false);
});

Deno.test("StreamSet asks for no more than an account may when it opens many streams at once", async () => {
  const names = Array.from({ length: 100 }, (_, i) => `s${i}`);
  const world = new World(Object.fromEntries(names.map((name) => [name, 1])));
  await world.run({}, async (set) => {
    const startedMs = world.clock.now();
    await Promise.all(names.map((name) => set.open(name)));
    const seconds = (world.clock.now() - startedMs) / 1000;
    assert(seconds >= 100 / 20, `${seconds} s`);
  });
});

Deno.test("StreamSet uses what it found ahead for a minute, and creates no stream ahead", async () => {
  const world = new World({ a: 1, b: 1 });
  const streams = { create: true, shardCount: 2, aggregation: "kpl", lingerMs: 0 } as const;
  await world.run({ streams }, async (set) => {
    await set.lookAhead(["a", "b", "c"]);
    assertEquals(world.asked, ["a", "b", "c"]);
    assertEquals(world.service.streams.has("c"), false);
    // Nothing is open, and nothing is shared with others, before it is asked for.
    assertEquals(set.stats().streams, []);
    const startedMs = world.clock.now();
    await set.open("a");
    assertEquals([world.clock.now() - startedMs, world.asked.length], [0, 3]);
    await set.open("c");
    assertEquals(world.service.stream("c").open.length, 2);
    await world.clock.sleep(60_000);
    const before = world.asked.filter((name) => name === "b").length;
    await set.open("b");
    assertEquals(world.asked.filter((name) => name === "b").length, before + 1);
  });
});

Deno.test("StreamSet: what is missing ahead ends nothing until it is needed, and may be there by then", async () => {
  const world = new World({ a: 1 });
  await world.run({}, async (set) => {
    await set.lookAhead(["b", "a"]);
    const error = await assertRejects(async () => await set.open("b"), RunError);
    assertStringIncludes((error as RunError).message, "cannot find stream b");
  });
  await world.run({}, async (set) => {
    const looking = set.lookAhead(["b"]);
    // Asked for while it is looked for.
    const opening = Promise.resolve(set.open("b"));
    world.service.call("CreateStream", { StreamName: "b", ShardCount: 1 });
    await Promise.all([looking, opening]);
  });
});

Deno.test("StreamSet connects again for a stream that is needed when it could not while it looked ahead", async () => {
  const world = new World({ a: 1 });
  let connects = 0;
  const connect = () =>
    ++connects === 1 ? Promise.reject(new RunError("no credentials")) : Promise.resolve(world.api);
  await world.run({ connect }, async (set) => {
    await set.lookAhead(["a"]);
    await set.open("a");
    assertEquals(connects, 2);
  });
});

Deno.test("StreamSet lets nothing linger while the memory of all streams is full", async () => {
  const world = new World({ a: 4, b: 4 });
  const streams = { create: false, shardCount: 1, aggregation: "kpl", lingerMs: 60_000 } as const;
  const memory = new WriterMemory(256 * KIB);
  await world.run({ streams, memory }, async (set) => {
    const targets = await Promise.all([set.open("a"), set.open("b")]);
    const ticket = new CountingTicket();
    const startMs = world.clock.now();
    // Spread over the shards none has enough for a full put.
    for (let i = 0; i < 1000; i++) {
      targets[i % 2]!.add(`key ${i}`, "x".repeat(KIB), ticket);
      await set.flush();
    }
    assert(world.clock.now() - startMs < 60_000, `${world.clock.now() - startMs} ms`);
  });
});

Deno.test("StreamSet: a stream that is needed does not wait for all that are looked for ahead", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `s${i}`);
  const world = new World(Object.fromEntries([...names, "x"].map((name) => [name, 1])));
  await world.run({}, async (set) => {
    const startedMs = world.clock.now();
    const looking = set.lookAhead(names);
    await world.clock.sleep(1_000);
    const askedMs = world.clock.now();
    await set.open("x");
    assert(world.clock.now() - askedMs < 500, `${world.clock.now() - askedMs} ms`);
    await looking;
    const seconds = (world.clock.now() - startedMs) / 1000;
    assert(seconds >= 300 / 20 && seconds < 40, `${seconds} s`);
  });
});

Deno.test("StreamSet: a stream that takes nothing stalls its own lanes first, then all, and is named", async () => {
  const world = new World({ fast: 2, slow: 2 });
  const memory = new WriterMemory(256 * KIB);
  const ticket = new CountingTicket();
  await world.run({ memory }, async (set) => {
    const [fast, slow] = await Promise.all([set.open("fast"), set.open("slow")]);
    world.throttled.add("slow");
    // The slow one holds a part of the memory: the fast one goes on.
    for (let i = 0; i < 50; i++) slow.add(`s${i}`, "x".repeat(KIB), ticket);
    for (let batch = 0; batch < 20; batch++) {
      for (let i = 0; i < 50; i++) fast.add(`f${i}`, "x".repeat(KIB), ticket);
      await set.flush();
    }
    const stored = world.stored("fast").length;
    assert(stored >= 700, `${stored} stored`);
    // Now it holds all of it: nobody has room, and it is known who is the cause.
    for (let i = 0; i < 250; i++) slow.add(`s${i}`, "x".repeat(KIB), ticket);
    let hasRoom = false;
    const flushed = set.flush().then(() => hasRoom = true);
    await world.clock.sleep(60_000);
    assertEquals(hasRoom, false);
    const { streams, failing, pendingBytes, highWaterBytes } = set.stats();
    assert(pendingBytes >= highWaterBytes);
    const pending = new Map(streams.map((each) => [each.stream, each.pendingBytes]));
    assertEquals([pending.get("fast"), world.stored("fast").length], [0, 1_000]);
    assert(pending.get("slow")! >= highWaterBytes);
    assertEquals([failing?.stream, failing?.streams], ["slow", 1]);
    assert(failing!.seconds > 50, `${failing!.seconds} s`);
    world.throttled.clear();
    await flushed;
    await set.drain();
  });
  assertEquals(ticket.acknowledged, ticket.expected);
});

Deno.test("StreamSet ends with the stream that was deleted and made again, and puts no more into any", async () => {
  const world = new World({ a: 1, b: 1 });
  await world.run({}, async (set) => {
    const [a] = await Promise.all([set.open("a"), set.open("b")]);
    await world.clock.sleep(5_000);
    world.service.call("DeleteStream", { StreamName: "b" });
    world.service.call("CreateStream", { StreamName: "b", ShardCount: 1 });
    const error = await set.failure;
    assertStringIncludes(error.message, "stream b (us-east-1) was deleted and recreated");
    await assertRejects(() => set.flush(), RunError);
    a.add("k", "late", new CountingTicket());
    await world.clock.sleep(5_000);
  });
  assertEquals(texts(world, "a"), []);
});

Deno.test("StreamSet keeps each key's order in its stream through random faults and reshards of three streams", async () => {
  const seed = randomSeed();
  const streams = ["a", "b", "c"];
  const world = new World(
    { a: 4, b: 4, c: 4 },
    {
      chances: {
        throttle: 0.1,
        error: 0.05,
        "cut-before": 0.05,
        "cut-after": 0.05,
        "error-after": 0.02,
        split: 0.02,
        merge: 0.02,
      },
    },
    seed,
  );
  const below = (limit: number) => Math.floor(world.random() * limit);
  const tickets: CountingTicket[] = [];
  const added = new Map<string, number>();
  await world.run({ memory: new WriterMemory(64 * KIB) }, async (set) => {
    const targets: RecordTarget[] = [];
    for (const name of streams) targets.push(await set.open(name));
    for (let batch = 0; batch < 150; batch++) {
      const ticket = new CountingTicket();
      tickets.push(ticket);
      for (let i = below(40); i >= 0; i--) {
        const stream = below(3);
        const key = `${streams[stream]} ${below(12)}`;
        const next = (added.get(key) ?? 0) + 1;
        added.set(key, next);
        targets[stream]!.add(key, String(next), ticket);
      }
      await set.flush();
    }
    await set.drain();
  });
  for (const ticket of tickets) assertEquals(ticket.acknowledged, ticket.expected);
  const seen = new Map<string, number>();
  for (const name of streams) {
    const stream = world.service.stream(name);
    for (const put of stream.records) {
      for (const { partitionKey, text, isSeenByKcl } of seenRecords(put, stream)) {
        assertEquals(partitionKey.split(" ")[0], name);
        if (!isSeenByKcl) continue;
        const before = seen.get(partitionKey) ?? 0;
        assert(Number(text) <= before + 1, `${text} of ${partitionKey} came behind ${before}`);
        if (Number(text) > before) seen.set(partitionKey, Number(text));
      }
    }
  }
  assertEquals(seen, added);
});
