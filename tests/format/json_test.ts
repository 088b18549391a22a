import { assertEquals, assertStringIncludes } from "@std/assert";
import { UNCHANGED } from "../../src/decode/event.ts";
import { createFormatter } from "../../src/format/formats.ts";
import { formatMicroseconds } from "../../src/format/time_text.ts";
import type { OutputPlugin, PartitionKeyChoice } from "../../src/options.ts";
import {
  type ColumnSpec,
  type Emitted,
  format,
  formatKeyOnly,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  truncate,
  tryFormat,
} from "../support/made_up_changes.ts";

const PKEY: PartitionKeyChoice = { kind: "pkey" };

function make(plugin: OutputPlugin = "pgoutput", known = {}, partitionKey = PKEY) {
  const catalog = new MadeUpCatalog({ "public.orders": known });
  return createFormatter({ ...OPTIONS, formatter: "JSON", partitionKey }, plugin, catalog);
}

const parse = (record: Emitted | undefined) => JSON.parse(record!.data);
const orders = { table: "public.orders" };

Deno.test("JSON of an insert, byte for byte", async () => {
  const change = row("insert", {
    ...orders,
    seq: 5,
    newRow: [["id", "bigint", "1"], ["note", "text", 'a"b']],
  });
  assertEquals(format(await make(), change), [{
    key: "public.orders:1",
    data:
      '{"v":1,"op":"insert","xid":731,"lsn":"0/16B3748","commit_lsn":"0/16B3800","seq":5,"timeline":1,' +
      '"ts":"2026-11-22T08:01:02.123456Z","schema":"public","table":"orders","key":{"id":1},' +
      '"after":{"id":1,"note":"a\\"b"}}',
    route: undefined,
  }]);
});

Deno.test("JSON with test_decoding has neither commit_lsn nor ts", async () => {
  const transaction = { xid: 731, timeline: 1, commitLsn: undefined, commitTime: undefined };
  const change = row("insert", { ...orders, transaction, newRow: [["id", "bigint", "1"]] });
  const [record] = format(await make("test_decoding"), change);
  assertEquals(Object.keys(parse(record)).slice(0, 5), ["v", "op", "xid", "lsn", "seq"]);
  assertEquals(parse(record).ts, undefined);
});

Deno.test("JSON writes values by their types", async () => {
  const expected: [type: string, value: string | null, text: string][] = [
    ["boolean", "true", "true"],
    ["smallint", "-1", "-1"],
    ["bigint", "9223372036854775807", "9223372036854775807"],
    ["oid", "4294967295", "4294967295"],
    ["real", "1.17549435e-38", "1.17549435e-38"],
    ["double precision", "NaN", '"NaN"'],
    ["real", "-Infinity", '"-Infinity"'],
    ["double precision", "Infinity", '"Infinity"'],
    ["numeric", "1.50", '"1.50"'],
    ["numeric(10,2)", "NaN", '"NaN"'],
    [
      "json",
      '{"a": 1.00, "a": 123456789012345678901234567890}',
      '{"a": 1.00, "a": 123456789012345678901234567890}',
    ],
    ["json", '{\r\n  "a": "b\\nc"\n}', '{    "a": "b\\nc" }'],
    ["jsonb", '"text"', '"text"'],
    ["json", "null", "null"],
    ["json[]", "{1}", '"{1}"'],
    ["boolean[]", "{t,f}", '"{t,f}"'],
    ["bytea", "\\x00ff", '"\\\\x00ff"'],
    ["timestamp(3) without time zone", "2026-01-02 03:04:05.678", '"2026-01-02 03:04:05.678"'],
    ["public.my_domain", "5", '"5"'],
    ["bit(3)", "101", '"101"'],
    ["text", null, "null"],
  ];
  const formatter = await make();
  const written = expected.map(([type, value]) => {
    const newRow: ColumnSpec[] = [["id", "integer", "1"], ["v", type, value]];
    const { data } = format(formatter, row("insert", { ...orders, newRow }))[0]!;
    JSON.parse(data);
    assertEquals(data.includes("\n"), false);
    return [type, value, /"after":\{"id":1,"v":(.*)\}\}$/s.exec(data)![1]];
  });
  assertEquals(written, expected);
});

