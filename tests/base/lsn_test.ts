import { assertEquals, assertThrows } from "@std/assert";
import { formatLsn, parseLsn } from "../../src/base/lsn.ts";

Deno.test("formatLsn gives PostgreSQL's text, and parseLsn reads it", () => {
  const texts = ["0/0", "0/1", "0/16B3748", "0/FFFFFFFF", "1/0", "16/B374D848"];
  const lsns = [0n, 1n, 0x16B3748n, 0xFFFF_FFFFn, 1n << 32n, 0x16_B374_D848n];
  const last = (1n << 64n) - 1n;
  assertEquals([...lsns, last].map(formatLsn), [...texts, "FFFFFFFF/FFFFFFFF"]);
  assertEquals(texts.map(parseLsn), lsns);
  assertEquals(parseLsn("ffffffff/ffffffff"), last);
  assertThrows(() => formatLsn(last + 1n), RangeError);
  assertThrows(() => formatLsn(-1n), RangeError);
});
