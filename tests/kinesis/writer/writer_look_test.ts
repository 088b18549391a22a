import { assert, assertEquals } from "@std/assert";
import { type ServiceError, throttled } from "../../support/fault_server/service_error.ts";
import type { StreamState } from "../../support/fault_server/stream_state.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import type { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import { logged } from "../../support/logs.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { Simulation, STREAM } from "./simulation.ts";

const HALF = 1n << 127n;
const KEYS = Array.from({ length: 40 }, (_, i) => `key ${i}`);
const splitInHalf = (stream: StreamState) => stream.split("shardId-000000000000", HALF);
const mergeBoth = (stream: StreamState) =>
  stream.merge("shardId-000000000000", "shardId-000000000001");

/** Counts listings, and lets `refuse` say which puts, by number and hash key, are throttled. */
function watch(
  simulation: Simulation,
  refuse: (put: number, hashKey: bigint) => boolean | ServiceError,
) {
  const counts = { puts: 0, listings: 0 };
  simulation.faulty.onCall = (operation, input) => {
    if (operation === "ListShards") counts.listings++;
    if (operation !== "PutRecord") return;
    const hashKey = input.ExplicitHashKey === undefined
      ? hashKeyOf(input.PartitionKey)
      : BigInt(input.ExplicitHashKey);
    const refused = refuse(++counts.puts, hashKey);
    if (refused !== false) throw refused === true ? throttled("a shard") : refused;
  };
  return counts;
}

Deno.test("StreamWriter looks whether the shard was split before it puts a throttled aggregate again", async () => {
  const simulation = new Simulation();
  watch(simulation, (put) => {
    if (put !== 2) return false;
    simulation.service.reshard(STREAM, splitInHalf);
    return true;
  });
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, `1 ${key}`, ticket);
    await writer.drain();
    for (const key of KEYS) writer.add(key, `2 ${key}`, ticket);
    await writer.drain();
    assertEquals(writer.stats().resent, 0);
  });
  assertEquals(ticket.acknowledged, 2 * KEYS.length);
  assertEquals(simulation.texts.length, 2 * KEYS.length, "nothing lies across the halves");
});

Deno.test("StreamWriter looks whether the shard was split before it puts an aggregate after a silence", async () => {
  const simulation = new Simulation();
  const counts = watch(simulation, () => false);
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, `1 ${key}`, ticket);
    await writer.drain();
    const { listings } = counts;
    for (let i = 2; i < 6; i++) {
      await simulation.clock.sleep(5_000);
      for (const key of KEYS) writer.add(key, `${i} ${key}`, ticket);
      await writer.drain();
    }
    assertEquals(counts.listings, listings, "a lane that puts knows by the answers");
    await simulation.clock.sleep(60_000);
    simulation.service.reshard(STREAM, splitInHalf);
    for (const key of KEYS) writer.add(key, `6 ${key}`, ticket);
    await writer.drain();
    // What is not aggregated is right wherever it goes.
    await simulation.clock.sleep(60_000);
    const before = counts.listings;
    writer.add(KEYS[0]!, `7 ${KEYS[0]}`, ticket);
    await writer.drain();
    assertEquals(counts.listings, before);
  });
  assertEquals(simulation.texts.length, 6 * KEYS.length + 1, "nothing twice");
});

Deno.test("StreamWriter's lane stops after its request under way as soon as another finds their shards merged", async () => {
  const simulation = new Simulation({ shards: 2 });
  const { api, clock } = simulation;
  const listShards = api.listShards.bind(api);
  api.listShards = async (name, signal) => {
    if (clock.now() > 5_000) await clock.sleep(500);
    return await listShards(name, signal);
  };
  let lowInMerged = 0;
  watch(simulation, (_, hashKey) => {
    if (clock.now() < 5_000) return false;
    if (simulation.service.stream(STREAM).open.length === 2) {
      // The high lane meets the merge with its put, while the low one has one in its old shard.
      if (hashKey >= HALF && isLowUnderWay) simulation.service.reshard(STREAM, mergeBoth);
      else isLowUnderWay ||= hashKey < HALF;
    } else if (hashKey < HALF) lowInMerged++;
    return false;
  });
  let isLowUnderWay = false;
  const ticket = new CountingTicket();
  let position = 0;
  await simulation.run({}, async (writer) => {
    for (let round = 0; round < 40; round++) {
      if (round === 1) await clock.sleep(6_000);
      for (const key of KEYS) writer.add(key, `${position++} ${key}`, ticket);
      await writer.flush();
      await clock.sleep(10);
    }
    await writer.drain();
  });
  assertEquals(ticket.acknowledged, position);
  assertEquals(simulation.texts.length, position);
  const merged = simulation.service.stream(STREAM).shards[2]!.records.length;
  assert(merged > 1 && lowInMerged > 0, `${merged} records`);
  // One put of the high lane may be ahead; what follows is joined, in the order of its adding.
  const inMerged = simulation.seen.filter((r) => r.shardId === "shardId-000000000002");
  const isFirstPut = (i: number) =>
    inMerged.slice(0, i + 1).every((r) => hashKeyOf(r.partitionKey) >= HALF);
  const joined = inMerged.filter((_, i) => !isFirstPut(i)).map(({ text }) => parseInt(text));
  assertEquals(joined, joined.toSorted((a, b) => a - b));
});