Deno.test("JSON of an update and of a delete: key, before where an old row was sent, after", async () => {
  const formatter = await make();
  const newRow: ColumnSpec[] = [["id", "integer", "1"], ["n", "text", "b"]];
  const oldRow: ColumnSpec[] = [["id", "integer", "1"], ["n", "text", "a"]];
  const parts = (record: Emitted | undefined) => {
    const { op, key, before, after } = parse(record);
    return { op, key, before, after };
  };
  const blind = format(formatter, row("update", { ...orders, newRow }));
  assertEquals(blind.map(parts), [
    { op: "update", key: { id: 1 }, before: undefined, after: { id: 1, n: "b" } },
  ]);
  const full = format(formatter, row("update", { ...orders, newRow, oldRow }));
  assertEquals(full.map(parts), [
    { op: "update", key: { id: 1 }, before: { id: 1, n: "a" }, after: { id: 1, n: "b" } },
  ]);
  const gone = format(formatter, row("delete", { ...orders, oldRow: [["id", "integer", "1"]] }));
  assertEquals(gone.map(parts), [
    { op: "delete", key: { id: 1 }, before: { id: 1 }, after: undefined },
  ]);
  assertEquals(
    [blind, full, gone].map(([record]) => record!.key),
    Array(3).fill("public.orders:1"),
  );
});

Deno.test("JSON splits an update that changes the key into a delete and an insert, each under its key", async () => {
  const change = row("update", {
    ...orders,
    seq: 7,
    newRow: [["id", "integer", "2"], ["n", "text", "b"], ["big", "text", UNCHANGED]],
    oldRow: [["id", "integer", "1"]],
  });
  for (const plugin of ["test_decoding", "pgoutput"] as const) {
    const records = format(await make(plugin), change);
    assertEquals(records.map(({ key }) => key), ["public.orders:1", "public.orders:2"]);
    const [gone, come] = records.map(parse);
    assertEquals([gone.op, gone.key, gone.moved_to, gone.before, gone.after, gone.seq], [
      "delete",
      { id: 1 },
      { id: 2 },
      { id: 1 },
      undefined,
      7,
    ]);
    assertEquals([come.op, come.key, come.moved_from, come.before, come.after, come.unchanged], [
      "insert",
      { id: 2 },
      { id: 1 },
      undefined,
      { id: 2, n: "b" },
      ["big"],
    ]);
    assertEquals([come.seq, come.commit_lsn], [7, gone.commit_lsn]);
  }
});

Deno.test("JSON does not split an update whose halves would share one partition key and seq", async () => {
  const change = row("update", {
    ...orders,
    newRow: [["id", "integer", "2"]],
    oldRow: [["id", "integer", "1"]],
  });
  const records = format(await make("pgoutput", {}, { kind: "table" }), change);
  assertEquals(records.map(({ key }) => key), ["public.orders"]);
  const { op, key, moved_from, before, after } = parse(records[0]);
  assertEquals([op, key, moved_from, before, after], [
    "update",
    { id: 2 },
    { id: 1 },
    { id: 1 },
    { id: 2 },
  ]);
});

Deno.test("JSON names unchanged TOAST columns, and takes their value from the old row where it has it", async () => {
  const newRow: ColumnSpec[] = [["id", "integer", "1"], ["big", "text", UNCHANGED], [
    "n",
    "integer",
    "2",
  ]];
  const withOld = (oldRow?: ColumnSpec[]) => row("update", { ...orders, newRow, oldRow });
  const formatter = await make();
  const blind = parse(format(formatter, withOld())[0]);
  assertEquals([blind.after, blind.unchanged], [{ id: 1, n: 2 }, ["big"]]);
  const full = format(
    formatter,
    withOld([["id", "integer", "1"], ["big", "text", "B"], ["n", "integer", "1"]]),
  )[0];
  assertEquals([parse(full).after, parse(full).unchanged], [{ id: 1, big: "B", n: 2 }, ["big"]]);
  assertStringIncludes(full!.data, '"after":{"id":1,"big":"B","n":2}', "not in table order");
});

