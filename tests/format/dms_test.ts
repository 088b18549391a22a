import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { PLUGINS } from "../../src/decode/plugins.ts";
import { DmsFormatter } from "../../src/format/dms/dms_formatter.ts";
import { DEFAULT_DMS, parseDms } from "../../src/format/dms/dms_settings.ts";
import { RowKeys } from "../../src/format/row_key.ts";
import { RowView } from "../../src/format/row_view.ts";
import { UNCHANGED } from "../../src/decode/event.ts";
import type { Change } from "../../src/format/formatter.ts";
import type { DmsSettings, OutputPlugin } from "../../src/options.ts";
import {
  type ColumnSpec,
  format,
  formatKeyOnly,
  MadeUpCatalog,
  message,
  row,
  TRANSACTION,
  truncate,
} from "../support/made_up_changes.ts";

const NOW = Date.parse("2026-11-28T12:00:01.002Z");

const CATALOG = () => new MadeUpCatalog({ "shop.orders": {}, "public.t": {} });

function dms(
  settings: Partial<DmsSettings> = {},
  plugin: OutputPlugin = "pgoutput",
  catalog = CATALOG(),
): DmsFormatter {
  return new DmsFormatter(
    PLUGINS[plugin],
    new RowKeys(PLUGINS[plugin], catalog),
    { kind: "pkey" },
    catalog,
    { ...DEFAULT_DMS, taskId: "task", ...settings },
    () => NOW,
  );
}

const ORDER: readonly ColumnSpec[] = [
  ["id", "bigint", "17"],
  ["total", "numeric(10,2)", "130.00"],
  ["note", "character varying(100)", null],
  ["placed", "timestamp with time zone", "2026-11-28 12:00:00+00"],
];
const ORDER_COLUMNS = ORDER.map(([name, type]) => ({ name, type }));
const PLACE = { table: "shop.orders", keyNames: ["id"] };

function update(more: Parameters<typeof row>[1] = {}): Change {
  const change = row("update", { ...PLACE, newRow: ORDER, ...more });
  return { ...change, tableColumns: ORDER_COLUMNS };
}

/** Without the control record. */
function dataOf(formatter: DmsFormatter, change: Change) {
  return format(formatter, change).filter(({ data }) => !data.startsWith('{"control"'));
}

Deno.test("-f dms: an update with the settings of PEER_FORMATS.md's sample", () => {
  const formatter = dms({
    IncludeTransactionDetails: true,
    IncludePartitionValue: true,
    BeforeImage: "pk-only",
  });
  format(formatter, update({ transaction: { ...TRANSACTION, xid: 770 } }));
  const transaction = { ...TRANSACTION, xid: 771, commitLsn: 0x1979278n };
  const [record] = dataOf(formatter, update({ transaction, seq: 4 }));
  assertEquals(record, {
    key: "shop.orders.17",
    data:
      '{"data":{"id":17,"total":130.00,"placed":"2026-11-28T12:00:00Z"},"before-image":{"id":17},' +
      '"metadata":{"timestamp":"2026-11-28T12:00:01.002000Z","record-type":"data","operation":"update",' +
      '"partition-key-type":"primary-key","partition-key-value":"shop.orders.17","schema-name":"shop",' +
      '"table-name":"orders","transaction-id":771,"transaction-record-id":1,"prev-transaction-id":770,' +
      '"prev-transaction-record-id":1,"commit-timestamp":"2026-11-22T08:01:02.123456Z",' +
      '"stream-position":"00000000/01979278.1.00000000/016B3748"}}\n',
    route: undefined,
  });
});

