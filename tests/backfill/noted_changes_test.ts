import { assertEquals } from "@std/assert";
import { NotedChanges, notedKey } from "../../src/backfill/noted_changes.ts";

Deno.test("NotedChanges keeps the keys of transactions that no snapshot has seen", () => {
  const noted = new NotedChanges();
  noted.note(5, "t", ["a", "b"]);
  noted.note(7, "t", ["b"]);
  noted.note(7, "u", ["c"]);
  assertEquals(noted.of("t"), [[5, new Set(["a", "b"])], [7, new Set(["b"])]]);
  noted.forget((xid) => xid < 6);
  assertEquals(noted.of("t"), [[7, new Set(["b"])]]);
  noted.note(5, "t", ["a"]);
  assertEquals(noted.of("t").length, 1, "what was seen before is not noted");
  noted.clear();
  noted.note(5, "t", ["a"]);
  assertEquals(noted.of("t"), [[5, new Set(["a"])]]);
});

Deno.test("NotedChanges keeps little of a long key, and finds it", () => {
  const noted = new NotedChanges();
  const long = "x".repeat(600_000);
  noted.note(5, "t", [long, `${long}y`]);
  const [[, keys]] = noted.of("t") as [[number, Set<string>]];
  assertEquals([...keys].map(({ length }) => length), [44, 44]);
  assertEquals([keys.has(notedKey(long)), keys.has(notedKey("x"))], [true, false]);
});

Deno.test("NotedChanges stays within its bounds, and says when a snapshot is due", () => {
  const noted = new NotedChanges();
  const keys = (from: number) => Array.from({ length: 40_000 }, (_, i) => String(from + i));
  noted.note(5, "t", keys(0));
  assertEquals([noted.areMany, noted.areTooMany], [false, false]);
  noted.note(6, "t", keys(0));
  assertEquals([noted.areMany, noted.areTooMany], [true, false]);
  noted.note(5, "t", keys(40_000));
  assertEquals(noted.of("t")[0], [5, "all"], "too many of one transaction stand for the table");
  for (let xid = 10; xid < 25; xid++) noted.note(xid, "t", keys(0));
  assertEquals(noted.areTooMany, true);
  noted.forget(() => true);
  assertEquals([noted.areMany, noted.of("t")], [false, []]);
});
