import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { type RowChange, UNCHANGED } from "../../src/decode/event.ts";
import { PLUGINS } from "../../src/decode/plugins.ts";
import { debeziumEncoder } from "../../src/format/debezium/debezium_encoders.ts";
import { DebeziumFormatter } from "../../src/format/debezium/debezium_formatter.ts";
import { integerBase64 } from "../../src/format/debezium/integer_base64.ts";
import { RowKeys } from "../../src/format/row_key.ts";
import { RowView } from "../../src/format/row_view.ts";
import { parseType } from "../../src/format/typed/type_spec.ts";
import type { DebeziumOptions, OutputPlugin, PartitionKeyChoice } from "../../src/options.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import {
  type ColumnSpec,
  format,
  formatKeyOnly,
  MadeUpCatalog,
  message,
  row,
  TRANSACTION,
  truncate,
  tryFormat,
} from "../support/made_up_changes.ts";

const SETTINGS: DebeziumOptions = {
  name: "app",
  decimals: "precise",
  tombstones: false,
  nullKey: undefined,
  transactions: false,
  database: "shopdb",
};
const NOW = 1_795_867_200_150;

function debezium(
  settings: Partial<DebeziumOptions> = {},
  plugin: OutputPlugin = "pgoutput",
  catalog = new MadeUpCatalog({ "public.t": {}, "public.bare": { keys: [[]] } }),
  partitionKey: PartitionKeyChoice = { kind: "pkey" },
): DebeziumFormatter {
  const keys = new RowKeys(PLUGINS[plugin], catalog);
  const all = { ...SETTINGS, ...settings };
  return new DebeziumFormatter(PLUGINS[plugin], keys, partitionKey, catalog, all, () => NOW);
}

const ROW: readonly ColumnSpec[] = [
  ["id", "bigint", "17"],
  ["total", "numeric(10,2)", "129.95"],
  ["note", "text", null],
];
const TABLE = ROW.map(([name, type]) => ({ name, type }));

function withTable(change: RowChange): RowChange {
  return { ...change, tableColumns: TABLE };
}

const insert = (seq = 0) => withTable(row("insert", { keyNames: ["id"], newRow: ROW, seq }));

Deno.test("-f debezium: an insert, byte for byte", () => {
  assertEquals(format(debezium(), insert()), [{
    key: '{"id":17}',
    data:
      '{"before":null,"after":{"id":17,"total":"MsM=","note":null},"source":{"version":"3.6.1.Final",' +
      '"connector":"postgresql","name":"app","ts_ms":1795334462123,"snapshot":"false","db":"shopdb",' +
      '"sequence":"[null,\\"23803720\\"]","ts_us":1795334462123456,"ts_ns":1795334462123456000,' +
      '"schema":"public","table":"t","txId":731,"lsn":23803720,"xmin":null,"origin":null,' +
      '"origin_lsn":null},"transaction":null,"op":"c","ts_ms":1795867200150,"ts_us":1795867200150000,' +
      '"ts_ns":1795867200150000000}',
    route: undefined,
  }]);
});

Deno.test("-f debezium: a commit is told of by the changes behind it", () => {
  const formatter = debezium();
  format(formatter, insert());
  formatter.commit(
    { kind: "commit", transaction: TRANSACTION, endLsn: 0x16B3830n, commitTime: 0n },
    () => assert(false, "a record"),
  );
  const next = format(
    formatter,
    withTable(row("insert", {
      keyNames: ["id"],
      newRow: ROW,
      transaction: { ...TRANSACTION, xid: 732 },
    })),
  );
  assertEquals(JSON.parse(next[0]!.data).source.sequence, '["23803952","23803720"]');
});

Deno.test("-f debezium: a delete has all columns, those that are not in the old key as null", () => {
  const gone = row("delete", { keyNames: ["id"], oldRow: [["id", "bigint", "17"]] });
  const before = (change: RowChange) => JSON.parse(format(debezium(), change)[0]!.data).before;
  assertEquals(before(withTable(gone)), { id: 17, total: null, note: null });
  // The other plugins do not name them.
  assertEquals(before(gone), { id: 17 });
});

