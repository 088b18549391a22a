import { assertEquals } from "@std/assert";
import { createFormatter } from "../../src/format/formats.ts";
import type { Formatter } from "../../src/format/formatter.ts";
import type { OutputPlugin } from "../../src/options.ts";
import { UNCHANGED } from "../../src/decode/event.ts";
import {
  format,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  truncate,
  tryFormat,
} from "../support/made_up_changes.ts";

const PLUGINS: readonly OutputPlugin[] = ["test_decoding", "wal2json", "pgoutput"];

function make(
  formatter: "CSV" | "CSVPayload",
  plugin: OutputPlugin,
  catalog = new MadeUpCatalog({ "public.t": {} }),
): Promise<Formatter> {
  return createFormatter({ ...OPTIONS, formatter }, plugin, catalog);
}

async function csvOfKey(type: string, value: string | null, plugin: OutputPlugin) {
  const change = row("insert", {
    keyNames: plugin === "wal2json" ? ["id"] : undefined,
    newRow: [
      ["id", type, value],
    ],
  });
  return format(await make("CSV", plugin), change)[0]?.data;
}

const insert = row("insert", { newRow: [["id", "integer", "1"], ["note", "text", "a"]] });

Deno.test("CSV is the original's line: capitals with test_decoding and pgoutput, small letters with wal2json", async () => {
  const lines = [];
  for (const plugin of PLUGINS) lines.push(format(await make("CSV", plugin), insert)[0]!.data);
  assertEquals(lines, [
    "0,CDC,731,public.t,INSERT,1",
    "0,CDC,731,public.t,insert,1",
    "0,CDC,731,public.t,INSERT,1",
  ]);
});

Deno.test("CSVPayload is the original's object: the xid is a number with wal2json, else a string", async () => {
  const lines = [];
  for (const plugin of PLUGINS) {
    const [record] = format(await make("CSVPayload", plugin), insert);
    assertEquals(record!.data.slice(0, 6), "0,CDC,");
    lines.push(JSON.parse(record!.data.slice(6)));
  }
  const capitals = { xid: "731", table: "public.t", operation: "INSERT", pkey: "1" };
  assertEquals(lines, [
    capitals,
    { xid: 731, table: "public.t", operation: "insert", pkey: "1" },
    capitals,
  ]);
});

Deno.test("CSVPayload: the partition key is schema.table:key", async () => {
  assertEquals(format(await make("CSVPayload", "pgoutput"), insert)[0]!.key, "public.t:1");
});

Deno.test("CSV of an update that changes the key: the old one, with wal2json the new one", async () => {
  const update = row("update", {
    newRow: [["id", "integer", "2"]],
    oldRow: [["id", "integer", "1"]],
  });
  const lines = [];
  for (const plugin of PLUGINS) lines.push(format(await make("CSV", plugin), update)[0]!);
  assertEquals(lines.map(({ data }) => data), [
    "0,CDC,731,public.t,UPDATE,1",
    "0,CDC,731,public.t,update,2",
    "0,CDC,731,public.t,UPDATE,1",
  ]);
  assertEquals(lines.map(({ key }) => key), ["public.t:1", "public.t:2", "public.t:1"]);
});

Deno.test("CSV of a delete: the old key", async () => {
  const change = row("delete", { oldRow: [["id", "integer", "1"]] });
  assertEquals(
    format(await make("CSV", "wal2json"), change)[0]!.data,
    "0,CDC,731,public.t,delete,1",
  );
});

Deno.test("CSV quotes a key as RFC 4180 says, only where it is needed", async () => {
  const keys = ["a b", "it's", "\\x41", "naïve 鍵", "", 'say "hi"', "a,b", "a\nb", "a\r", '"'];
  const lines = [];
  for (const key of keys) lines.push(await csvOfKey("text", key, "test_decoding"));
  assertEquals(lines.map((line) => line!.slice("0,CDC,731,public.t,INSERT,".length)), [
    "a b",
    "it's",
    "\\x41",
    "naïve 鍵",
    "",
    '"say ""hi"""',
    '"a,b"',
    '"a\nb"',
    '"a\r"',
    '""""',
  ]);
});

