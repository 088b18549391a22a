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

/** Time of the test's own; its wall clock stands an hour back from the middle on, as if somebody had set it. */
class TestTime {
  nowMs = 0;
  readonly timers: (() => void)[] = [];
  readonly now = () => this.nowMs;
  readonly wall = () => 10_000_000 + this.nowMs - (this.nowMs > 500 ? 3_600_000 : 0);
  later(tell: () => void): () => void {
    this.timers.push(tell);
    return () => {};
  }
}

function passed(use: (limiter: WarningLimiter, time: TestTime) => void): LogRecord[] {
  const records: LogRecord[] = [];
  const time = new TestTime();
  use(new WarningLimiter((each) => records.push(each), time), time);
  return records;
}

const texts = (records: readonly LogRecord[]) =>
  records.map((each) => textLine(each, false).replace(/^\S+ /, ""));

Deno.test("WarningLimiter lets the first of a kind pass and says how many were left out", () => {
  const records = passed((limiter, time) => {
    for (; time.nowMs < 1000; time.nowMs++) {
      limiter.take(record({ what: `row ${time.nowMs}`, timestamp: time.wall() }));
    }
    time.nowMs = 10_000;
    limiter.take(record({ what: "row 1000", timestamp: time.wall() }));
    time.nowMs = 10_001;
    limiter.flush();
  });
  assertEquals(texts(records), [
    ...[0, 1, 2, 3, 4].map((n) => `WARNING skipped: row ${n}`),
    "WARNING 995 more such warnings in 10 s were left out; the last: skipped: row 999",
    "WARNING skipped: row 1000",
  ]);
  assertEquals(JSON.parse(jsonLine(records[5]!, false)).left_out, 995);
});

Deno.test("WarningLimiter tells at the end what it has not told", () => {
  const records = passed((limiter, time) => {
    for (; time.nowMs < 7; time.nowMs++) limiter.take(record({}));
    time.nowMs = 3_000;
    limiter.flush();
    limiter.flush();
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
  const records = passed((limiter, time) => {
    for (let n = 0; n < 8; n++) limiter.take(record({}));
    assertEquals(time.timers.length, 1);
    time.nowMs = 10_000;
    time.timers[0]!();
  });
  assertEquals(records.length, 6);
  assertEquals(texts(records).at(-1)!.slice(0, 40), "WARNING 3 more such warnings in 10 s wer");
});
