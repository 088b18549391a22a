import { assertEquals } from "@std/assert";
import { lanesBefore, ShardOrder } from "../../src/tail/shard_order.ts";

interface Range {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly parents: readonly Range[];
}

const range = (id: string, start: number, end: number, ...parents: Range[]): Range => ({
  ...{ id, start, end, parents },
});
const covers = (outer: Range, inner: Range) => outer.start <= inner.start && inner.end <= outer.end;
const overlap = (left: Range, right: Range) => left.start <= right.end && right.start <= left.end;
const before = (shard: Range) => lanesBefore(shard, ({ parents }) => parents, covers, overlap);

const WHOLE = range("whole", 0, 9);
const LOW = range("low", 0, 4, WHOLE);
const HIGH = range("high", 5, 9, WHOLE);
const MERGED = range("merged", 0, 9, LOW, HIGH);
const PART = range("part", 3, 9, MERGED);

/** Puts of positions by keys; gives the positions that are late. */
function lates(shard: Range, ...puts: (readonly (readonly [key: number, position: number])[])[]) {
  const order = new ShardOrder<Range, number>(before);
  return puts.flatMap((put) =>
    order.add({
      shard,
      positions: put.map(([, position]) => position),
      liesIn: ({ start, end }) => put.every(([key]) => start <= key && key <= end),
    })
  );
}

Deno.test("lanesBefore names the lanes that may have been joined in a shard", () => {
  const names = (shard: Range) => before(shard).map(({ id }) => id);
  assertEquals(names(WHOLE), []);
  assertEquals(names(LOW), [], "a split alone joins nothing");
  assertEquals(names(MERGED), ["low", "high"]);
  // What covers it had all of it in order; the low lane may have a put here, and the high one.
  assertEquals(names(PART), ["low", "high"]);
});

Deno.test("ShardOrder finds what comes after a later change, across puts and within one", () => {
  assertEquals(lates(LOW, [[1, 1], [2, 3]], [[1, 2], [1, 4]], [[3, 5]]), [2]);
  assertEquals(lates(LOW, [[1, 2], [2, 1]]), [1]);
  assertEquals(lates(LOW, [[1, 1]], [[2, 2]], []), []);
});

Deno.test("ShardOrder lets one put of each merged lane be ahead, and no second", () => {
  const [low, high] = [[[1, 50], [2, 51]], [[7, 10], [8, 11]]] as const;
  assertEquals(lates(MERGED, low, high, [[7, 12], [1, 52]], [[8, 53]]), []);
  assertEquals(lates(MERGED, low, [[7, 10], [1, 52]], [[8, 53]]), [], "the high one had none");
  assertEquals(lates(MERGED, low, [[2, 60]], [[7, 10]], [[8, 11]]), [11]);
  assertEquals(lates(MERGED, low, [[2, 60]], [[7, 10], [8, 11]], [[8, 12]], [[8, 13]]), [12, 13]);
});

Deno.test("ShardOrder takes a put that arrives late for the one that may be out of place", () => {
  // The joined lane's first put holds rows of the high one alone; the put from before arrives behind.
  assertEquals(lates(MERGED, [[7, 10]], [[7, 11], [1, 12]], [[8, 5]], [[1, 13]]), []);
  // Here the first was ahead already.
  assertEquals(lates(MERGED, [[7, 20]], [[7, 11], [1, 12]], [[8, 5]], [[1, 13]]), [5]);
});