Deno.test("-f dms: a control record stands before a table's first change, and when its columns are others", () => {
  const formatter = dms();
  const with_ = (columns: readonly { name: string; type: string }[], seq: number): Change => ({
    ...row("insert", { ...PLACE, newRow: [["id", "bigint", "1"]], seq }),
    tableColumns: columns,
  });
  const controls = (change: Change) =>
    format(formatter, change).filter(({ data }) => data.startsWith('{"control"'));
  const operation = (change: Change) =>
    controls(change).map(({ data }) => JSON.parse(data).metadata.operation);
  assertEquals(controls(with_(ORDER_COLUMNS, 0)), [{
    key: "task.shop.orders",
    data:
      '{"control":{"table-def":{"columns":{"id":{"type":"INT64","nullable":false},"total":{"type":"NUMERIC",' +
      '"nullable":true},"note":{"type":"STRING","length":100,"nullable":true},"placed":{"type":"TIMESTAMP",' +
      '"nullable":true}},"primary-key":["id"]}},"metadata":{"timestamp":"2026-11-28T12:00:01.002000Z",' +
      '"record-type":"control","operation":"create-table","partition-key-type":"task-id",' +
      '"schema-name":"shop","table-name":"orders"}}\n',
    route: undefined,
  }]);
  assertEquals(operation(with_(ORDER_COLUMNS, 1)), []);
  // The same columns in another array, as after another description of the table.
  assertEquals(operation(with_([...ORDER_COLUMNS], 2)), []);
  const [id, total, note, placed] = ORDER_COLUMNS as [
    typeof ORDER_COLUMNS[0],
    ...typeof ORDER_COLUMNS,
  ];
  const more = { name: "more", type: "text" };
  assertEquals(operation(with_([...ORDER_COLUMNS, more], 3)), ["add-column"]);
  assertEquals(operation(with_(ORDER_COLUMNS, 4)), ["drop-column"]);
  const remark = { name: "remark", type: note!.type };
  assertEquals(operation(with_([id, total!, remark, placed!], 5)), ["rename-column"]);
  assertEquals(operation(with_([id, total!, { ...remark, type: "text" }, placed!], 6)), [
    "column-type-change",
  ]);
  assertEquals(operation(with_([id, placed!, more], 7)), ["change-columns"]);
});

Deno.test("-f dms: a change that does not show the key is no change of the table", () => {
  const formatter = dms(
    {},
    "pgoutput",
    new MadeUpCatalog({ "public.t": { replicaIdentity: "i" } }),
  );
  const tableColumns = [{ name: "id", type: "integer" }, { name: "k", type: "text" }];
  const newRow: ColumnSpec[] = [["id", "integer", "1"], ["k", "text", "x"]];
  const operations = [
    row("insert", { newRow, seq: 0 }),
    row("delete", { oldRow: [["k", "text", "x"]], seq: 1 }),
    row("insert", { newRow, seq: 2 }),
  ].flatMap((change) =>
    format(formatter, { ...change, tableColumns }).map(({ data }) => {
      const { control, metadata } = JSON.parse(data);
      return [metadata.operation, control?.["table-def"]["primary-key"]];
    })
  );
  assertEquals(operations, [
    ["create-table", ["id"]],
    ["insert", undefined],
    ["delete", undefined],
    ["insert", undefined],
  ]);
});

