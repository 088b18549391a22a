import { assert, assertEquals } from "@std/assert";
import {
  type ControlMessage,
  MAX_TABLES,
  parseControlMessage,
  printControlMessage,
} from "../../src/backfill/control_message.ts";

const POSITION = {
  slot: "pg2kinesis",
  generation: 3,
  run: "8f14e45f",
  number: 12,
  taken: "0/16B3748",
};

const MESSAGES: readonly ControlMessage[] = [
  { kind: "request", slot: "pg2kinesis", id: "abc", tables: ["public.orders", "shop.*"] },
  { kind: "request", slot: "pg2kinesis", id: "abc", tables: "all" },
  { kind: "stop", slot: "pg2kinesis", tables: ['public.ünïcode "x"'] },
  { kind: "stop", slot: "pg2kinesis", tables: "all" },
  { kind: "ping", slot: "pg2kinesis", run: "8f14e45f", number: 0 },
  {
    kind: "mark",
    ...POSITION,
    requests: [{ id: "abc", tables: "all", except: ["public.b"] }, { id: "x", tables: ["a.b"] }],
    upTo: 0xFFFF_FFFF,
    open: [
      { oid: 16384, name: "public.orders", after: ["", "7"], rows: 4711 },
      { oid: 16385, name: "public.later", after: undefined, rows: 0 },
    ],
    left: [16390, 0, [6, 400], 4],
    since: 0xFFFF_FFFF,
  },
  { kind: "mark", ...POSITION, requests: [], upTo: 0, open: [] },
  { kind: "done", ...POSITION, requests: [], request: "abc" },
];

Deno.test("parseControlMessage reads what printControlMessage writes", () => {
  for (const message of MESSAGES) {
    assertEquals(parseControlMessage(printControlMessage(message)), { message });
  }
});

Deno.test("printControlMessage writes ASCII that no key can make ambiguous", () => {
  const printed = printControlMessage({
    kind: "mark",
    ...POSITION,
    requests: [],
    upTo: 0,
    open: [{ oid: 1, name: "public.tä\u{1F600}", after: ["x, sz: 5 content:\u2028"], rows: 0 }],
  });
  assert(/^[\x20-\x7E]*$/.test(printed) && !printed.includes(", sz:"), printed);
  const parsed = parseControlMessage(printed);
  if (!("message" in parsed) || parsed.message.kind !== "mark") throw new Error("no mark");
  assertEquals(parsed.message.open[0]!.after, ["x, sz: 5 content:\u2028"]);
  assertEquals(parsed.message.open[0]!.name, "public.tä\u{1F600}");
});

Deno.test("parseControlMessage takes what a person writes in SQL for a request", () => {
  assertEquals(parseControlMessage('{"slot":"pg2kinesis","tables":["public.orders"]}'), {
    message: { kind: "request", slot: "pg2kinesis", id: undefined, tables: ["public.orders"] },
  });
  assertEquals(parseControlMessage('{"slot":"pg2kinesis"}'), {
    message: { kind: "request", slot: "pg2kinesis", id: undefined, tables: "all" },
  });
});

Deno.test("parseControlMessage leaves alone what a later version adds", () => {
  assertEquals(parseControlMessage('{"slot":"s","kind":"stop","since":5}'), {
    message: { kind: "stop", slot: "s", tables: "all" },
  });
});

Deno.test("parseControlMessage says what is wrong with any other text", () => {
  const mark = { kind: "mark", ...POSITION, requests: [], upTo: 0, open: [] };
  const open = { oid: 1, name: "a.b", rows: 0 };
  const wrong: [unknown, string][] = [
    [[], "is no JSON object"],
    [null, "is no JSON object"],
    [{}, 'has no text "slot"'],
    [{ slot: 5 }, 'has no text "slot"'],
    [
      { slot: "s", kind: "snapshot" },
      'has a "kind" that is none of request, stop, ping, mark and done',
    ],
    [{ slot: "s", id: "" }, 'has no text "id"'],
    [{ slot: "s", id: "x".repeat(201) }, 'has an "id" of more than 200 characters'],
    [{ slot: "s", tables: "public.orders" }, 'has "tables" that are no list of names'],
    [{ slot: "s", tables: [] }, 'has "tables" that are no list of names'],
    [{ slot: "s", tables: [""] }, 'has "tables" that are no list of names'],
    [{ slot: "s", tables: Array(MAX_TABLES + 1).fill("a.b") }, "names more than 1000 tables"],
    [{ slot: "s", kind: "ping", run: "r", number: -1 }, 'has no number "number"'],
    [{ slot: "s", kind: "ping", run: "r", number: 1.5 }, 'has no number "number"'],
    [{ ...mark, taken: "5" }, 'has a "taken" that is no LSN'],
    [{ ...mark, generation: 1e300 }, 'has no number "generation"'],
    [{ ...mark, requests: {} }, 'has no list "requests"'],
    [{ ...mark, requests: [5] }, 'has "requests" that are no objects'],
    [{ ...mark, upTo: 2 ** 32 }, 'has a "upTo" that is no OID'],
    [{ ...mark, open: [{ ...open, after: [] }] }, 'has an "after" that is no list of texts'],
    [{ ...mark, open: [{ ...open, after: [1] }] }, 'has an "after" that is no list of texts'],
    [{ ...mark, open: Array(17).fill(open) }, 'has more than 16 "open"'],
    [{ ...mark, left: [1, -1] }, 'has "left" that are no distances'],
    [{ ...mark, left: [[1, 2, 3]] }, 'has "left" that are no distances'],
    [{ ...mark, left: [[1]] }, 'has "left" that are no distances'],
    [{ ...mark, left: ["1"] }, 'has "left" that are no distances'],
    [{ ...mark, left: Array(20_001).fill(1) }, 'has more than 20000 "left"'],
    [{ ...mark, left: [1, [1, 20_000]] }, 'has more than 20000 "left"'],
    [{ ...mark, since: 2 ** 32 }, 'has a "since" that is no xid'],
    [{ kind: "done", ...POSITION, requests: [] }, 'has no text "request"'],
  ];
  for (const [value, fault] of wrong) {
    assertEquals(parseControlMessage(JSON.stringify(value)), { fault }, JSON.stringify(value));
  }
  assertEquals(parseControlMessage("backfill please"), { fault: "is no JSON" });
  assertEquals(parseControlMessage(""), { fault: "is no JSON" });
});

Deno.test("parseControlMessage takes no generation that a run could not count beyond", () => {
  const mark = { kind: "mark", ...POSITION, requests: [], upTo: 0, open: [] };
  const text = JSON.stringify({ ...mark, generation: Number.MAX_SAFE_INTEGER });
  const parsed = parseControlMessage(text);
  if (!("message" in parsed) || parsed.message.kind !== "mark") throw new Error("it is a mark");
  const { message } = parsed;
  const next = { ...message, generation: message.generation + 1 };
  assertEquals(parseControlMessage(printControlMessage(next)), { message });
});
