import { assert, assertEquals, assertMatch } from "@std/assert";
import { WriterMemory } from "../../../src/kinesis/writer/writer_memory.ts";
import { AGGREGATE_MAGIC } from "../../../src/kinesis/aggregate/aggregate.ts";
import type { RecordToPut } from "../../../src/kinesis/client/kinesis_api.ts";
import type { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import { logged } from "../../support/logs.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { Simulation, STREAM } from "./simulation.ts";

const KIB = 1024;

function watchRequests(
  simulation: Simulation,
): { atMs: number; records: readonly RecordToPut[] }[] {
  const requests: { atMs: number; records: readonly RecordToPut[] }[] = [];
  simulation.api.onRequest = (records) => requests.push({ atMs: simulation.clock.now(), records });
  return requests;
}

Deno.test("StreamWriter sends at once when idle and gathers behind a request that is under way", async () => {
  const simulation = new Simulation();
  const requests = watchRequests(simulation);
  await simulation.run({}, async (writer) => {
    const ticket = new CountingTicket();
    const start = simulation.clock.now();
    for (let i = 0; i < 50; i++) {
      writer.add("k", String(i), ticket);
      await writer.flush();
    }
    assertEquals([requests.length, requests[0]!.atMs], [1, start]);
    await writer.drain();
  });
  assertEquals(requests.length, 2);
});

Deno.test("StreamWriter makes few puts while it puts more than a shard takes in the long run", async () => {
  const simulation = new Simulation({ latencyMs: 1 });
  const requests = watchRequests(simulation);
  await simulation.run({}, async (writer) => {
    const ticket = new CountingTicket();
    const trickle = async (count: number, everyMs: number) => {
      const before = requests.length;
      for (let i = 0; i < count; i++) {
        writer.add("k", "x".repeat(KIB), ticket);
        await writer.flush();
        await simulation.clock.sleep(everyMs);
      }
      return requests.length - before;
    };
    assertEquals(await trickle(50, 5), 50);
    for (let i = 0; i < 3 * KIB; i++) writer.add("k", "x".repeat(KIB), ticket);
    await writer.drain();
    const puts = await trickle(100, 1);
    assert(puts >= 8 && puts <= 12, `${puts} puts in 100 ms`);

    // What is to be stored now does not wait, whatever the lane is at.
    for (let ms = 0; ms < 12; ms++) {
      await trickle(1, ms);
      writer.add("k", "x", ticket);
      const start = simulation.clock.now();
      await writer.drain();
      assert(simulation.clock.now() - start < 5);
    }

    await simulation.clock.sleep(2_000);
    assertEquals(await trickle(50, 5), 50);
    await writer.drain();
    assertEquals(ticket.expected, ticket.acknowledged);
  });
});

Deno.test("StreamWriter with --linger waits for more, unless a put is full or it is drained", async () => {
  const simulation = new Simulation({ service: { maxRecordBytes: 10 * KIB } });
  const requests = watchRequests(simulation);
  await simulation.run({ lingerMs: 500 }, async (writer) => {
    const ticket = new CountingTicket();
    const add = async (count: number) => {
      for (let i = 0; i < count; i++) writer.add("k", "x".repeat(KIB), ticket);
      await writer.flush();
    };
    let start = simulation.clock.now();
    await add(1);
    await simulation.clock.sleep(400);
    assertEquals(requests.length, 0);
    await add(1);
    await simulation.clock.sleep(200);
    assertEquals(requests.map(({ atMs }) => atMs - start), [500]);

    await simulation.clock.sleep(1_000);
    start = simulation.clock.now();
    await add(1);
    await simulation.clock.sleep(100);
    await add(12);
    await simulation.clock.sleep(1);
    assertEquals(requests[1]!.atMs - start, 100);
    await writer.drain();

    start = simulation.clock.now();
    await add(1);
    await writer.drain();
    assert(simulation.clock.now() - start < 100);

    // What is drained while a put is under way does not linger behind it.
    await add(12);
    await simulation.clock.sleep(1);
    start = simulation.clock.now();
    await writer.drain();
    assert(simulation.clock.now() - start < 100);

    // A steady trickle is put once a linger, also when something comes while a put is under way.
    const before = requests.length;
    for (let i = 0; i < 500; i++) {
      writer.add("k", "x", ticket);
      await writer.flush();
      await simulation.clock.sleep(20);
    }
    const puts = requests.length - before;
    assert(puts >= 15 && puts <= 20, `${puts} puts in 10 s`);
  });
});

Deno.test("StreamWriter lets nothing linger while its memory is full", async () => {
  for (const aggregation of ["kpl", "none"] as const) {
    const simulation = new Simulation({ shards: 8 });
    const memory = new WriterMemory(256 * KIB);
    await simulation.run({ aggregation, lingerMs: 60_000, memory }, async (writer) => {
      const ticket = new CountingTicket();
      const start = simulation.clock.now();
      // Spread over the shards none has enough for a full put.
      for (let i = 0; i < 1000; i++) {
        writer.add(`key ${i}`, "x".repeat(KIB), ticket);
        await writer.flush();
      }
      assert(simulation.clock.now() - start < 60_000, aggregation);
    });
  }
});

Deno.test("StreamWriter lingers again once what filled its memory is stored, however busy it is", async () => {
  for (const aggregation of ["kpl", "none"] as const) {
    const simulation = new Simulation({ latencyMs: 50 });
    const requests = watchRequests(simulation);
    const memory = new WriterMemory(64 * KIB);
    await simulation.run({ aggregation, lingerMs: 500, memory }, async (writer) => {
      const ticket = new CountingTicket();
      for (let i = 0; i < 200; i++) writer.add(`key ${i}`, "x".repeat(KIB), ticket);
      await writer.flush();
      // Something always comes while a put is under way.
      const before = requests.length;
      for (let i = 0; i < 500; i++) {
        writer.add(`key ${i}`, "x", ticket);
        await writer.flush();
        await simulation.clock.sleep(20);
      }
      const puts = requests.length - before;
      assert(puts >= 15 && puts <= 25, `${puts} puts in 10 s, ${aggregation}`);
      await writer.drain();
      assertEquals(ticket.expected, ticket.acknowledged);
    });
  }
});

Deno.test("StreamWriter puts nearly as much at a time as a record may have while nothing paces it", async () => {
  const simulation = new Simulation();
  const requests = watchRequests(simulation);
  await simulation.run({}, async (writer) => {
    const ticket = new CountingTicket();
    for (let i = 0; i < 3000; i++) writer.add(`key ${i}`, "x".repeat(KIB), ticket);
    await writer.drain();
  });
  const sizes = requests.map(({ records: [record] }) => record!.data.length);
  assert(sizes.some((bytes) => bytes > 980 * KIB), sizes.join());
  assert(sizes.every((bytes) => bytes <= 1024 * KIB), sizes.join());
});

Deno.test("StreamWriter puts what it filled before a throttle in pieces, in order, each record once", async () => {
  const simulation = new Simulation({
    service: {
      throughput: { kind: "bucket", bytesPerSecond: 1024 * KIB, recordsPerSecond: 1000 },
    },
  });
  const requests = watchRequests(simulation);
  const added = Array.from({ length: 3000 }, (_, i) => `${i} `.padEnd(KIB, "x"));
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    added.forEach((text, i) => {
      writer.add(`key ${i % 7}`, text, ticket, i % 500 === 499 ? "every shard" : undefined);
    });
    await writer.drain();
    assertEquals(writer.stats().failures.throttled, 1);
  });
  const sizes = requests.map(({ records: [record] }) => record!.data.length);
  const large = sizes.filter((bytes) => bytes > 100 * KIB);
  assertEquals(large.length, 2, `one that is stored, one that is throttled: ${sizes}`);
  assertEquals(simulation.texts, added);
  assertEquals(ticket.acknowledged, added.length);
});

