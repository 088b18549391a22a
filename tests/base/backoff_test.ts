import { assert, assertEquals } from "@std/assert";
import { Backoff } from "../../src/base/backoff.ts";
import { randomFrom } from "../support/random.ts";

Deno.test("Backoff doubles its bound up to the longest, and begins anew after a success", () => {
  const backoff = new Backoff(() => 1, { firstMs: 100, longestMs: 1_000 });
  const next = (count: number) => Array.from({ length: count }, () => backoff.nextMs());
  assertEquals(next(6), [100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  assertEquals(next(2), [100, 200]);
});

Deno.test("Backoff's pauses lie anywhere between nothing and the bound: full jitter", () => {
  const random = randomFrom(7);
  const tenths = new Set<number>();
  for (let i = 0; i < 1_000; i++) {
    const pauseMs = new Backoff(random, { firstMs: 100, longestMs: 100 }).nextMs();
    assert(pauseMs >= 0 && pauseMs < 100, String(pauseMs));
    tenths.add(Math.floor(pauseMs / 10));
  }
  assertEquals(tenths.size, 10);
});
