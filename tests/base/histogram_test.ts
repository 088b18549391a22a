import { assertEquals } from "@std/assert";
import { Histogram, quantile } from "../../src/base/histogram.ts";

Deno.test("Histogram counts a value under the first bound that is not below it", () => {
  const histogram = new Histogram([1, 10]);
  for (const value of [0, 1, 1.5, 10, 11]) histogram.observe(value);
  assertEquals([histogram.counts, histogram.count, histogram.sum], [[2, 2, 1], 5, 23.5]);
});

Deno.test("Histogram tells what was observed since a copy", () => {
  const histogram = new Histogram([1, 10]);
  histogram.observe(0.5);
  const before = histogram.since();
  histogram.observe(5);
  histogram.observe(50);
  assertEquals(before.counts, [1, 0, 0], "the copy stays");
  const recent = histogram.since(before);
  assertEquals([recent.counts, recent.count, recent.sum], [[0, 1, 1], 2, 55]);
  assertEquals(new Histogram([1, 10]).since(histogram).counts, [0, 0, 0], "it began anew");
});

Deno.test("quantile lies within the bounds of its bucket", () => {
  const histogram = new Histogram([1, 10]);
  assertEquals(quantile(histogram, 0.5), undefined);
  for (let n = 0; n < 10; n++) histogram.observe(2);
  assertEquals(quantile(histogram, 0.5), 5.5);
  assertEquals(quantile(histogram, 1), 10);
  for (let n = 0; n < 30; n++) histogram.observe(99);
  assertEquals(
    quantile(histogram, 0.5),
    10,
    "above the last bound that bound is all that is known",
  );
});
