import { assertEquals } from "@std/assert";
import { editDistance, nearest } from "../../src/base/did_you_mean.ts";

Deno.test("editDistance counts what has to be typed differently", () => {
  for (
    const [from, to, distance] of [
      ["", "", 0],
      ["", "abc", 3],
      ["abc", "", 3],
      ["same", "same", 0],
      ["kitten", "sitting", 3],
      ["flaw", "lawn", 2],
      ["tabel", "table", 2],
      ["€𝄞", "€", 1],
    ] as const
  ) {
    assertEquals(editDistance(from, to), distance, `${from} ${to}`);
    assertEquals(editDistance(to, from), distance, `${to} ${from}`);
  }
});

Deno.test("nearest names the word that was meant, or none", () => {
  const words = ["stop", "skip", "key-only"];
  assertEquals(nearest("stopp", words), "stop");
  assertEquals(nearest("SKIP", words), "skip");
  assertEquals(nearest("key", words), "key-only");
  assertEquals(nearest("ignore", words), undefined);
});
