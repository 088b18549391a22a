import { assertEquals } from "@std/assert";
import { UNCHANGED } from "../../src/decode/event.ts";
import { createFormatter } from "../../src/format/formats.ts";
import type { OutputPlugin } from "../../src/options.ts";
import {
  type ColumnSpec,
  format,
  formatKeyOnly,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  truncate,
  tryFormat,
} from "../support/made_up_changes.ts";

function make(plugin: OutputPlugin = "test_decoding", known = {}) {
  const catalog = new MadeUpCatalog({ "public.t": known });
  return createFormatter({ ...OPTIONS, fullChange: true }, plugin, catalog);
}

/** What stands behind `0,CDC,`. */
function payload(record: { data: string } | undefined): string {
  assertEquals(record?.data.slice(0, 6), "0,CDC,");
  return record!.data.slice(6);
}

async function valueOf(type: string, value: string | null): Promise<string> {
  const change = row("insert", { newRow: [["id", "integer", "1"], ["v", type, value]] });
  const text = payload(format(await make(), change)[0]);
  JSON.parse(text);
  return /"columnvalues":\[1,(.*)\]\}\}$/s.exec(text)![1]!;
}

Deno.test("full change of an insert is wal2json's format 1, the xid a number", async () => {
  const change = row("insert", {
    table: "public.t",
    newRow: [["id", "bigint", "1"], ["note", "character varying(10)", 'a "b"'], [
      "n",
      "text",
      null,
    ]],
  });
  const [record] = format(await make(), change);
  assertEquals(
    payload(record),
    '{"xid":731,"change":{"kind":"insert","schema":"public","table":"t",' +
      '"columnnames":["id","note","n"],"columntypes":["bigint","character varying(10)","text"],' +
      '"columnvalues":[1,"a \\"b\\"",null]}}',
  );
  assertEquals(record!.key, "public.t:1");
});

Deno.test("full change writes values as wal2json does, by the type's name", async () => {
  const expected: [type: string, value: string | null, text: string][] = [
    ["smallint", "-32768", "-32768"],
    ["bigint", "9223372036854775807", "9223372036854775807"],
    ["oid", "4294967295", "4294967295"],
    [
      "numeric",
      "123456789012345678901234567890.12345678901234567890",
      "123456789012345678901234567890.12345678901234567890",
    ],
    ["numeric(10,2)", "1.50", "1.50"],
    ["numeric(5,-2)", "100", "100"],
    ["numeric", "NaN", "null"],
    ["numeric", "-Infinity", "null"],
    ["real", "1e+20", "1e+20"],
    ["double precision", "Infinity", "null"],
    ["double precision", "-0", "-0"],
    ["boolean", "true", "true"],
    ["boolean", "false", "false"],
    ["bytea", "\\xdeadbeef", '"deadbeef"'],
    ["bytea", "\\x", '""'],
    ["json", '{"a": 1}', '"{\\"a\\": 1}"'],
    ["money", "$1.00", '"$1.00"'],
    ["integer[]", "{1,2}", '"{1,2}"'],
    ["numeric(10,2)[]", "{1.00}", '"{1.00}"'],
    ['public."numeric"', "x", '"x"'],
    ["xid8", "1", '"1"'],
    ["text", "a\u0001\n\u2028\u{1F600}", '"a\\u0001\\n\u2028\u{1F600}"'],
    ["text", null, "null"],
  ];
  const written = [];
  for (const [type, value] of expected) written.push([type, value, await valueOf(type, value)]);
  assertEquals(written, expected);
});

Deno.test("full change of an update: the old row's columns that are not NULL, else the key's new ones", async () => {
  const newRow: ColumnSpec[] = [["v", "text", "b"], ["id", "integer", "1"], ["w", "text", null]];
  const formatter = await make("test_decoding", { hadOtherIdentity: true });
  const oldKeys = (oldRow?: readonly ColumnSpec[]) =>
    JSON.parse(payload(format(formatter, row("update", { newRow, oldRow }))[0])).change.oldkeys;
  assertEquals(oldKeys(), { keynames: ["id"], keytypes: ["integer"], keyvalues: [1] });
  assertEquals(oldKeys([["v", "text", "a"], ["id", "integer", "7"], ["w", "text", null]]), {
    keynames: ["v", "id"],
    keytypes: ["text", "integer"],
    keyvalues: ["a", 7],
  });
});

