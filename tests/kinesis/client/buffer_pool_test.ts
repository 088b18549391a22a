import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";

const KIB = 1024;

Deno.test("BufferPool gives buffers that are large enough and waste at most half of what was asked", () => {
  const pool = new BufferPool(0);
  for (let bytes = 1; bytes < 3000 * KIB; bytes += 777) {
    const { length } = pool.take(bytes);
    assert(
      length >= bytes && length <= Math.max(4 * KIB, bytes * 1.5 + 1),
      `${length} for ${bytes}`,
    );
  }
  assertEquals([1, 6 * KIB, 6 * KIB + 1, 1000 * KIB].map((bytes) => pool.take(bytes).length), [
    4 * KIB,
    6 * KIB,
    8 * KIB,
    1024 * KIB,
  ]);
});

Deno.test("BufferPool uses what is given back again, as long as it holds little", () => {
  const pool = new BufferPool(20 * KIB);
  const [first, second] = [pool.take(12 * KIB), pool.take(12 * KIB)];
  pool.give(first);
  pool.give(second);
  assertStrictEquals(pool.take(10 * KIB), first);
  assertNotStrictEquals(pool.take(10 * KIB), second);
});

Deno.test("BufferPool gives a free buffer of up to twice the size before it makes one", () => {
  const pool = new BufferPool(64 * KIB);
  const buffer = pool.take(16 * KIB);
  for (const bytes of [16 * KIB, 12 * KIB, 8 * KIB]) {
    pool.give(buffer);
    assertStrictEquals(pool.take(bytes), buffer);
  }
  pool.give(buffer);
  assertNotStrictEquals(pool.take(6 * KIB), buffer);
  assertNotStrictEquals(pool.take(17 * KIB), buffer);
});
