import { assertEquals } from "@std/assert";
import { formatSeconds } from "../../src/base/quantity.ts";

Deno.test("formatSeconds is short at every size", () => {
  const written: [number, string][] = [
    [0, "0 s"],
    [0.0002, "1 ms"],
    [0.25, "250 ms"],
    [1.26, "1.3 s"],
    [59.6, "60 s"],
    [100, "2 min"],
    [5400, "90 min"],
    [7200, "2 h"],
    [7_800, "2 h 10 min"],
    [90_000, "25 h"],
    [200_000, "2 d"],
  ];
  for (const [seconds, text] of written) assertEquals(formatSeconds(seconds), text);
});