Deno.test("full change of an update without an old row goes by the replica identity", async () => {
  const newRow: ColumnSpec[] = [["id", "integer", "1"], ["u", "text", "x"], ["w", "text", "y"]];
  const change = row("update", { newRow });
  const names = async (known: object) => {
    const text = payload(format(await make("test_decoding", known), change)[0]);
    return JSON.parse(text).change.oldkeys?.keynames;
  };
  assertEquals(await names({ replicaIdentity: "d", keys: [["w", "id"]] }), ["id", "w"]);
  assertEquals(await names({ replicaIdentity: "i", identityColumns: ["w", "u"] }), ["u", "w"]);
  assertEquals(
    await names({ replicaIdentity: "i", identityColumns: ["u"], keys: [[]] }),
    ["u"],
  );
  assertEquals(await names({ replicaIdentity: "n" }), undefined);
  assertEquals(await names({ replicaIdentity: "d", keys: [[]] }), undefined);
  assertEquals(await names({ replicaIdentity: "d", identityColumns: undefined }), undefined);
  assertEquals(await names({ replicaIdentity: "d", keys: [["gone"], ["id"]] }), ["id"]);
});

Deno.test("full change of an update: pgoutput's key as it was, whatever the catalog says by now", async () => {
  const newRow: ColumnSpec[] = [["id", "integer", "1"], ["u", "text", "x"]];
  const formatter = await make("pgoutput", { replicaIdentity: "i", identityColumns: ["u"] });
  const names = (keyNames?: string[]) => {
    const text = payload(format(formatter, row("update", { keyNames, newRow }))[0]);
    return JSON.parse(text).change.oldkeys.keynames;
  };
  assertEquals([names(["id"]), names()], [["id"], ["u"]]);
});

Deno.test("full change with wal2json: null in an identity is a NaN, in a FULL row it may be NULL", async () => {
  const oldRow: ColumnSpec[] = [["id", "numeric", null], ["v", "numeric", null]];
  const change = row("delete", { keyNames: ["id"], oldRow });
  const names = async (replicaIdentity: string) => {
    const text = payload(format(await make("wal2json", { replicaIdentity }), change)[0]);
    return JSON.parse(text).change.oldkeys.keynames;
  };
  assertEquals([await names("d"), await names("i"), await names("f")], [
    ["id", "v"],
    ["id", "v"],
    ["id"],
  ]);
});

Deno.test("full change of an update that changes the key goes by the key that CSVPayload carries", async () => {
  const newRow: ColumnSpec[] = [["id", "integer", "2"]];
  const change = row("update", { newRow, oldRow: [["id", "integer", "1"]] });
  const keys = [];
  for (const plugin of ["test_decoding", "wal2json", "pgoutput"] as const) {
    keys.push(format(await make(plugin), change)[0]!.key);
  }
  assertEquals(keys, ["public.t:1", "public.t:2", "public.t:1"]);
});

Deno.test("full change of a delete has oldkeys alone, and none where PostgreSQL sent nothing", async () => {
  const formatter = await make("test_decoding", { replicaIdentity: "f" });
  const change = row("delete", { oldRow: [["id", "integer", "1"], ["v", "text", null]] });
  assertEquals(
    payload(format(formatter, change)[0]),
    '{"xid":731,"change":{"kind":"delete","schema":"public","table":"t",' +
      '"oldkeys":{"keynames":["id"],"keytypes":["integer"],"keyvalues":[1]}}}',
  );
  const [blind] = format(formatter, row("delete", {}));
  assertEquals(
    payload(blind),
    '{"xid":731,"change":{"kind":"delete","schema":"public","table":"t"}}',
  );
  assertEquals(blind!.key, "public.t");
});

