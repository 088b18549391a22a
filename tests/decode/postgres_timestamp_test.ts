import { assertEquals } from "@std/assert";
import { parsePostgresTimestamp } from "../../src/decode/postgres_timestamp.ts";

function micros(iso: string, rest = 0n): bigint {
  return BigInt(Date.parse(iso)) * 1000n + rest;
}

Deno.test("parsePostgresTimestamp reads what timestamptz_to_str prints, in any zone", () => {
  const expected: [string, bigint][] = [
    ["1970-01-01 00:00:00+00", 0n],
    ["2026-11-22 08:01:02.123456+00", micros("2026-11-22T08:01:02Z", 123456n)],
    ["2026-11-22 08:01:02.1+00", micros("2026-11-22T08:01:02Z", 100000n)],
    ["2026-11-22 08:01:02.000001+05:30", micros("2026-11-22T02:31:02Z", 1n)],
    ["2026-11-22 08:01:02-03", micros("2026-11-22T11:01:02Z")],
    ["2026-11-22 08:01:02-00:01:15", micros("2026-11-22T08:02:17Z")],
    ["2024-02-29 23:59:59.999999-12", micros("2024-03-01T11:59:59Z", 999999n)],
    ["2000-02-29 12:00:00+00", micros("2000-02-29T12:00:00Z")],
    ["0099-01-01 00:00:00+00", micros("0099-01-01T00:00:00Z")],
    ["12026-01-01 00:00:00.5+00", micros("+012026-01-01T00:00:00Z", 500000n)],
    ["1969-12-31 23:59:59.999999+00", -1n],
    // Its microseconds do not fit into a JavaScript number.
    ["275760-01-01 00:00:00.000001+00", micros("+275760-01-01T00:00:00Z", 1n)],
  ];
  for (const [text, value] of expected) assertEquals(parsePostgresTimestamp(text), value, text);
});

Deno.test("parsePostgresTimestamp refuses anything else", () => {
  for (
    const text of [
      "",
      "2026-11-22",
      "2026-11-22 08:01:02",
      "2026-11-22T08:01:02+00",
      "2026-11-22 08:01:02 +00",
      "2026-11-22 08:01:02+0000",
      "2026-11-22 08:01:02.+00",
      "2026-11-22 08:01:02.1234567+00",
      "2026-11-22 24:01:02+00",
      "2026-11-22 08:60:02+00",
      "2026-13-22 08:01:02+00",
      "2026-00-22 08:01:02+00",
      "2026-02-29 08:01:02+00",
      "2100-02-29 08:01:02+00",
      "2026-04-31 08:01:02+00",
      "2026-11-22 08:01:02+00:00:00:00",
      "2026-11-22 08:01:02+00:60",
      "2026-11-00 08:01:02+00",
      "2026-11-22 08:01:02+00 BC",
      "Sun Nov 22 08:01:02 2026 UTC",
      "infinity",
      "2026-11-22 08:01:02+00\n",
    ]
  ) assertEquals(parsePostgresTimestamp(text), undefined, text);
});
