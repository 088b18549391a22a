import { assertEquals } from "@std/assert";
import { parseSnapshot } from "../../../src/postgres/catalog/transaction_snapshot.ts";

Deno.test("parseSnapshot sees what ended before it, and nothing that runs or is yet to come", () => {
  const sees = parseSnapshot("100:110:100,105");
  assertEquals([99, 100, 101, 105, 109, 110, 111].map(sees), [
    ...[true, false, true, false, true, false, false],
  ]);
  assertEquals([9, 10].map(parseSnapshot("10:10:")), [true, false]);
});

Deno.test("parseSnapshot compares xids across their wraparound", () => {
  const epoch = 3n << 32n;
  const sees = parseSnapshot(`${epoch - 5n}:${epoch + 5n}:${epoch - 2n},${epoch + 2n}`);
  const below = 2 ** 32;
  assertEquals([below - 6, below - 3, below - 2, below - 1, 0, 1, 2, 3, 4, 5, 6].map(sees), [
    ...[true, true, false, true, true, true, false, true, true, false, false],
  ]);
});