Deno.test("StreamWriter puts less at a time the more shards share the memory, and more again after a merge", async () => {
  const simulation = new Simulation({ shards: 2 });
  const largest = async (writer: StreamWriter) => {
    let bytes = 0;
    simulation.api.onRequest = ([record]) => bytes = Math.max(bytes, record!.data.length);
    const ticket = new CountingTicket();
    for (let i = 0; i < 1000; i++) writer.add(`key ${i}`, "x".repeat(KIB), ticket);
    await writer.drain();
    return bytes;
  };
  await simulation.run({ memory: new WriterMemory(512 * KIB) }, async (writer) => {
    const withTwo = await largest(writer);
    assert(withTwo > 100 * KIB && withTwo <= 128 * KIB, `${withTwo} bytes`);
    simulation.service.reshard(STREAM, (stream) => {
      stream.merge("shardId-000000000000", "shardId-000000000001");
    });
    await largest(writer);
    const withOne = await largest(writer);
    assert(withOne > 200 * KIB && withOne <= 256 * KIB, `${withOne} bytes`);
  });
});

for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`StreamWriter takes records up to the stream's limit and gives the size of larger ones, ${aggregation}`, async () => {
    const maxRecordBytes = 4 * KIB;
    const simulation = new Simulation({ service: { maxRecordBytes } });
    const magic = (length: number) => {
      const data = new Uint8Array(length);
      data.set(AGGREGATE_MAGIC);
      return data;
    };
    // Only an aggregate of one can carry what begins with the magic, where there are aggregates.
    const framing = aggregation === "none" ? 1 : 4 + (2 + 1) + (3 + 5) + 16 + 1;
    await simulation.run({ aggregation }, async (writer) => {
      const ticket = new CountingTicket();
      assertEquals(writer.add("é", "x".repeat(maxRecordBytes - 2), ticket), 0);
      assertEquals(writer.add("é", "x".repeat(maxRecordBytes - 1), ticket), maxRecordBytes + 1);
      assertEquals(writer.add("k", "é".repeat(maxRecordBytes), ticket), 2 * maxRecordBytes + 1);
      assertEquals(writer.add("k", magic(maxRecordBytes - framing), ticket), 0);
      assertEquals(
        writer.add("k", magic(maxRecordBytes + 1 - framing), ticket),
        maxRecordBytes + 1,
      );
      assertEquals(ticket.expected, 2);
      await writer.drain();
      assertEquals(ticket.acknowledged, 2);
    });
  });
}