Deno.test("-f debezium: tombstones behind deletes, under the same key and without data", () => {
  const gone = row("delete", { keyNames: ["id"], oldRow: [["id", "bigint", "17"]] });
  const [, tombstone, ...more] = format(debezium({ tombstones: true }), gone);
  assertEquals([tombstone, more], [{ key: '{"id":17}', data: "", route: undefined }, []]);
  const moved = row("update", {
    keyNames: ["id"],
    newRow: ROW,
    oldRow: [["id", "bigint", "16"]],
  });
  const records = format(debezium({ tombstones: true }), moved);
  assertEquals(records.map(({ key, data }) => [key, data && JSON.parse(data).op]), [
    ['{"id":16}', "d"],
    ['{"id":16}', ""],
    ['{"id":17}', "c"],
  ]);
});

Deno.test("-f debezium: what has no key goes by the table's name, or by --debezium-null-key", () => {
  const bare = row("insert", { table: "public.bare", newRow: [["v", "text", "x"]] });
  const keys = (settings: Partial<DebeziumOptions>) =>
    [bare, truncate(["public.t", "public.bare"])].flatMap((change) =>
      format(debezium(settings), change).map(({ key, route }) => [key, route])
    );
  assertEquals(keys({}), [
    ["public.bare", undefined],
    ["public.t", "every shard"],
    ["public.bare", "every shard"],
  ]);
  assertEquals(keys({ nullKey: "default" }).map(([key]) => key), ["default", "default", "default"]);
});

Deno.test("-f debezium: keys of several columns in key order, as in the row; another --partition-key counts", () => {
  const catalog = () => new MadeUpCatalog({ "public.t": { keys: [["n", 'a"b']] } });
  const change = row("insert", {
    keyNames: ['a"b', "n"],
    newRow: [['a"b', "text", 'x"'], ["n", "numeric(10,2)", "129.95"]],
  });
  const key = (choice: PartitionKeyChoice) =>
    format(debezium({}, "pgoutput", catalog(), choice), change)[0]!.key;
  assertEquals(key({ kind: "pkey" }), '{"n":"MsM=","a\\"b":"x\\""}');
  assertEquals(key({ kind: "table" }), "public.t");
  assertEquals(key({ kind: "fixed", text: "all" }), "all");
});

Deno.test("-f debezium: a message, and one outside of a transaction", () => {
  const [inside] = format(debezium(), message("hello"));
  assertEquals(inside!.key, '{"prefix":"audit"}');
  assertEquals(Object.keys(JSON.parse(inside!.data)), [
    "op",
    "ts_ms",
    "source",
    "transaction",
    "message",
  ]);
  assertEquals(JSON.parse(inside!.data).message, { prefix: "audit", content: "aGVsbG8=" });
  const { source, transaction } = JSON.parse(
    format(debezium({ transactions: true }), message("x", false))[0]!.data,
  );
  assertEquals([source.txId, source.ts_ms, transaction], [null, NOW, null]);
});

Deno.test("-f debezium: a transaction's records are counted once, whatever is formatted again", () => {
  const formatter = debezium({ transactions: true });
  const first = format(formatter, insert(0));
  const again = formatKeyOnly(formatter, insert(0));
  assertEquals(again.map(({ key }) => key), first.map(({ key }) => key));
  assertEquals(again[0], first[0]);
  const { after, transaction, oversize } = JSON.parse(again[1]!.data);
  assertEquals([after, oversize], [{ id: 17 }, true]);
  assertEquals(transaction, {
    id: `731:${0x16B3800}`,
    total_order: 1,
    data_collection_order: 1,
  });
  format(formatter, { ...message("x"), seq: 1 });
  const [third] = format(formatter, insert(2));
  assertEquals(JSON.parse(third!.data).transaction.total_order, 3);
  assertEquals(JSON.parse(third!.data).transaction.data_collection_order, 2);
  const ended: string[] = [];
  const commit = {
    kind: "commit",
    transaction: TRANSACTION,
    endLsn: 0x16B3830n,
    commitTime: TRANSACTION.commitTime,
  } as const;
  formatter.commit(commit, (key, data) => ended.push(key, String(data)));
  assertEquals(ended, [
    `{"id":"731:${0x16B3800}"}`,
    `{"status":"END","id":"731:${0x16B3800}","event_count":3,"data_collections":[` +
    '{"data_collection":"public.t","event_count":2},' +
    '{"data_collection":"LOGICAL_DECODING_MESSAGE","event_count":1}],"ts_ms":1795334462123}',
  ]);
  // One whose changes are all left out has no records.
  formatter.commit(commit, () => assert(false, "a record"));
});

