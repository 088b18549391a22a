import { assert, assertEquals } from "@std/assert";
import { MAX_ID_LENGTH } from "../../src/backfill/control_message.ts";
import {
  isReaderOf,
  parseNews,
  parseReaderName,
  percentage,
  printNews,
  printReaderName,
} from "../../src/backfill/progress.ts";

Deno.test("parseReaderName reads what printReaderName writes", () => {
  for (
    const name of [
      { percentage: 42, slot: "pg2kinesis", doing: "reading", table: "public.orders" },
      { percentage: 0, slot: "s", doing: "writer", table: "public.a b" },
      { percentage: 100, slot: "s", doing: "behind", table: "" },
      { percentage: undefined, slot: "s", doing: "reading", table: "public.orders" },
    ] as const
  ) assertEquals(parseReaderName(printReaderName(name)), name);
});

Deno.test("printReaderName stays within 63 ASCII bytes and keeps the percentage, the slot and what it does", () => {
  const slot = "a".repeat(63);
  const name = printReaderName({
    percentage: 100,
    slot,
    doing: "connection",
    table: `über."x\n${"y".repeat(100)}`,
  });
  assert(name.length <= 63 && /^[\x20-\x7E]*$/.test(name), name);
  const read = parseReaderName(name)!;
  assertEquals([read.percentage, read.doing, isReaderOf(slot, read)], [100, "connection", true]);
  assert(!isReaderOf("a", read));
});

Deno.test("isReaderOf tells slots apart of which one begins like the other", () => {
  const read = parseReaderName("7% backfill shop reading public.t")!;
  assert(isReaderOf("shop", read));
  assert(!isReaderOf("shop_2", read));
});

Deno.test("parseReaderName takes no other connection for a reader", () => {
  for (
    const name of ["", "psql", "pg2kinesis", "101% backfill s reading", "5% backfill S reading t"]
  ) {
    assertEquals(parseReaderName(name), undefined, name);
  }
});

Deno.test("percentage reaches 100 only at the end, whatever was expected", () => {
  const at = (rows: number, expected: number | undefined, tablesPending: number) =>
    percentage({ rows, expected, tablesPending });
  assertEquals(at(0, 0, 1), 0);
  assertEquals(at(50, 100, 1), 50);
  assertEquals(at(150, 100, 1), 99);
  assertEquals(at(5, 100, 0), 100);
  assertEquals(at(5, undefined, 1), undefined);
});

Deno.test("parseNews reads what printNews writes, and nothing else", () => {
  const news = {
    slot: "s",
    request: "r",
    news: "table",
    table: "public.t",
    rows: 5,
    tables: undefined,
    reason: undefined,
  } as const;
  assertEquals(parseNews(printNews(news)), news);
  assertEquals(parseNews(printNews({ ...news, reason: "x".repeat(9000) }))!.reason!.length, 600);
  for (const payload of ["", "{}", "null", '{"slot":"s","request":"r","news":"other"}']) {
    assertEquals(parseNews(payload), undefined, payload);
  }
});

Deno.test("printNews stays within what a notification takes, whatever is in it", () => {
  const text = printNews({
    ...{
      slot: "s".repeat(63),
      request: "\u0001".repeat(MAX_ID_LENGTH),
      news: "table",
      rows: 2 ** 53,
    },
    ...{ table: "\u0001".repeat(20_000), reason: "\u0001".repeat(20_000) },
  });
  assert(new TextEncoder().encode(text).length < 8000);
});
