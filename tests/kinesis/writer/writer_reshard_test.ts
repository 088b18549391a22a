import { assert, assertEquals } from "@std/assert";
import type { StreamState } from "../../support/fault_server/stream_state.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { Simulation, STREAM } from "./simulation.ts";

const HALF = 1n << 127n;
const KEYS = Array.from({ length: 40 }, (_, i) => `key ${i}`);
const LOW_KEYS = KEYS.filter((key) => hashKeyOf(key) < HALF);
const HIGH_KEYS = KEYS.filter((key) => hashKeyOf(key) >= HALF);

/** Changes the shards when put number `put` arrives, just before it is stored. */
function reshardAt(simulation: Simulation, put: number, change: (stream: StreamState) => void) {
  let puts = 0;
  simulation.faulty.onCall = (operation) => {
    if (operation.startsWith("PutRecord") && ++puts === put) {
      simulation.service.reshard(STREAM, change);
    }
  };
}

const splitInHalf = (stream: StreamState) => stream.split("shardId-000000000000", HALF);
const mergeBoth = (stream: StreamState) =>
  stream.merge("shardId-000000000000", "shardId-000000000001");

Deno.test("StreamWriter stores an aggregate again when a split put it into one half", async () => {
  const simulation = new Simulation();
  reshardAt(simulation, 2, splitInHalf);
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, `1 ${key}`, ticket);
    await writer.drain();
    for (const key of KEYS) writer.add(key, `2 ${key}`, ticket);
    await writer.flush();
    for (const key of KEYS) writer.add(key, `3 ${key}`, ticket);
    await writer.drain();
    assertEquals(writer.stats().reshards, 1);
  });
  assertEquals(ticket.acknowledged, 3 * KEYS.length);
  assertEquals(simulation.texts.length, 4 * KEYS.length);
  const byKcl = simulation.seen.filter((record) => record.isSeenByKcl);
  assertEquals(byKcl.length, 3 * KEYS.length);
  for (const key of KEYS) {
    const texts = byKcl.filter(({ partitionKey }) => partitionKey === key).map(({ text }) => text);
    assertEquals(texts, [`1 ${key}`, `2 ${key}`, `3 ${key}`]);
  }
});

Deno.test("StreamWriter stores an aggregate again that an open shard took for no reason", async () => {
  const simulation = new Simulation({ shards: 2 });
  const [low, high] = ["0", HALF.toString()];
  let puts = 0;
  simulation.faulty.onCall = (operation, input) => {
    if (operation !== "PutRecord") return;
    // Each lane has put once before.
    if (++puts > 2 && puts <= 6) input.ExplicitHashKey = input.ExplicitHashKey === low ? high : low;
  };
  const ticket = new CountingTicket();
  const rounds = 4;
  await simulation.run({}, async (writer) => {
    for (let round = 0; round < rounds; round++) {
      for (const key of KEYS) writer.add(key, `${round} ${key}`, ticket);
      if (round === 0) await writer.drain();
      else await writer.flush();
    }
    await writer.drain();
    assertEquals(writer.stats().reshards, 0);
    assert(writer.stats().resent > 0);
  });
  assert(puts > 6);
  assertEquals(ticket.acknowledged, rounds * KEYS.length);
  const byKcl = simulation.seen.filter((record) => record.isSeenByKcl);
  for (const key of KEYS) {
    const texts = byKcl.filter(({ partitionKey }) => partitionKey === key).map(({ text }) => text);
    assertEquals(texts, Array.from({ length: rounds }, (_, round) => `${round} ${key}`));
  }
});

Deno.test("StreamWriter acknowledges an aggregate whose records all belong where a split put it", async () => {
  const simulation = new Simulation();
  reshardAt(simulation, 2, splitInHalf);
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    for (const key of KEYS) writer.add(key, `1 ${key}`, ticket);
    await writer.drain();
    for (const key of LOW_KEYS) writer.add(key, `2 ${key}`, ticket);
    await writer.flush();
    for (const key of HIGH_KEYS) writer.add(key, `2 ${key}`, ticket);
    await writer.drain();
  });
  assertEquals(ticket.acknowledged, 2 * KEYS.length);
  assertEquals(simulation.texts.length, 2 * KEYS.length, "nothing twice");
  assert(simulation.seen.every((record) => record.isSeenByKcl));
});