Deno.test("-f debezium: an unchanged value is the placeholder of its type, or the old row's", () => {
  const columns = ["text", "bytea", "integer[]", "numeric", "hstore"];
  const newRow: ColumnSpec[] = [
    ["id", "integer", "1"],
    ...columns.map((type) => [type, type, UNCHANGED] as const),
  ];
  const after = (plugin: OutputPlugin, oldRow?: ColumnSpec[]) => {
    const change = row("update", { keyNames: ["id"], newRow, ...oldRow && { oldRow } });
    return JSON.parse(format(debezium({}, plugin), change)[0]!.data).after;
  };
  const placeholder = "__debezium_unavailable_value";
  const base64 = Buffer.from(placeholder).toString("base64");
  for (const plugin of ["pgoutput", "test_decoding"] as const) {
    assertEquals(after(plugin), {
      id: 1,
      text: placeholder,
      bytea: base64,
      "integer[]": [...Buffer.from(placeholder)],
      numeric: placeholder,
      hstore: JSON.stringify({ [placeholder]: placeholder }),
    });
  }
  assertEquals(
    after("pgoutput", [["id", "integer", "1"], ["text", "text", "the old one"]]).text,
    "the old one",
  );
});

Deno.test("-f debezium: what is hidden is in no record, neither before nor after nor among the columns", () => {
  const change = withTable(row("update", { keyNames: ["id"], newRow: ROW, oldRow: ROW }));
  const gone = withTable(row("delete", { keyNames: ["id"], oldRow: [["id", "bigint", "17"]] }));
  const show = (shown: RowChange) =>
    format(
      debezium({ transactions: true }),
      new RowView(shown, (column) => column.name === "total" ? undefined : column),
    );
  for (const record of [...show(change), ...show(gone)]) {
    assertEquals(record.data.includes('total"') || record.data.includes("MsM"), false, record.data);
  }
});

Deno.test("-f debezium: a type that was not read yet is read before anything is emitted", () => {
  class Unread extends MadeUpCatalog {
    isTold = false;
    override domainBase(type: string): string | null {
      // As the real one answers before it was read.
      return type === "price" && !this.isTold ? undefined as never : super.domainBase(type);
    }
  }
  const catalog = new Unread({ "public.t": {} });
  catalog.domains.set("price", "numeric(10,2)");
  const formatter = debezium({ transactions: true, tombstones: true }, "test_decoding", catalog);
  const moved = row("update", {
    newRow: [["id", "bigint", "17"], ["p", "price", "129.95"]],
    oldRow: [["id", "bigint", "16"]],
  });
  const first = tryFormat(formatter, moved);
  assertEquals([first.problem?.kind, first.records], ["unread", []]);
  catalog.isTold = true;
  const records = format(formatter, moved);
  assertEquals(records.length, 4);
  assertEquals(JSON.parse(records[3]!.data).after, { id: 17, p: "MsM=" });
  assertEquals(JSON.parse(records[3]!.data).transaction.total_order, 2);
});