Deno.test("full change leaves unchanged TOAST columns out of all three arrays", async () => {
  const formatter = await make();
  const columns = (newRow: readonly ColumnSpec[]) => {
    const { change } = JSON.parse(payload(format(formatter, row("update", { newRow }))[0]));
    return [change.columnnames, change.columntypes, change.columnvalues];
  };
  const whole: ColumnSpec[] = [["id", "integer", "1"], ["big", "text", "b"], ["n", "real", "2"]];
  const toasted: ColumnSpec[] = [["id", "integer", "1"], ["big", "text", UNCHANGED], [
    "n",
    "real",
    "2",
  ]];
  const all = [["id", "big", "n"], ["integer", "text", "real"], [1, "b", 2]];
  const some = [["id", "n"], ["integer", "real"], [1, 2]];
  assertEquals(
    [columns(whole), columns(toasted), columns(toasted), columns(whole)],
    [all, some, some, all],
  );
});

Deno.test("full change follows a table whose columns change from row to row", async () => {
  const formatter = await make();
  const rows: ColumnSpec[][] = [
    [["id", "integer", "1"], ["a", "integer", "2"]],
    [["id", "integer", "1"], ["b", "integer", "2"]],
    [["id", "integer", "1"], ["b", "text", "2"]],
    [["id", "integer", "1"], ["b", "text", "2"], ["c", "text", "3"]],
    [["id", "integer", "1"]],
  ];
  const written = rows.map((newRow) => {
    const text = payload(format(formatter, row("insert", { newRow }))[0]);
    const { columnnames, columntypes, columnvalues } = JSON.parse(text).change;
    return columnnames.map((name: string, i: number) => [name, columntypes[i], columnvalues[i]]);
  });
  assertEquals(
    written,
    rows.map((columns) =>
      columns.map(([name, type, value]) => [
        name,
        type,
        type === "integer" ? Number(value) : value,
      ])
    ),
  );
});

Deno.test("full change needs no key: a table without one goes by its name", async () => {
  const formatter = await make("test_decoding", { keys: [[]] });
  const [record] = format(formatter, row("insert", { newRow: [["v", "text", "x"]] }));
  assertEquals(record!.key, "public.t");
});

Deno.test("full change of a table that the catalog does not know asks for a refresh", async () => {
  const change = row("insert", { table: "public.new", newRow: [["id", "integer", "1"]] });
  const { records, problem } = tryFormat(await make(), change);
  assertEquals([records, problem?.kind], [[], "unknown-table"]);
});

Deno.test("full change of TRUNCATE: one object a table, to every shard; no logical messages", async () => {
  const formatter = await make();
  const [record, ...rest] = format(formatter, truncate(["public.t"]));
  assertEquals(rest, []);
  assertEquals([record!.key, record!.route], ["public.t", "every shard"]);
  assertEquals(
    payload(record),
    '{"xid":731,"change":{"kind":"truncate","schema":"public","table":"t"}}',
  );
  assertEquals(format(formatter, message("x")), []);
});

Deno.test("full change of the key only: the key's columns, marked", async () => {
  const formatter = await make("test_decoding", { replicaIdentity: "f" });
  const newRow: ColumnSpec[] = [["big", "text", "x".repeat(100)], ["id", "integer", "2"]];
  const oldRow: ColumnSpec[] = [["big", "text", "y".repeat(100)], ["id", "integer", "1"]];
  const change = row("update", { newRow, oldRow });
  const [record] = formatKeyOnly(formatter, change);
  assertEquals(JSON.parse(payload(record)), {
    xid: 731,
    change: {
      kind: "update",
      schema: "public",
      table: "t",
      columnnames: ["id"],
      columntypes: ["integer"],
      columnvalues: [2],
      oldkeys: { keynames: ["id"], keytypes: ["integer"], keyvalues: [1] },
      oversize: true,
    },
  });
  assertEquals(record!.key, format(formatter, change)[0]!.key);
});
