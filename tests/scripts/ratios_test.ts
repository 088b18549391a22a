import { assertEquals } from "@std/assert";
import { Ratios } from "../../scripts/bench/ratios.ts";

Deno.test("the bench compares versions round by round, and leaves out what one was not measured by", () => {
  const ratios = new Ratios();
  ratios.add("drain", "now", { wall: [1, 4, 9], cpu: [2, 2, 2], peak: [100, 100, 100] });
  ratios.add("drain", "old", { wall: [2, 4, 6], cpu: [4, 4, 1], peak: [50, 200, 100] });
  ratios.add("drain", "pg_recvlogical", { wall: [1, 1, 1], cpu: [1, 1, 1] });
  ratios.add("another", "old", { wall: [1, 1, 1] });
  assertEquals(ratios.rows().slice(1), [
    ["drain ÷ old", "1.00", "0.50", "", "", "1.00"],
    ["drain ÷ pg_recvlogical", "4.00", "2.00", "", "", ""],
  ]);
});