Deno.test("-f debezium: values of every type, with the check values of PEER_FORMATS.md", () => {
  const values: readonly (readonly [type: string, text: string, json: string])[] = [
    ["numeric(10,2)", "129.95", '"MsM="'],
    ["numeric(10,2)", "-129.95", '"zT0="'],
    ["numeric(10,2)", "0.00", '"AA=="'],
    ["numeric(3,-2)", "99900", '"A+c="'],
    ["numeric", "10.1111", '{"scale":4,"value":"AYr3"}'],
    ["numeric", "10.000", '{"scale":0,"value":"Cg=="}'],
    ["numeric", "NaN", '"NAN"'],
    ["numeric(10,2)", "-Infinity", '"NEGATIVE_INFINITY"'],
    ["money", "$129.95", '"MsM="'],
    ["money", "129,95 €", '"129,95 €"'],
    ["date", "2026-11-28", "20785"],
    ["date", "0044-03-15 BC", "-735160"],
    ["time without time zone", "24:00:00", "86400000000"],
    ["time(0) without time zone", "13:51:30", "49890000"],
    ["time(4) without time zone", "13:51:30", "49890000000"],
    ["timestamp without time zone", "2026-11-28 12:00:00.123456", "1795867200123456"],
    ["timestamp(3) without time zone", "2026-11-28 12:00:00.123", "1795867200123"],
    ["timestamp without time zone", "infinity", "9223372036825200000"],
    ["timestamp without time zone", "294276-12-31 23:59:59.999999", "9224318015999999999"],
    ["timestamp(3) without time zone", "294276-12-31 23:59:59.999", "9224318015999999"],
    ["timestamp(3) without time zone", "0044-03-15 12:00:00.001 BC", "-63517780799999"],
    ["timestamp with time zone", "2026-11-28 12:00:00+00", '"2026-11-28T12:00:00.000000Z"'],
    ["timestamp(0) with time zone", "2026-11-28 17:30:00+05:30", '"2026-11-28T12:00:00Z"'],
    ["timestamp with time zone", "4713-01-02 00:00:00+00 BC", '"-4712-01-02T00:00:00.000000Z"'],
    ["time with time zone", "12:00:00-00:01:15", '"12:01:15Z"'],
    ["interval", "1 year 2 mons 3 days 04:05:06.78", "37091106780000"],
    ["interval year to month", "-1 years -2 mons", "-36817200000000"],
    ["bytea", "\\x010203", '"AQID"'],
    ["bit(1)", "1", "true"],
    ["bit", "1", "true"],
    ["bit(3)", "101", '"BQ=="'],
    ["bit varying(12)", "", '""'],
    ["point", "(1.5,-2)", '{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}'],
    [
      "geometry(Point,4326)",
      "0101000020E6100000000000000000F03F0000000000000040",
      '{"wkb":"AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==","srid":4326}',
    ],
    ["extensions.vector(3)", "[1,2.5,-3]", "[1.0,2.5,-3.0]"],
    ["sparsevec(5)", "{1:1.5,3:2}/5", '{"dimensions":5,"vector":{"1":1.5,"3":2.0}}'],
    ["hstore", '"a"=>"1", "b"=>NULL', '"{\\"a\\":\\"1\\",\\"b\\":null}"'],
    ["jsonb", '{"a": 1}', '"{\\"a\\": 1}"'],
    ["integer[]", "{{1,2},{3,NULL}}", "[[1,2],[3,null]]"],
    ["text[]", '[0:1]={a,"b,\\"c\\\\"}', '["a","b,\\"c\\\\"]'],
    ["boolean[]", "{t,f,NULL}", "[true,false,null]"],
    ["box", "(2,3),(0,0)", '"(2,3),(0,0)"'],
    ["double precision", "10", "10.0"],
    ["real", "NaN", '"NaN"'],
    ["bigint", "9223372036854775807", "9223372036854775807"],
  ];
  for (const [type, text, json] of values) {
    assertEquals(debeziumEncoder(parseType(type), "precise").json(text), json, `${type} ${text}`);
  }
  assertEquals(debeziumEncoder(parseType("numeric"), "string").json("1.50"), '"1.50"');
  assertEquals(debeziumEncoder(parseType("numeric"), "double").json("10"), "10.0");
  assertEquals(
    debeziumEncoder(parseType("numeric"), "double").json("1.00000000000000000000000001"),
    "1.00000000000000000000000001",
  );
});

Deno.test("integerBase64 is two's complement in the fewest bytes", () => {
  const known: readonly (readonly [string, string])[] = [
    ["12995", "MsM="],
    ["0", "AA=="],
    ["-0", "AA=="],
    ["123456789", "B1vNFQ=="],
    ["-1", "/w=="],
    ["128", "AIA="],
    ["-128", "gA=="],
    ["-129", "/38="],
  ];
  for (const [integer, base64] of known) assertEquals(integerBase64(integer), base64, integer);
  const random = randomFrom(randomSeed());
  for (let i = 0; i < 2000; i++) {
    const digits = Array.from(
      { length: 1 + Math.floor(random() * 60) },
      () => Math.floor(random() * 10),
    ).join("");
    const value = BigInt(digits) * (random() < 0.5 ? -1n : 1n);
    const bytes = Buffer.from(integerBase64(String(value)), "base64");
    let read = bytes[0]! >= 0x80 ? -1n : 0n;
    for (const byte of bytes) read = (read << 8n) | BigInt(byte);
    assertEquals(read, value);
    const isPadded = bytes.length > 1 &&
      (bytes[0] === 0 && bytes[1]! < 0x80 || bytes[0] === 0xFF && bytes[1]! >= 0x80);
    assert(!isPadded, String(value));
  }
});