Deno.test("CSV prints a table's name as it is, and quotes it only where it would be misread", async () => {
  const names = ['public.My "odd" table', "public.a,b", '"x".t', "s p.日本語.t"];
  const catalog = new MadeUpCatalog(Object.fromEntries(names.map((name) => [name, {}])));
  const formatter = await make("CSV", "test_decoding", catalog);
  const lines = names.map((table) =>
    format(formatter, row("insert", { table, newRow: [["id", "integer", "1"]] }))[0]!.data
  );
  assertEquals(lines, [
    '0,CDC,731,public.My "odd" table,INSERT,1',
    '0,CDC,731,"public.a,b",INSERT,1',
    '0,CDC,731,"""x"".t",INSERT,1',
    "0,CDC,731,s p.日本語.t,INSERT,1",
  ]);
});

Deno.test("CSV with wal2json prints a key as Python's str() did, but every digit of a number", async () => {
  const keys: [string, string | null][] = [
    ["boolean", "true"],
    ["boolean", "false"],
    ["bytea", "\\xdeadbeef"],
    ["numeric(30,10)", "12345678901234567890.1234567890"],
    ["numeric", null],
    ["bigint", "9223372036854775807"],
    ["text", "true"],
    ["uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  ];
  const last = (line: string | undefined) => line!.split(",").at(-1);
  const wal2json = [], testDecoding = [];
  for (const [type, value] of keys) {
    wal2json.push(last(await csvOfKey(type, value, "wal2json")));
    if (value !== null) testDecoding.push(last(await csvOfKey(type, value, "test_decoding")));
  }
  assertEquals(wal2json, [
    "True",
    "False",
    "deadbeef",
    "12345678901234567890.1234567890",
    "None",
    "9223372036854775807",
    "true",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
  ]);
  assertEquals(testDecoding, keys.map(([, value]) => value).filter((value) => value !== null));
});

Deno.test("a key of several columns is the JSON array of their texts, in key order", async () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["b", "a"]] } });
  const change = row("insert", {
    keyNames: ["a", "b"],
    newRow: [["a", "text", 'q"'], ["x", "text", "-"], ["b", "boolean", "true"]],
  });
  for (const plugin of PLUGINS) {
    const [csv] = format(await make("CSV", plugin, catalog), change);
    assertEquals(csv!.data.split(",").slice(5).join(","), '"[""true"",""q\\""""]"');
    assertEquals(csv!.key, 'public.t:["true","q\\""]');
    const [payload] = format(await make("CSVPayload", plugin, catalog), change);
    assertEquals(JSON.parse(JSON.parse(payload!.data.slice(6)).pkey), ["true", 'q"']);
  }
});

Deno.test("TRUNCATE: one record a table, to every shard, without a key", async () => {
  const change = truncate(["public.t", "public.u"]);
  const catalog = new MadeUpCatalog({ "public.t": {}, "public.u": {} });
  assertEquals(format(await make("CSV", "test_decoding", catalog), change), [
    { key: "public.t", data: "0,CDC,731,public.t,TRUNCATE,", route: "every shard" },
    { key: "public.u", data: "0,CDC,731,public.u,TRUNCATE,", route: "every shard" },
  ]);
  const [, second] = format(await make("CSVPayload", "wal2json", catalog), change);
  assertEquals(JSON.parse(second!.data.slice(6)), {
    xid: 731,
    table: "public.u",
    operation: "truncate",
    pkey: null,
  });
});

Deno.test("CSV and CSVPayload have no logical messages", async () => {
  assertEquals(format(await make("CSV", "pgoutput"), message("x")), []);
  assertEquals(format(await make("CSVPayload", "wal2json"), message("x", false)), []);
});

Deno.test("a table without primary key is a problem, and nothing is emitted", async () => {
  for (const keys of [[], [[]], [[], ["id"]]]) {
    const catalog = new MadeUpCatalog({ "public.t": { keys } });
    const { records, problem } = tryFormat(await make("CSV", "test_decoding", catalog), insert);
    assertEquals([records, problem?.kind], [[], "no-key"]);
  }
});

Deno.test("a key whose value was not sent again is taken from the old key", async () => {
  const long = "k".repeat(2500);
  const change = row("update", {
    newRow: [["id", "text", UNCHANGED], ["n", "integer", "1"]],
    oldRow: [["id", "text", long]],
  });
  for (const plugin of PLUGINS) {
    assertEquals(format(await make("CSV", plugin), change)[0]!.key, `public.t:${long}`);
  }
});