Deno.test("StreamWriter puts nothing into a merged shard while the other lane's put is unanswered, through a split too, and says so", async () => {
  const simulation = new Simulation({ shards: 2 });
  const { api, clock, service } = simulation;
  const putRecord = api.putRecord.bind(api);
  let hung = 0;
  let whileHung = 0;
  api.putRecord = async (request, signal) => {
    if (hung > 0) whileHung++;
    if (clock.now() > 5_000 && hung === 0 && request.explicitHashKey === HALF.toString()) {
      hung++;
      // On its way for 20 s; meanwhile both shards become one, and that one is split.
      service.reshard(STREAM, mergeBoth);
      await clock.sleep(10_000);
      service.reshard(STREAM, (stream) => stream.split("shardId-000000000002", HALF / 2n));
      await clock.sleep(10_000);
      hung = -1;
    }
    return await putRecord(request, signal);
  };
  const ticket = new CountingTicket();
  let position = 0;
  const publish = async (writer: StreamWriter) => {
    for (let round = 0; round < 20; round++) {
      if (round === 1) await clock.sleep(6_000);
      for (const key of KEYS) writer.add(key, `${position++} ${key}`, ticket);
      await writer.flush();
      await clock.sleep(100);
    }
    await writer.drain();
  };
  const lines = await logged(() => simulation.run({}, publish));
  assertEquals(ticket.acknowledged, position);
  assert(whileHung <= 1, `${whileHung} puts while the other lane's was unanswered`);
  for (const key of KEYS) {
    const texts = simulation.seen.filter((r) => r.isSeenByKcl && r.partitionKey === key)
      .map(({ text }) => parseInt(text));
    assertEquals(texts, texts.toSorted((a, b) => a - b), key);
    assertEquals(texts.length, 20);
  }
  assertEquals(lines.filter(({ level }) => level === "warning").map(({ text }) => text), [
    "stream changes was resharded; a put into shardId-000000000001 is not answered yet, and records " +
    "of the closed shards shardId-000000000000, shardId-000000000001 wait for it",
  ]);
});

Deno.test("StreamWriter lists the shards at most four times a second, however many lanes are throttled", async () => {
  const simulation = new Simulation({ shards: 8 });
  const { clock } = simulation;
  const counts = watch(simulation, () => clock.now() > 1_000 && clock.now() < 61_000);
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, "1", ticket);
    await writer.drain();
    await clock.sleep(2_000);
    for (const key of KEYS) writer.add(key, "2", ticket);
    await writer.drain();
  });
  assertEquals(ticket.acknowledged, 2 * KEYS.length);
  assert(counts.puts > 100 && counts.listings > 10, JSON.stringify(counts));
  assert(counts.listings <= 4 * 60, `${counts.listings} listings in a minute`);
});

Deno.test("StreamWriter goes on without the shard map where it is not to be had", async () => {
  const simulation = new Simulation();
  const { api, clock } = simulation;
  const listShards = api.listShards.bind(api);
  let hung = 0;
  api.listShards = (name, signal) => {
    if (clock.now() < 1_000) return listShards(name, signal);
    hung++;
    return hung === 1
      ? Promise.reject(Object.assign(new Error("slowly"), { name: "LimitExceededException" }))
      : new Promise(() => {});
  };
  watch(simulation, (put) => put > 1 && put <= 6);
  const ticket = new CountingTicket();
  let tookMs = 0;
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, "1", ticket);
    await writer.drain();
    await clock.sleep(2_000);
    for (const key of KEYS) writer.add(key, "2", ticket);
    const startedMs = clock.now();
    await writer.drain();
    tookMs = clock.now() - startedMs;
  });
  assertEquals(ticket.acknowledged, 2 * KEYS.length);
  assert(hung > 1 && tookMs < 10_000, `${hung} listings, ${tookMs} ms`);
});
