import { assertEquals, assertThrows } from "@std/assert";
import { hashPartitionKey, parseHashKey } from "../../../src/kinesis/stream/hash_key.ts";
import type { ListedShard } from "../../../src/kinesis/client/listed_shard.ts";
import { covers, holds, overlap, ShardMap } from "../../../src/kinesis/stream/shard_map.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

const END = 1n << 128n;

function listed(id: string, start: bigint, end: bigint, isClosed = false): ListedShard {
  return {
    ShardId: id,
    HashKeyRange: { StartingHashKey: String(start), EndingHashKey: String(end) },
    SequenceNumberRange: isClosed ? { EndingSequenceNumber: "9" } : {},
  };
}

/** Open shards that begin at 0 and at each of `boundaries`, and one closed before them. */
function mapOf(boundaries: readonly bigint[]): ShardMap {
  const starts = [0n, ...boundaries];
  const shards = starts.map((start, i) => listed(`shard ${i}`, start, (starts[i + 1] ?? END) - 1n));
  return ShardMap.fromListing([listed("closed", 0n, END - 1n, true), ...shards.toReversed()]);
}

Deno.test("ShardMap finds the shard of every hash key at and around each boundary", () => {
  // Several begin with the same 32 or 64 bits, so that the highest word alone settles nothing.
  const boundaries = [
    1n,
    2n,
    1n << 31n,
    1n << 95n,
    1n << 96n,
    (1n << 96n) + 1n,
    (1n << 96n) + (1n << 64n),
  ];
  boundaries.push((1n << 127n) - 1n, 1n << 127n, (1n << 127n) + 1n, END - 1n);
  const map = mapOf(boundaries);
  for (const boundary of [0n, ...boundaries]) {
    for (const key of [boundary - 1n, boundary, boundary + 1n]) {
      if (key < 0n || key >= END) continue;
      const expected = boundaries.filter((start) => start <= key).length;
      assertEquals(map.indexOf(parseHashKey(String(key))), expected, `hash key ${key}`);
    }
  }
});

Deno.test("ShardMap finds the shard of partition keys as the service does, in random maps", () => {
  const random = randomFrom(randomSeed());
  for (let round = 0; round < 50; round++) {
    const boundaries = new Set<bigint>();
    for (let i = Math.floor(random() * 20); i > 0; i--) {
      boundaries.add(BigInt(Math.floor(random() * 2 ** 48)) << 80n);
    }
    boundaries.delete(0n);
    const sorted = [...boundaries].sort((a, b) => (a < b ? -1 : 1));
    const map = mapOf(sorted);
    assertEquals(map.gap(), undefined);
    for (let i = 0; i < 50; i++) {
      const key = `public.t:${random()}`;
      const expected = sorted.filter((start) => start <= hashKeyOf(key)).length;
      assertEquals(map.indexOf(hashPartitionKey(key)), expected);
    }
  }
});

Deno.test("ShardMap tells what is missing in a listing from the middle of a reshard", () => {
  const half = 1n << 127n;
  const gapOf = (...shards: ListedShard[]) => ShardMap.fromListing(shards).gap();
  assertEquals(gapOf(listed("a", 0n, half - 1n), listed("b", half, END - 1n)), undefined);
  assertEquals(gapOf(listed("a", 0n, half - 1n)), `no open shard holds hash key ${half}`);
  assertEquals(
    gapOf(listed("a", 0n, half), listed("b", half, END - 1n)),
    `shard b starts at ${half}, not at ${half + 1n}`,
  );
  assertEquals(
    gapOf(listed("a", 0n, half - 1n, true), listed("b", half, END - 1n)),
    `shard b starts at ${half}, not at 0`,
  );
  assertEquals(gapOf(), "no open shard holds hash key 0");
});

Deno.test("ShardMap keeps closed shards by their id only", () => {
  const map = mapOf([1n << 100n]);
  assertEquals(map.byId("closed")?.open, false);
  assertEquals(map.open.map(({ id }) => id), ["shard 0", "shard 1"]);
  assertEquals(map.byId("nowhere"), undefined);
});

Deno.test("ShardMap refuses a shard without its range", () => {
  assertThrows(
    () => ShardMap.fromListing([{ ShardId: "a" }]),
    Error,
    "without its id or range",
  );
});

Deno.test("covers, holds and overlap include both ends of a range", () => {
  const map = ShardMap.fromListing([
    listed("whole", 0n, END - 1n),
    listed("low", 10n, 19n),
    listed("high", 20n, 29n),
    listed("both", 10n, 29n),
  ]);
  const shard = (id: string) => map.byId(id)!;
  const key = (value: number) => parseHashKey(String(value));
  assertEquals([9, 10, 19, 20].map((n) => holds(shard("low"), key(n))), [false, true, true, false]);
  assertEquals(covers(shard("both"), shard("low")), true);
  assertEquals(covers(shard("both"), shard("high")), true);
  assertEquals(covers(shard("low"), shard("both")), false);
  assertEquals(overlap(shard("low"), shard("high")), false);
  assertEquals(overlap(shard("high"), shard("both")), true);
  assertEquals(overlap(shard("whole"), shard("low")), true);
  assertEquals(overlap(shard("low"), shard("whole")), true);
});
