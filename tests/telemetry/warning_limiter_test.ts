import { assertEquals } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import { jsonLine, textLine } from "../../src/telemetry/log.ts";
import { WarningLimiter } from "../../src/telemetry/warning_limiter.ts";

function record(given: Partial<LogRecord> & { readonly what?: string }): LogRecord {
  const { what = "a row", ...rest } = given;
  return {
    category: ["pg2kinesis", "publish"],
    level: "warning",
    message: ["skipped: ", what, ""],
    rawMessage: "skipped: {what}",
    properties: { what },
    timestamp: 0,
    ...rest,
  };
}

function passed(use: (limiter: WarningLimiter) => void): LogRecord[] {
  const records: LogRecord[] = [];
  use(new WarningLimiter((each) => records.push(each)));
  return records;
}

const texts = (records: readonly LogRecord[]) =>
  records.map((each) => textLine(each, false).replace(/^\S+ /, ""));

Deno.test("WarningLimiter lets the first of a kind pass and says how many were left out", () => {
  const records = passed((limiter) => {
    for (let n = 0; n < 1000; n++) limiter.take(record({ what: `row ${n}`, timestamp: n }));
    limiter.take(record({ what: "row 1000", timestamp: 10_000 }));
    limiter.flush(10_001);
  });
  assertEquals(texts(records), [
    ...[0, 1, 2, 3, 4].map((n) => `WARNING skipped: row ${n}`),
    "WARNING 995 more such warnings in 10 s were left out; the last: skipped: row 999",
    "WARNING skipped: row 1000",
  ]);
  assertEquals(JSON.parse(jsonLine(records[5]!, false)).left_out, 995);
});

Deno.test("WarningLimiter tells at the end what it has not told", () => {
  const records = passed((limiter) => {
    for (let n = 0; n < 7; n++) limiter.take(record({ timestamp: n }));
    limiter.flush(3_000);
    limiter.flush(4_000);
  });
  assertEquals(
    texts(records).slice(5),
    ["WARNING 2 more such warnings in 3 s were left out; the last: skipped: a row"],
  );
});

Deno.test("WarningLimiter keeps kinds apart, and holds back nothing but warnings", () => {
  const records = passed((limiter) => {
    for (let n = 0; n < 20; n++) {
      limiter.take(record({ level: "info" }));
      limiter.take(record({ level: "error" }));
    }
    for (let n = 0; n < 5; n++) {
      limiter.take(record({ rawMessage: "one {what}" }));
      limiter.take(record({ rawMessage: "other {what}" }));
      limiter.take(record({ category: ["pg2kinesis", "kinesis"] }));
    }
  });
  assertEquals(records.length, 55);
});

Deno.test("WarningLimiter says it after ten seconds when no more come", () => {
  const records: LogRecord[] = [];
  const timers: (() => void)[] = [];
  const limiter = new WarningLimiter((each) => records.push(each), {
    now: () => 10_000,
    later: (tell) => {
      timers.push(tell);
      return () => {};
    },
  });
  for (let n = 0; n < 8; n++) limiter.take(record({ timestamp: 0 }));
  assertEquals(records.length, 5);
  assertEquals(timers.length, 1);
  timers[0]!();
  assertEquals(texts(records).at(-1)!.slice(0, 40), "WARNING 3 more such warnings in 10 s wer");
});