Deno.test("StreamWriter puts a record of 10 MiB where the stream takes it", async () => {
  const maxRecordBytes = 10 * KIB * KIB;
  const simulation = new Simulation({ service: { maxRecordBytes } });
  await simulation.run({}, async (writer) => {
    const ticket = new CountingTicket();
    writer.add("a", "first", ticket);
    assertEquals(writer.add("k", "x".repeat(maxRecordBytes - 1), ticket), 0);
    for (let i = 0; i < 3 * KIB; i++) writer.add("k", "y".repeat(KIB), ticket);
    await writer.drain();
    assertEquals(ticket.acknowledged, 2 + 3 * KIB);
  });
  const sizes = simulation.service.stream(STREAM).records.map(({ data }) => data.length);
  assertEquals(sizes.slice(0, 2), ["first".length, maxRecordBytes - 1]);
  assert(sizes.slice(2).every((bytes) => bytes <= KIB * KIB), "aggregates stay at a mebibyte");
});

for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`StreamWriter gives Kinesis partition keys that it takes, ${aggregation}`, async () => {
    const simulation = new Simulation({ shards: 3 });
    const long = "k".repeat(257);
    const keys = [
      "",
      "k".repeat(256),
      long,
      "😀".repeat(128),
      "😀".repeat(129),
      long,
      "\ud800",
      "1",
    ];
    await simulation.run({ aggregation }, async (writer) => {
      const ticket = new CountingTicket();
      keys.forEach((key, i) => writer.add(key, String(i), ticket));
      await writer.drain();
      assertEquals(ticket.acknowledged, keys.length);
    });
    const byText = new Map(simulation.seen.map(({ text, partitionKey }) => [text, partitionKey]));
    assertEquals(byText.get("0"), "-");
    assertEquals(byText.get("1"), keys[1]);
    assertEquals(byText.get("2"), byText.get("5"));
    assertEquals(byText.get("2")!.length, 64);
    assertEquals(byText.get("3"), keys[3]);
    assertEquals(byText.get("4")!.length, 64);
    assert(simulation.seen.every((record) => record.isSeenByKcl));
  });

  Deno.test(`StreamWriter stores a record for every shard once in each, in its place, ${aggregation}`, async () => {
    const simulation = new Simulation({ shards: 4 });
    const ticket = new CountingTicket();
    await simulation.run({ aggregation }, async (writer) => {
      for (let i = 0; i < 40; i++) writer.add(`key ${i}`, `before ${i}`, ticket);
      writer.add("public.t", "truncate", ticket, "every shard");
      for (let i = 0; i < 40; i++) writer.add(`key ${i}`, `after ${i}`, ticket);
      await writer.drain();
    });
    assertEquals([ticket.expected, ticket.acknowledged], [84, 84]);
    for (const { id } of simulation.service.stream(STREAM).shards) {
      const texts = simulation.seen.filter(({ shardId }) => shardId === id).map(({ text }) => text);
      const place = texts.indexOf("truncate");
      assertEquals(texts.lastIndexOf("truncate"), place);
      assertEquals(texts.findIndex((text) => text.startsWith("after")), place + 1);
      assert(texts.slice(0, place).every((text) => text.startsWith("before")));
    }
    assert(simulation.seen.every((record) => record.isSeenByKcl));
  });
}

