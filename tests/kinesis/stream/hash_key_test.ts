import { createHash } from "node:crypto";
import { assertEquals, assertThrows } from "@std/assert";
import {
  compareHashKeys,
  hashKeyToBigInt,
  hashPartitionKey,
  parseHashKey,
} from "../../../src/kinesis/stream/hash_key.ts";

const KEYS = [
  "",
  "public.orders:1",
  "é",
  "日本".repeat(128),
  "😀".repeat(128),
  "\ud800",
  ...[54, 55, 56, 57, 63, 64, 65, 119, 120, 121, 255, 256].map((n) => "k".repeat(n)),
];

Deno.test("hashPartitionKey gives the MD5 of the UTF-8 bytes at every padding length", () => {
  for (const key of KEYS) {
    const expected = createHash("md5").update(key, "utf8").digest("hex");
    assertEquals(
      hashKeyToBigInt(hashPartitionKey(key)),
      BigInt(`0x${expected}`),
      JSON.stringify(key),
    );
  }
  assertThrows(() => hashPartitionKey("k".repeat(257)), RangeError, "257");
});

Deno.test("hashPartitionKey agrees with node:crypto on 2,000 random keys", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  let state = seed;
  for (let i = 0; i < 2000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const key = String.fromCodePoint(state % 0xD000).repeat(state % 7) + state;
    const expected = createHash("md5").update(key, "utf8").digest("hex");
    assertEquals(hashKeyToBigInt(hashPartitionKey(key)), BigInt(`0x${expected}`), `seed ${seed}`);
  }
});

Deno.test("parseHashKey and compareHashKeys keep all 128 bits", () => {
  const top = (1n << 128n) - 1n;
  for (const value of [0n, 1n, 1n << 32n, (1n << 64n) - 1n, (1n << 96n) + 7n, top]) {
    assertEquals(hashKeyToBigInt(parseHashKey(String(value))), value);
  }
  const low = parseHashKey("1"), high = parseHashKey(String(top));
  assertEquals(Math.sign(compareHashKeys(low, high)), -1);
  assertEquals(Math.sign(compareHashKeys(high, low)), 1);
  assertEquals(compareHashKeys(high, parseHashKey(String(top))), 0);
  assertThrows(() => parseHashKey(String(top + 1n)), RangeError);
});