Deno.test("-f dms: control records without their body, or only of new tables, where that was asked for", () => {
  const formatter = dms({ IncludeControlDetails: false, IncludeTableAlterOperations: false });
  const [control] = format(formatter, update());
  assertMatch(control!.data, /^\{"control":\{\},"metadata":.*"create-table"/);
  const altered = { ...update({ seq: 1 }), tableColumns: ORDER_COLUMNS.slice(0, 2) } as Change;
  assertEquals(format(formatter, altered).length, 1);
});

Deno.test("-f dms: NULL and empty columns are left out unless they are asked for, unchanged ones always", () => {
  const newRow: ColumnSpec[] = [
    ["id", "integer", "1"],
    ["empty", "text", ""],
    ["none", "text", null],
    ["big", "text", UNCHANGED],
  ];
  const insert = (seq: number) => row("insert", { keyNames: ["id"], newRow, seq });
  const data = (settings: Partial<DmsSettings>) =>
    JSON.parse(dataOf(dms(settings), insert(0))[0]!.data).data;
  assertEquals(data({}), { id: 1 });
  assertEquals(data({ IncludeNullAndEmpty: true }), { id: 1, empty: "", none: null });
});

Deno.test("-f dms: a delete has the key, and the other columns as NULL where they are asked for", () => {
  const gone = () => ({
    ...row("delete", { ...PLACE, oldRow: [["id", "bigint", "17"]] }),
    tableColumns: ORDER_COLUMNS,
  });
  const data = (settings: Partial<DmsSettings>) =>
    JSON.parse(dataOf(dms(settings), gone())[0]!.data).data;
  assertEquals(data({}), { id: 17 });
  assertEquals(data({ IncludeNullAndEmpty: true }), {
    id: 17,
    total: null,
    note: null,
    placed: null,
  });
  // An empty key names a row too.
  const empty = row("delete", { keyNames: ["id"], oldRow: [["id", "text", ""]] });
  assertEquals(JSON.parse(dataOf(dms(), empty)[0]!.data).data, { id: "" });
});

Deno.test("-f dms: the old row by BeforeImage", () => {
  const oldRow: ColumnSpec[] = [
    ["id", "integer", "1"],
    ["n", "integer", "2"],
    ["t", "text", "long"],
  ];
  const image = (settings: Partial<DmsSettings>, old: ColumnSpec[] | undefined) => {
    const change = row("update", {
      keyNames: ["id"],
      newRow: [["id", "integer", "1"], ["n", "integer", "3"], ["t", "text", "x"]],
      ...old === undefined ? {} : { oldRow: old },
    });
    return JSON.parse(dataOf(dms(settings), change)[0]!.data)["before-image"];
  };
  assertEquals(image({}, oldRow), undefined);
  assertEquals(image({ BeforeImage: "pk-only" }, oldRow), { id: 1 });
  assertEquals(image({ BeforeImage: "non-lob" }, oldRow), { id: 1, n: 2 });
  assertEquals(image({ BeforeImage: "all" }, oldRow), { id: 1, n: 2, t: "long" });
  assertEquals(image({ BeforeImage: "all" }, undefined), { id: 1 });
});

Deno.test("-f dms: an update that changes the key is a delete and an insert, each in its shard", () => {
  const moved = update({ oldRow: [["id", "bigint", "16"]] });
  const records = dataOf(dms({ IncludeTransactionDetails: true }), moved);
  assertEquals(
    records.map(({ key, data }) => {
      const { data: columns, metadata } = JSON.parse(data);
      return [key, metadata.operation, columns.id, metadata["transaction-record-id"]];
    }),
    [["shop.orders.16", "delete", 16, 1], ["shop.orders.17", "insert", 17, 2]],
  );
});

Deno.test("-f dms: values", () => {
  const values: readonly (readonly [type: string, text: string, json: string])[] = [
    ["boolean", "true", "true"],
    ["bigint", "9223372036854775807", "9223372036854775807"],
    ["numeric", "1234567890.12345678901234567890", "1234567890.12345678901234567890"],
    ["numeric", "NaN", '"NaN"'],
    ["real", "2.2", "2.2"],
    ["double precision", "-Infinity", '"-Infinity"'],
    ["money", "-$1,234.50", "-1234.50"],
    ["money", "1.234,50 €", '"1.234,50 €"'],
    ["character(5)", "B    ", '"B"'],
    ["date", "2018-01-02", '"2018-01-02"'],
    ["date", "0044-03-15 BC", '"-0043-03-15"'],
    ["date", "10000-01-01", '"+10000-01-01"'],
    ["date", "-infinity", '"-infinity"'],
    ["timestamp without time zone", "0044-03-15 12:00:00 BC", '"-0043-03-15T12:00:00Z"'],
    ["timestamp without time zone", "2010-11-01 00:02:00.1", '"2010-11-01T00:02:00.100000Z"'],
    ["timestamp with time zone", "2010-11-01 05:30:00+05:30", '"2010-11-01T00:00:00Z"'],
    ["interval", "1 day 04:00:00", '"1 day 04:00:00"'],
    ["bytea", "\\x00ff", '"0x00ff"'],
    ["jsonb", '{"a": 1}', '"{\\"a\\": 1}"'],
    ["integer[]", "{1,NULL}", '"{1,NULL}"'],
    ["price", "1.50", "1.50"],
  ];
  const catalog = CATALOG();
  catalog.domains.set("price", "numeric(10,2)");
  const formatter = dms({}, "pgoutput", catalog);
  values.forEach(([type, text, json], seq) => {
    const change = row("insert", {
      keyNames: ["id"],
      newRow: [["id", "integer", "1"], ["v", type, text]],
      seq,
    });
    assertMatch(dataOf(formatter, change)[0]!.data, new RegExp(`^\\{"data":\\{"id":1,"v":`));
    assertEquals(
      dataOf(formatter, change)[0]!.data.split('"v":')[1]!.split('},"metadata"')[0],
      json,
    );
  });
  const plain = dms({ NoHexPrefix: true });
  const change = row("insert", { keyNames: ["id"], newRow: [["id", "bytea", "\\x00ff"]] });
  assertMatch(dataOf(plain, change)[0]!.data, /^\{"data":\{"id":"00ff"\}/);
});

Deno.test("-f dms: a record without its columns comes with the same control record, and counts once", () => {
  const formatter = dms({ IncludeTransactionDetails: true });
  const first = format(formatter, update());
  const again = formatKeyOnly(formatter, update());
  assertEquals(again.map(({ key }) => key), first.map(({ key }) => key));
  assertEquals(again[0], first[0]);
  const { data, metadata } = JSON.parse(again[1]!.data);
  assertEquals([data, metadata.oversize], [{ id: 17 }, true]);
  assertEquals(metadata["transaction-record-id"], 1);
  const next = JSON.parse(dataOf(formatter, update({ seq: 1 }))[0]!.data).metadata;
  assertEquals(next["transaction-record-id"], 2);
});

Deno.test("-f dms: what is hidden is in no record", () => {
  const change = {
    ...row("update", {
      ...PLACE,
      newRow: ORDER,
      oldRow: [["id", "bigint", "17"], ["total", "numeric(10,2)", "1.00"]],
    }),
    tableColumns: ORDER_COLUMNS,
  };
  const hidden = new RowView(change, (column) => column.name === "total" ? undefined : column);
  const records = format(dms({ BeforeImage: "all", IncludeNullAndEmpty: true }), hidden);
  assertEquals(records.length, 2);
  for (const { data } of records) assertEquals(data.includes("total"), false, data);
});

Deno.test("-f dms has no record of a TRUNCATE and of a message", () => {
  assertEquals(format(dms(), truncate(["public.t"])), []);
  assertEquals(format(dms(), message("x")), []);
});

Deno.test("--dms takes AWS's names, and says which is nearest to a wrong one", () => {
  assertEquals(parseDms("IncludeNullAndEmpty, BeforeImage=pk-only,IncludeControlDetails=false"), {
    ...DEFAULT_DMS,
    IncludeNullAndEmpty: true,
    BeforeImage: "pk-only",
    IncludeControlDetails: false,
  });
  assertThrows(() => parseDms("IncludeNullsAndEmpty"), Error, "did you mean IncludeNullAndEmpty?");
  assertThrows(() => parseDms("BeforeImage"), Error, "pk-only, non-lob, all");
  assertThrows(() => parseDms("BeforeImage=all=1"), Error, "pk-only, non-lob, all");
  assertThrows(() => parseDms("NoHexPrefix=yes"), Error, "true or false");
  assertEquals(parseDms("NoHexPrefix=TRUE").NoHexPrefix, true);
});