Deno.test("StreamWriter without aggregation sends again only what failed, each key's first record first", async () => {
  const simulation = new Simulation({
    faults: { script: new Map([[1, "partial"], [2, "partial"]]) },
  });
  const requests = watchRequests(simulation);
  await simulation.run({ aggregation: "none" }, async (writer) => {
    const ticket = new CountingTicket();
    for (let i = 0; i < 30; i++) writer.add(`key ${i % 10}`, String(i), ticket);
    await writer.drain();
    assertEquals(ticket.acknowledged, 30);
  });
  assertEquals(simulation.texts.length, 30, "nothing twice");
  for (let key = 0; key < 10; key++) {
    const texts = simulation.seen.filter((r) => r.partitionKey === `key ${key}`).map((r) => r.text);
    assertEquals(texts, [0, 10, 20].map((n) => String(n + key)));
  }
  for (const { records } of requests) {
    assertEquals(new Set(records.map(({ partitionKey }) => partitionKey)).size, records.length);
  }
});

Deno.test("StreamWriter without aggregation fills requests with 500 records, past keys that wait", async () => {
  const simulation = new Simulation();
  const requests = watchRequests(simulation);
  await simulation.run({ aggregation: "none" }, async (writer) => {
    const ticket = new CountingTicket();
    for (let i = 0; i < 3_000; i++) writer.add(i % 3 === 0 ? "hot" : `key ${i}`, String(i), ticket);
    await writer.drain();
    assertEquals(ticket.acknowledged, 3_000);
  });
  assertEquals(requests.slice(0, 4).map(({ records }) => records.length), [500, 500, 500, 500]);
  const hot = simulation.seen.filter(({ partitionKey }) => partitionKey === "hot");
  assertEquals(hot.map(({ text }) => Number(text)), Array.from({ length: 1_000 }, (_, i) => 3 * i));
});