Deno.test("JSON follows a table whose columns change from row to row", async () => {
  const formatter = await make();
  const rows: [ColumnSpec[], string][] = [
    [[["id", "integer", "1"], ["a", "text", "x"]], '{"id":1,"a":"x"}'],
    [[["id", "integer", "1"], ["a", "text", UNCHANGED]], '{"id":1},"unchanged":["a"]'],
    [[["id", "integer", "1"], ["a", "text", "x"]], '{"id":1,"a":"x"}'],
    [[["id", "integer", "1"], ["b", "text", "x"]], '{"id":1,"b":"x"}'],
    [[["id", "integer", "1"], ["b", "integer", "2"]], '{"id":1,"b":2}'],
    [[["id", "integer", "1"]], '{"id":1}'],
  ];
  for (const [newRow, after] of rows) {
    const { data } = format(formatter, row("update", { ...orders, newRow }))[0]!;
    assertEquals(data.slice(data.indexOf('"after":')), `"after":${after}}`);
  }
});

Deno.test("JSON with wal2json: unchanged columns are absent, and named where the old row has them", async () => {
  const update = (newRow: ColumnSpec[], oldRow: ColumnSpec[]) =>
    row("update", { ...orders, keyNames: ["id"], newRow, oldRow });
  const formatter = await make("wal2json", { replicaIdentity: "f" });
  const full = format(
    formatter,
    update([["id", "integer", "1"], ["n", "integer", "2"]], [
      ["id", "integer", "1"],
      ["big", "text", "B"],
      ["n", "integer", "1"],
    ]),
  )[0];
  assertStringIncludes(full!.data, '"after":{"id":1,"big":"B","n":2},"unchanged":["big"]}');
  const longKey = format(
    formatter,
    update([["n", "integer", "2"]], [["id", "text", "k"]]),
  )[0];
  assertEquals(parse(longKey).after, { n: 2, id: "k" });
  assertEquals([parse(longKey).unchanged, parse(longKey).key], [["id"], { id: "k" }]);
});

Deno.test("JSON with wal2json: an identity that the plugin filled from the new row is no old row", async () => {
  const before = async (replicaIdentity: string, newRow: ColumnSpec[], oldRow: ColumnSpec[]) => {
    const change = row("update", { ...orders, keyNames: ["id"], newRow, oldRow });
    return parse(format(await make("wal2json", { replicaIdentity }), change)[0]).before;
  };
  const id: ColumnSpec = ["id", "integer", "1"];
  const n: ColumnSpec = ["n", "text", null];
  assertEquals(await before("d", [id, n], [id]), undefined);
  assertEquals(await before("f", [id, n], [id, n]), { id: 1, n: null });
  assertEquals(await before("f", [id, n], [id]), undefined, "FULL since then");
  assertEquals(await before("d", [id], [id]), undefined, "all columns are the key");
  assertEquals(await before("f", [id, ["n", "text", "b"]], [id, n]), { id: 1, n: null });
  const unknown = row("update", {
    table: "public.x",
    keyNames: ["id"],
    newRow: [id],
    oldRow: [id],
  });
  assertEquals(parse(format(await make("wal2json"), unknown)[0]).before, { id: 1 }, "not known");
  assertEquals(await before("d", [["id", "integer", "2"], n], [id]), { id: 1 }, "it moved");
});

Deno.test("JSON of a composite key is in key order", async () => {
  const change = row("insert", {
    ...orders,
    keyNames: ["a", "b"],
    newRow: [["a", "integer", "1"], ["b", "boolean", "true"]],
  });
  const [record] = format(await make("pgoutput", { keys: [["b", "a"]] }), change);
  assertStringIncludes(record!.data, '"key":{"b":true,"a":1},');
  assertEquals(record!.key, 'public.orders:["true","1"]');
});

Deno.test("JSON of a table without primary key has no key, and goes by the table's name", async () => {
  const change = row("delete", { ...orders, oldRow: [["n", "text", "a"]] });
  const [record] = format(await make("pgoutput", { keys: [[]], replicaIdentity: "f" }), change);
  assertEquals([record!.key, parse(record).key, parse(record).before], [
    "public.orders",
    undefined,
    { n: "a" },
  ]);
});

