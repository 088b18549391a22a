import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import { jsonLine, textLine } from "../../src/telemetry/log.ts";
import { redact, registerSecret } from "../../src/base/redaction.ts";

/** A record as LogTape makes it of `logger.info(template, properties)`. */
function record(template: string, properties: Record<string, unknown> = {}): LogRecord {
  const parts = template.split(/\{(\w+)\}/);
  return {
    category: ["pg2kinesis", "kinesis", "lane"],
    level: "info",
    message: parts.map((part, index) => index % 2 === 0 ? part : properties[part]),
    rawMessage: template,
    timestamp: Date.UTC(2026, 10, 22, 8, 1, 2, 123),
    properties,
  };
}

const TEXT: readonly (readonly [template: string, Record<string, unknown>, line: string])[] = [
  ["started", {}, "started"],
  ["put {n} records", { n: 5 }, "put 5 records"],
  ["put {n} records", { n: 5, shard: "shardId-000" }, "put 5 records shard=shardId-000"],
  [
    "x",
    { lsn: 5n, ok: true, none: undefined, nil: null },
    "x lsn=5 ok=true none=undefined nil=null",
  ],
  [
    "x",
    { text: "a b", empty: "", quote: '"', eq: "a=b" },
    'x text="a b" empty="" quote="\\"" eq="a=b"',
  ],
  ["x", { path: "C:\\x" }, 'x path="C:\\\\x"'],
  ["a\nb {t}", { t: "c\r\nd\u2028e" }, "a\\nb c\\r\\nd\\u2028e"],
  ["x", { t: "c\nd\u2028e" }, 'x t="c\\nd\\u2028e"'],
  ["\u001b[31mred\u009b", {}, "\\u001b[31mred\\u009b"],
  ["x", { list: [1, 2n, { a: "b" }] }, 'x list="[1,\\"2\\",{\\"a\\":\\"b\\"}]"'],
  ["failed", { error: new TypeError("no such thing") }, 'failed error="no such thing"'],
  [
    "x",
    { nan: NaN, set: new Set([1]), map: new Map([["k", 1]]) },
    'x nan=NaN set=[1] map="{\\"k\\":1}"',
  ],
];

for (const [template, properties, line] of TEXT) {
  Deno.test(`textLine writes ${JSON.stringify(line)}`, () => {
    assertEquals(
      textLine(record(template, properties), false),
      `2026-11-22T08:01:02.123Z INFO ${line}`,
    );
  });
}

Deno.test("jsonLine writes an object with the properties as they are", () => {
  const error = new Error("broke", { cause: new Error("why") });
  assertEquals(
    JSON.parse(jsonLine(
      record("put {n}\nrecords", { n: 5, lsn: 2n ** 63n, list: [1], nan: NaN, level: "x", error }),
      false,
    )),
    {
      time: "2026-11-22T08:01:02.123Z",
      level: "info",
      area: "kinesis.lane",
      message: "put 5\nrecords",
      n: 5,
      lsn: "9223372036854775808",
      list: [1],
      nan: "NaN",
      level_: "x",
      error: "broke",
    },
  );
  assert(!jsonLine(record("a\nb\u2028"), false).includes("\n"));
});

Deno.test("textLine and jsonLine write whatever they are given", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const thrower = {
    toJSON() {
      throw new Error("no");
    },
  };
  const odd = { circular, thrower, f: () => 1, symbol: Symbol("s"), bytes: new Uint8Array(2) };
  assertMatch(textLine(record("x {circular}", odd), true), /^\S+ INFO x .*symbol=Symbol\(s\)/);
  JSON.parse(jsonLine(record("x", odd), true));
});

Deno.test("textLine and jsonLine give stacks and causes only when asked", () => {
  const error = new Error("broke", { cause: new TypeError("why", { cause: "because" }) });
  for (const line of [textLine, jsonLine]) {
    assert(!/log_test|caused by/.test(line(record("x", { error }), false)));
    const whole = line(record("x", { error }), true);
    assert(!whole.includes("\n"));
    assertMatch(whole, /Error: broke.*log_test\.ts.*caused by: TypeError: why.*caused by: because/);
  }
  const loop = new Error("a");
  loop.cause = new Error("b", { cause: loop });
  assertMatch(textLine(record("x", { error: loop }), true), /caused by: Error: b/);
});

Deno.test("registerSecret keeps a value out of every line, in any spelling", () => {
  const secret = 'p@ss "wörd"\\\n/%1';
  registerSecret(secret);
  registerSecret(undefined);
  registerSecret("");
  registerSecret("ab");
  const url = `postgres://u:${encodeURIComponent(secret)}@h`;
  for (
    const made of [
      record(`login with ${secret} failed`),
      record("login with {secret} failed", { secret }),
      record("login failed", { secret, nested: { list: [secret] }, url }),
      record("login failed", { error: new Error(secret, { cause: new Error(secret) }) }),
    ]
  ) {
    for (const line of [textLine(made, true), jsonLine(made, true)]) {
      assert(line.includes("***"), line);
      assert(!/p@ss|p%40ss|w(ö|%C3%B6)rd/.test(line), line);
    }
  }
  assertEquals(redact("ab cab"), "ab cab");
});

Deno.test("registerSecret hides a secret that holds another one as a whole", () => {
  registerSecret("tomato1");
  registerSecret("tomato1soup");
  assertEquals(redact("tomato1soup and tomato1"), "*** and ***");
});
