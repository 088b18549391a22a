import { assertEquals } from "@std/assert";
import { Timelines } from "../../src/base/timelines.ts";

const HISTORY = "1\t0/3000158\tno recovery target specified\n\n2\t0/5000A0\tbefore 2026-11-28\n";

Deno.test("Timelines.fromHistory reads a history file", () => {
  const { spans } = Timelines.fromHistory(HISTORY, 3);
  assertEquals(spans, [
    { timeline: 1, begins: 0n },
    { timeline: 2, begins: 0x3000158n },
    { timeline: 3, begins: 0x5000A0n },
  ]);
});

Deno.test("Timelines.at tells on which timeline a record was written", () => {
  const timelines = Timelines.fromHistory("1\t0/100\tx\n2\t0/200\tx\n", 5);
  assertEquals(
    [0n, 0xFFn, 0x100n, 0x1FFn, 0x200n, 0x10_0000_0000n].map((lsn) => timelines.at(lsn)),
    [1, 1, 2, 2, 5, 5],
  );
  assertEquals(Timelines.only(4).at(0n), 4);
});

Deno.test("Timelines.partsFrom finds where two histories leave one another", () => {
  const first = Timelines.only(1);
  const second = Timelines.fromHistory("1\t0/100\tx\n", 2);
  const third = Timelines.fromHistory("1\t0/100\tx\n2\t0/200\tx\n", 3);
  assertEquals(first.partsFrom(Timelines.only(1)), "nowhere");
  assertEquals(third.partsFrom(Timelines.fromHistory("1\t0/100\tx\n2\t0/200\tx\n", 3)), "nowhere");
  assertEquals([second.partsFrom(first), first.partsFrom(second)], [0x100n, 0x100n]);
  assertEquals(third.partsFrom(second), 0x200n);
  assertEquals(third.partsFrom(first), 0x100n);
  // Two standbys of the first that were both promoted.
  const sibling = Timelines.fromHistory("1\t0/80\tx\n", 2);
  assertEquals([sibling.partsFrom(second), second.partsFrom(sibling)], [0x80n, 0x80n]);
  assertEquals(Timelines.fromHistory("1\t0/80\tx\n", 3).partsFrom(second), 0x80n);
  assertEquals(Timelines.only(7).partsFrom(second), undefined);
});