Deno.test("StreamWriter without aggregation lets every other key go on, however many records of one wait in front", async () => {
  const simulation = new Simulation();
  const requests = watchRequests(simulation);
  await simulation.run({ aggregation: "none" }, async (writer) => {
    const ticket = new CountingTicket();
    for (let i = 0; i < 5_500; i++) writer.add("hot", String(i), ticket);
    for (let i = 0; i < 1_000; i++) writer.add(`key ${i % 700}`, String(i), ticket);
    assert(writer.pendingBytes < 4 * KIB * KIB);
    await writer.drain();
    assertEquals(ticket.acknowledged, 6_500);
  });
  // One hot record each time, and 1,000 others.
  assertEquals(requests.slice(0, 4).map(({ records }) => records.length), [500, 500, 3, 1]);
  for (const key of ["hot", "key 0", "key 299"]) {
    const texts = simulation.seen.filter((r) => r.partitionKey === key).map((r) => Number(r.text));
    assertEquals(texts, texts.toSorted((a, b) => a - b));
  }
});

Deno.test("StreamWriter warns once of a key whose round trips hold the others up, without its value", async () => {
  const simulation = new Simulation();
  const work = async (writer: StreamWriter) => {
    const ticket = new CountingTicket();
    // A burst, and keys that only wait for each other's room, are nothing to tell of.
    for (let i = 0; i < 300; i++) writer.add("public.burst:1", String(i), ticket);
    await writer.drain();
    for (let i = 0; i < 20_000; i++) {
      writer.add(`public.many:${i % 5_000}`, String(i), ticket);
      if (i % 100 === 0) await writer.flush();
    }
    await writer.drain();
    for (let i = 0; i < 4_000; i++) {
      writer.add(i % 2 === 0 ? "public.hot:secret" : "public.warm", String(i), ticket);
    }
    await writer.drain();
  };
  const lines = await logged(() => simulation.run({ aggregation: "none" }, work));
  const warnings = lines.filter(({ level }) => level === "warning").map(({ text }) => text);
  assertEquals(warnings.length, 1, warnings.join("\n"));
  assertMatch(
    warnings[0]!,
    /^the changes of partition key public\.hot:… are put into stream changes one at a time, \d\d a second, and hold up/,
  );
});

Deno.test("StreamWriter puts nothing while it may not, neither new nor again, and then all in order", async () => {
  const simulation = new Simulation({ faults: { chances: { throttle: 0.5 } }, latencyMs: 20 });
  const requests = watchRequests(simulation);
  let mayPut = true;
  await simulation.run({ mayPut: () => mayPut }, async (writer) => {
    const ticket = new CountingTicket();
    const add = async (from: number) => {
      for (let i = from; i < from + 50; i++) {
        writer.add("k", String(i), ticket);
        await writer.flush();
        await simulation.clock.sleep(5);
      }
    };
    await add(0);
    mayPut = false;
    // What is under way now may still be answered.
    await simulation.clock.sleep(1000);
    const before = requests.length;
    await add(50);
    await simulation.clock.sleep(60_000);
    assertEquals(requests.length, before);
    mayPut = true;
    await writer.drain();
  });
  assertEquals(simulation.texts, Array.from({ length: 100 }, (_, i) => String(i)));
});

for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`StreamWriter sends no put that was allowed, but is ready too late (${aggregation})`, async () => {
    const simulation = new Simulation();
    const requests = watchRequests(simulation);
    simulation.api.readyMs = 500;
    let mayPut = true;
    await simulation.run({ aggregation, mayPut: () => mayPut }, async (writer) => {
      const ticket = new CountingTicket();
      writer.add("k", "0", ticket);
      await writer.flush();
      mayPut = false;
      writer.add("k", "1", ticket);
      await simulation.clock.sleep(60_000);
      assertEquals([requests.length, writer.stats().puts], [0, 0]);
      mayPut = true;
      await writer.drain();
    });
    assertEquals(simulation.texts, ["0", "1"]);
  });
}