Deno.test("JSON of a delete whose replica identity hides the key has before alone", async () => {
  const change = row("delete", { ...orders, oldRow: [["code", "text", "a"]] });
  const [record] = format(await make("pgoutput", { replicaIdentity: "i" }), change);
  assertEquals([record!.key, parse(record).key, parse(record).before], [
    "public.orders",
    undefined,
    { code: "a" },
  ]);
});

Deno.test("JSON has no delete that names no row", async () => {
  for (const keys of [[["id"]], [[]]]) {
    const formatter = await make("test_decoding", { keys, replicaIdentity: "n" });
    const { records, problem } = tryFormat(formatter, row("delete", orders));
    assertEquals([records, problem?.kind], [[], "key-not-sent"]);
  }
});

Deno.test("JSON of TRUNCATE: an object a table with the next seq, to every shard", async () => {
  const records = format(await make(), truncate(["public.orders", "public.x"], 4));
  assertEquals(records.map(({ key, route }) => [key, route]), [
    ["public.orders", "every shard"],
    ["public.x", "every shard"],
  ]);
  assertEquals(records.map(parse).map(({ op, table, seq }) => [op, table, seq]), [
    ["truncate", "orders", 4],
    ["truncate", "x", 5],
  ]);
});

Deno.test("JSON of logical messages: UTF-8 as text, anything else as base64", async () => {
  const formatter = await make();
  const [text] = format(formatter, message("\uFEFFé"));
  assertEquals(text, {
    key: "message:audit",
    data:
      '{"v":1,"op":"message","xid":731,"lsn":"0/16B3748","commit_lsn":"0/16B3800","seq":3,"timeline":1,' +
      '"ts":"2026-11-22T08:01:02.123456Z","prefix":"audit","content":"\uFEFFé"}',
    route: undefined,
  });
  const [bytes] = format(formatter, message(new Uint8Array([0xff, 0x00])));
  assertEquals([parse(bytes).content, parse(bytes).encoding], ["/wA=", "base64"]);
});

Deno.test("JSON of a message outside of a transaction has no xid, commit_lsn, seq and ts", async () => {
  assertEquals(
    format(await make(), message("x", false))[0]!.data,
    '{"v":1,"op":"message","lsn":"0/16B3748","prefix":"audit","content":"x"}',
  );
});

Deno.test("JSON of the key only: as many records, without rows, marked", async () => {
  const formatter = await make();
  const update = row("update", {
    ...orders,
    newRow: [["id", "integer", "2"], ["n", "text", "b"]],
    oldRow: [["id", "integer", "1"]],
  });
  const [gone, come, ...rest] = formatKeyOnly(formatter, update);
  assertEquals(rest, []);
  assertEquals([gone!.key, come!.key], ["public.orders:1", "public.orders:2"]);
  for (const half of [gone, come].map(parse)) {
    assertEquals([half.oversize, half.before, half.after], [true, undefined, undefined]);
  }
  assertEquals([parse(gone).key, parse(gone).moved_to], [{ id: 1 }, { id: 2 }]);
  assertEquals([parse(come).key, parse(come).moved_from], [{ id: 2 }, { id: 1 }]);
  const [short] = formatKeyOnly(formatter, message("x"));
  assertEquals([parse(short).prefix, parse(short).content, parse(short).oversize], [
    "audit",
    undefined,
    true,
  ]);
});

Deno.test("JSON writes names that need escapes, and a column called __proto__", async () => {
  const change = row("insert", {
    ...orders,
    newRow: [["id", "integer", "1"], ['q"\\ü', "text", "x"], ["__proto__", "text", "p"]],
  });
  const { data } = format(await make(), change)[0]!;
  assertStringIncludes(data, '"after":{"id":1,"q\\"\\\\ü":"x","__proto__":"p"}}');
});

Deno.test("formatMicroseconds keeps six decimals", () => {
  assertEquals(formatMicroseconds(0n), "1970-01-01T00:00:00.000000Z");
  assertEquals(formatMicroseconds(1_795_334_462_000_007n), "2026-11-22T08:01:02.000007Z");
  assertEquals(formatMicroseconds(253_402_300_799_999_999n), "9999-12-31T23:59:59.999999Z");
});