Deno.test("StreamWriter acknowledges what a merge took, and goes on by position", async () => {
  const simulation = new Simulation({ shards: 2 });
  reshardAt(simulation, 3, mergeBoth);
  const ticket = new CountingTicket();
  const rounds = 5;
  await simulation.run({}, async (writer) => {
    for (let round = 0; round < rounds; round++) {
      for (const key of KEYS) writer.add(key, `${round} ${key}`, ticket);
      await writer.flush();
      if (round === 0) await writer.drain();
    }
    await writer.drain();
  });
  assertEquals(ticket.acknowledged, rounds * KEYS.length);
  assertEquals(simulation.texts.length, rounds * KEYS.length, "nothing twice");
  assert(simulation.seen.every((record) => record.isSeenByKcl));
  // Both lanes had round 1 under way; what waited behind it is joined in the order of its adding.
  const later = simulation.texts.filter((text) => Number(text.split(" ")[0]) >= 2);
  const expected = [2, 3, 4].flatMap((round) => KEYS.map((key) => `${round} ${key}`));
  assertEquals(later, expected);
});

for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`StreamWriter gives a record for every shard to both halves of a split, ${aggregation}`, async () => {
    const simulation = new Simulation();
    reshardAt(simulation, 2, splitInHalf);
    const ticket = new CountingTicket();
    await simulation.run({ aggregation }, async (writer) => {
      writer.add(LOW_KEYS[0]!, "before", ticket);
      await writer.drain();
      writer.add("public.t", "truncate", ticket, "every shard");
      await writer.flush();
      writer.add(LOW_KEYS[0]!, "after", ticket);
      writer.add(HIGH_KEYS[0]!, "after", ticket);
      await writer.drain();
    });
    assertEquals(ticket.expected, ticket.acknowledged);
    const { shards } = simulation.service.stream(STREAM);
    assertEquals(shards.length, 3);
    for (const { id } of shards.slice(1)) {
      const texts = simulation.seen.filter(({ shardId }) => shardId === id).map(({ text }) => text);
      assertEquals(texts.filter((text, i) => texts.indexOf(text) === i), ["truncate", "after"]);
      assertEquals(texts.at(-1), "after");
    }
    assert(simulation.seen.every((record) => record.isSeenByKcl));
  });

  Deno.test(`StreamWriter follows UpdateShardCount without losing its place, ${aggregation}`, async () => {
    const simulation = new Simulation({
      shards: 3,
      service: { listingLagMs: 5_000, shardsPerPage: 2 },
    });
    reshardAt(simulation, 5, (stream) => stream.rescale(5));
    const ticket = new CountingTicket();
    await simulation.run({ aggregation }, async (writer) => {
      for (let round = 0; round < 20; round++) {
        for (const key of KEYS) writer.add(key, String(round), ticket);
        await writer.flush();
      }
      await writer.drain();
      assertEquals(writer.stats().shards.length, 5);
    });
    assertEquals(ticket.acknowledged, 20 * KEYS.length);
    for (const key of KEYS) {
      const texts = simulation.seen.filter((r) => r.partitionKey === key && r.isSeenByKcl)
        .map(({ text }) => Number(text));
      assertEquals(texts.filter((n, i) => texts.indexOf(n) === i), [...Array(20).keys()]);
    }
  });
}

Deno.test("StreamWriter notes the shards that records went to, and what follows one that was split", async () => {
  const simulation = new Simulation();
  reshardAt(simulation, 2, splitInHalf);
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    writer.noteShards();
    assertEquals(writer.notedShards, 0);
    for (const key of LOW_KEYS) writer.add(key, `1 ${key}`, ticket);
    assertEquals(writer.notedShards, 1);
    await writer.drain();
    for (const key of LOW_KEYS) writer.add(key, `2 ${key}`, ticket);
    await writer.drain();
    // What lay in the one shard is read on in both that follow it.
    assertEquals([writer.stats().reshards, writer.notedShards], [1, 2]);
    writer.noteShards();
    writer.add(HIGH_KEYS[0]!, "3", ticket);
    assertEquals(writer.notedShards, 1);
    writer.add("transaction", "end", ticket, "noted shards");
    await writer.drain();
  });
  assertEquals(ticket.acknowledged, ticket.expected);
  const ends = simulation.seen.filter(({ text }) => text === "end" || text === "3");
  assertEquals(ends.map(({ text, shardId }) => [text, shardId]), [
    ["3", "shardId-000000000002"],
    ["end", "shardId-000000000002"],
  ]);
});
