import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/decode/decoder.ts";
import type { LogicalMessage } from "../../../src/decode/event.ts";
import { makeXLogData } from "../../fixtures/fixture.ts";
import {
  asRow,
  materialize,
  newDecoder,
  openTransaction,
  showColumns,
} from "../../support/decoding.ts";

const HEAD = `"xid":7,"timestamp":"2026-01-01 00:00:00+00","lsn":"0/1F"`;
const TABLE = `"schema":"public","table":"t"`;
const PK = `"pk":[{"name":"id","type":"integer"}]`;

function insertText(columns: string, pk = PK): string {
  return `{"action":"I",${HEAD},${TABLE},"columns":[${columns}],${pk}}`;
}

function insert(columns: string): string[] | undefined {
  return showColumns(asRow(openTransaction("wal2json")(insertText(columns))).newRow);
}

/** A column as wal2json prints it; `type` and `value` are JSON. */
function column(name: string, type: string, value: string): string {
  return `{"name":${JSON.stringify(name)},"type":${type},"value":${value}}`;
}

Deno.test("Wal2jsonDecoder gives begin, changes with positions, and commit with its end LSN", () => {
  const decoder = newDecoder("wal2json");
  const head = `"xid":4294967295,"timestamp":"2026-01-02 03:04:05.678901+05:30"`;
  const events = [
    `{"action":"B",${head},"lsn":"16/B374D848","nextlsn":"16/B374D878"}`,
    `{"action":"I",${head},"lsn":"0/1",${TABLE},"columns":[],"pk":[]}`,
    `{"action":"T",${head},"lsn":"0/2",${TABLE}}`,
    `{"action":"M","xid":null,"timestamp":null,"lsn":"0/2","transactional":false,"prefix":"p","content":""}`,
    `{"action":"M",${head},"lsn":"0/2","transactional":true,"prefix":"p","content":""}`,
    `{"action":"D",${head},"lsn":"0/3",${TABLE},"identity":[],"pk":[]}`,
    `{"action":"C",${head},"lsn":"16/B374D848","nextlsn":"16/B374D878"}`,
  ].map((text, index) => decoder.decode(makeXLogData(BigInt(index), text))!);
  assertEquals(events.map((event) => event.kind), [
    "begin",
    "insert",
    "truncate",
    "message",
    "message",
    "delete",
    "commit",
  ]);
  assertEquals(events.flatMap((event) => "seq" in event ? [event.seq] : []), [0, 1, -1, 2, 3]);
  assertEquals(events[0]!.transaction, {
    xid: 4294967295,
    timeline: 1,
    commitLsn: 0x16_B374_D848n,
    commitTime: BigInt(Date.UTC(2026, 0, 1, 21, 34, 5)) * 1000n + 678901n,
  });
  assertStrictEquals(events[1]!.transaction, events[0]!.transaction);
  assertEquals(events[3]!.transaction, undefined);
  const { cascade, restartIdentity } = materialize(events[2]!);
  assertEquals([cascade, restartIdentity], [undefined, undefined]);
  assertEquals(materialize(events[6]!).endLsn, 6n);
});

Deno.test("Wal2jsonDecoder keeps every digit of numbers and every kind of value", () => {
  assertEquals(
    insert([
      column("a", '"integer"', "-2147483648"),
      column("b", '"numeric(40,2)"', "12345678901234567890123456789012345678.10"),
      column("c", '"numeric(3,-2)"', "null"),
      column("d", '"double precision"', "1e-300"),
      column("e", '"real"', "-0"),
      column("f", '"boolean"', "true"),
      column("g", '"boolean"', "false"),
      column("h", '"bytea"', '"00ff"'),
      column("i", '"bytea"', '""'),
      column("j", '"raw_bytes"', '"\\\\x00ff"'),
      column("k", '"bit(3)"', '"101"'),
      column("l", '"oid"', "4294967295"),
      column("m", '"oid"', '"mine"'),
      column("n", '"jsonb"', '"{\\"a\\": [1, 2.50]}"'),
      column("o", '"numeric(10,2)[]"', '"{1.50,NaN}"'),
    ].join(",")),
    [
      'a[integer]="-2147483648"',
      'b[numeric(40,2)]="12345678901234567890123456789012345678.10"',
      "c[numeric(3,-2)]=null",
      'd[double precision]="1e-300"',
      'e[real]="-0"',
      'f[boolean]="true"',
      'g[boolean]="false"',
      'h[bytea]="\\\\x00ff"',
      'i[bytea]="\\\\x"',
      'j[raw_bytes]="\\\\x00ff"',
      'k[bit(3)]="101"',
      'l[oid]="4294967295"',
      'm["oid"]="mine"',
      'n[jsonb]="{\\"a\\": [1, 2.50]}"',
      'o[numeric(10,2)[]]="{1.50,NaN}"',
    ],
  );
});

Deno.test("Wal2jsonDecoder resolves the escapes of JSON strings", () => {
  const value = (json: string) => insert(column("a", '"text"', json));
  assertEquals(value(String.raw`"\"\\\/\b\f\n\r\té\u00e9\u0001"`), [
    'a[text]="\\"\\\\/\\b\\f\\n\\r\\téé\\u0001"',
  ]);
  assertEquals(value(String.raw`"\ud83c\udf89 🎉"`), ['a[text]="🎉 🎉"']);
  assertEquals(value(String.raw`"\\u0041"`), ['a[text]="\\\\u0041"']);
  assertEquals(value('"\uFEFFx\uFFFD"'), ['a[text]="\uFEFFx\uFFFD"']);
  assertEquals(insert(column('q"\n\\', '"text"', '""')), ['q"\n\\[text]=""']);
});

Deno.test("Wal2jsonDecoder reads type names that are no valid JSON", () => {
  const type = (printed: string) => {
    const text = insertText(
      `{"name":"a","type":${printed},"value":"x"},{"name":"b","type":"text","value":""}`,
      `"pk":[{"name":"a","type":${printed}},{"name":"b","type":"text"}]`,
    );
    const { newRow, keyNames } = asRow(openTransaction("wal2json")(text));
    assertEquals(newRow?.[0]?.value, "x", printed);
    assertEquals(newRow?.[1]?.name, "b", printed);
    assertEquals(keyNames, ["a", "b"], printed);
    return newRow?.[0]?.type;
  };
  // As 2.5 and 2.6 print them: JSON, or the name as it is.
  assertEquals(type('"My Type"'), "My Type");
  // Types of users, whose values are strings: not to be taken for the built-in ones.
  for (const name of ["boolean", "integer", "double precision", "numeric(10,2)", "oid"]) {
    assertEquals(type(`"${name}"`), `"${name}"`);
  }
  assertEquals(type('"char"'), "char");
  assertEquals(type(String.raw`"\"My Type\"[]"`), '"My Type"[]');
  assertEquals(type(String.raw`"other.\"My \\ Type\""`), 'other."My \\ Type"');
  assertEquals(type(String.raw`"back\slash"`), "back\\slash");
  assertEquals(type(String.raw`"back\nslash"`), "back\\nslash");
  assertEquals(type('"line\nbreak"'), "line\nbreak");
  assertEquals(type('"My Schema"."My Type"'), '"My Schema"."My Type"');
  assertEquals(type('"My Schema".plain'), '"My Schema".plain');
  assertEquals(type('"My Schema".plain(3)'), '"My Schema".plain(3)');
  assertEquals(type('"we""ird"'), '"we""ird"');
  assertEquals(type('"a"",""value"":1"'), '"a"",""value"":1"');
  assertEquals(type('"My Schema"."T"(10,2)'), '"My Schema"."T"(10,2)');
  // As versions before printed them: between quotes of their own.
  assertEquals(type('"My Type"[]'), '"My Type"[]');
  assertEquals(type('""My Type""'), '"My Type"');
  assertEquals(type('""My Schema"."My Type""'), '"My Schema"."My Type"');
  assertEquals(type('"other."My Type""'), 'other."My Type"');
  assertEquals(type('""My Type"[]"'), '"My Type"[]');
  assertEquals(type('""we""ird""'), '"we""ird"');
  assertEquals(type('""quote""""'), '"quote"""');
  assertEquals(type('""a"",""value"":1""'), '"a"",""value"":1"');
});

Deno.test("Wal2jsonDecoder reads updates, deletes and keys", () => {
  const decode = openTransaction("wal2json");
  const show = (action: string, rest: string) => {
    const row = asRow(decode(`{"action":"${action}",${HEAD},${TABLE},${rest}}`));
    return [row.kind, showColumns(row.oldRow), showColumns(row.newRow), row.keyNames];
  };
  const [one, two, v] = [
    column("id", '"integer"', "1"),
    column("id", '"integer"', "2"),
    column("v", '"text"', '"x"'),
  ];
  const oldOne = ['id[integer]="1"'], newTwo = ['id[integer]="2"', 'v[text]="x"'];
  assertEquals(show("U", `"columns":[${two},${v}],"identity":[${one}],${PK}`), [
    "update",
    oldOne,
    newTwo,
    ["id"],
  ]);
  assertEquals(show("U", `"columns":[${two},${v}],"pk":[]`), ["update", undefined, newTwo, []]);
  assertEquals(show("D", `"identity":[${one}],${PK}`), ["delete", oldOne, undefined, ["id"]]);
  assertEquals(show("D", PK), ["delete", undefined, undefined, ["id"]]);
  assertEquals(show("I", `"columns":[],"pk":[]`), ["insert", undefined, [], []]);
});

Deno.test("RowChange of wal2json finds key and columns in any order of asking", () => {
  const decode = openTransaction("wal2json");
  const text = `{"action":"U",${HEAD},${TABLE},"columns":[${column("a", '"integer"', "2")},` +
    `${column("b", '"text"', '"y"')}],"identity":[${column("a", '"integer"', "1")}],` +
    `"pk":[{"name":"a","type":"integer"},{"name":"b","type":"text"}]}`;
  // From the second time on the key is known by the end of the message.
  for (const order of ["key first", "key first", "rows first", "columns first", "old first"]) {
    const row = asRow(decode(text));
    if (order === "key first") assertEquals(row.keyNames, ["a", "b"]);
    if (order === "rows first") row.newRow, row.oldRow;
    if (order === "old first") assertEquals(row.oldColumn("a")?.value, "1");
    assertEquals(row.newColumn("b")?.value, "y", order);
    assertEquals(row.newColumn("a")?.value, "2", order);
    assertEquals(row.newColumn("c"), undefined);
    assertEquals(row.oldColumn("b"), undefined);
    assertEquals(row.oldColumn("a")?.value, "1", order);
    assertEquals(row.keyNames, ["a", "b"]);
    assertEquals([row.newRow?.length, row.oldRow?.length], [2, 1]);
    assertStrictEquals(row.newRow, row.newRow);
  }
});

Deno.test("Wal2jsonDecoder sees a changed key at once", () => {
  const decode = openTransaction("wal2json");
  const keyOf = (pk: string) =>
    asRow(decode(insertText(column("id", '"integer"', "1"), pk))).keyNames;
  assertEquals(keyOf(PK), ["id"]);
  assertEquals(keyOf(PK), ["id"]);
  assertEquals(keyOf(`"pk":[]`), []);
  assertEquals(keyOf(`"pk":[{"name":"a","type":"text"},{"name":"id","type":"integer"}]`), [
    "a",
    "id",
  ]);
  assertEquals(keyOf(PK), ["id"]);
});

Deno.test("Wal2jsonDecoder gives the content of messages as bytes", () => {
  const decode = openTransaction("wal2json");
  const content = (bytes: number[]) => {
    const [start, end] = [
      `{"action":"M",${HEAD},"transactional":true,"prefix":"é","content":"`,
      `"}`,
    ].map((text) => new TextEncoder().encode(text));
    const message = decode(Uint8Array.from([...start!, ...bytes, ...end!])) as LogicalMessage;
    assertEquals(message.prefix, "é");
    return [...message.content];
  };
  assertEquals(content([]), []);
  assertEquals(content([0xFF, 0xFE]), [0xFF, 0xFE]);
  const escaped = new TextEncoder().encode(String.raw`a\n\"\\é\u00e9`);
  assertEquals(content([0xFF, ...escaped]), [0xFF, ...new TextEncoder().encode('a\n"\\éé')]);
  const pair = new TextEncoder().encode(String.raw`\ud83c\udf89`);
  assertEquals(content([...pair]), [...new TextEncoder().encode("🎉")]);
});

Deno.test("Wal2jsonDecoder counts the messages that are not published, and looks at their prefix alone", () => {
  const decode = openTransaction("wal2json", (prefix) => prefix === 'a","content":"');
  const message = (rest: string) =>
    decode(`{"action":"M",${HEAD},"transactional":true,"prefix":${rest}`);
  const events = [
    String.raw`"a","content":"\",\"prefix\":\"a"}`,
    `"${"a".repeat(1025)}","content":""}`,
    // The rest was dropped.
    `"b","content":"xxxx`,
    `"${"b".repeat(6200)}`,
    String.raw`"a\",\"content\":\"","content":"x"}`,
  ].map(message);
  assertEquals(events.map((event) => event && [event.kind, (event as LogicalMessage).seq]), [
    ...[undefined, undefined, undefined, undefined, ["message", 4]],
  ]);
});

Deno.test("Wal2jsonDecoder refuses what breaks the protocol's order", () => {
  const begin = `{"action":"B",${HEAD.replace("0/1F", "0/20")},"nextlsn":"0/28"}`;
  const commit = begin.replace('"B"', '"C"');
  const refuses = (texts: string[], what: string) => {
    const decoder = newDecoder("wal2json");
    const last = texts.pop()!;
    for (const text of texts) decoder.decode(makeXLogData(1n, text));
    assertThrows(() => decoder.decode(makeXLogData(1n, last)), DecodeError, what);
  };
  refuses([insertText("")], "outside any transaction");
  refuses([commit], "outside any transaction");
  refuses([begin, begin], "inside");
  refuses([begin, commit.replace("0/20", "0/21")], "a commit of another transaction");
  refuses([begin, `${commit} `], "something after the end");
  refuses([begin, commit.slice(0, -1)], "no } at the end");
  refuses([`${begin} `], "something after the end");
  refuses([begin, commit.replace('"xid":7', '"xid":8')], "a change of 8 inside transaction 7");
  refuses([begin, insertText("").replace('"xid":7', '"xid":77')], "a change of 77 inside");
  const message = `{"action":"M",${HEAD},"transactional":true,"prefix":"p","content":""}`;
  refuses([message], "outside any transaction");
});

const ID = column("id", '"integer"', "1");

const WRONG: readonly string[] = [
  "",
  "{",
  "null",
  `{"action":"X"}`,
  ` ${insertText(ID)}`,
  `${insertText(ID)} `,
  insertText(ID).slice(0, -1),
  insertText(ID).slice(0, -2),
  insertText(ID).replace('"I"', '"U').replace('"xid"', '"pid"'),
  insertText(ID).replace('"xid":7', '"xid":07'),
  insertText(ID).replace('"xid":7', '"xid":7.0'),
  insertText(ID).replace('"xid":7', '"xid":"7"'),
  insertText(ID).replace("2026-01-01", "2026-13-01"),
  insertText(ID).replace(`,"timestamp":"2026-01-01 00:00:00+00"`, ""),
  insertText(ID).replace('"lsn"', '"nextlsn"'),
  insertText(ID).replace("0/1F", "0/1G"),
  insertText(ID).replace("0/1F", "01F"),
  insertText(ID).replace("0/1F", "0/"),
  insertText(ID).replace("0/1F", "/1F"),
  insertText(ID).replace('"schema":"public",', ""),
  insertText(ID).replace('"table":"t"', '"table":t'),
  insertText(ID).replace('"table":"t"', '"table":"\\x"'),
  insertText(ID).replace('"columns":[', '"columns": ['),
  insertText(ID).replace(`,${PK}`, ""),
  insertText(ID).replace(PK, `${PK},${PK}`),
  insertText(ID).replace(PK, `"identity":[],"identity":[],${PK}`),
  insertText(ID).replace(PK, `"pk":[{"name":"id","type":"integer"},]`),
  insertText(ID).replace(PK, `"pk":[{"name":"id"}]`),
  insertText(ID).replace(PK, `"pk":[{"name":"id","type":"integer","value":1}]`),
  insertText(`${ID},`),
  insertText(`,${ID}`),
  insertText(`${ID}${ID}`),
  insertText(ID).replace('"columns"', '"identity"'),
  insertText(ID).replace('"I"', '"D"'),
  insertText(ID).replace('"I"', '"T"'),
  insertText(column("a", '"integer"', "01")),
  insertText(column("a", '"integer"', "1.")),
  insertText(column("a", '"integer"', ".5")),
  insertText(column("a", '"integer"', "1e")),
  insertText(column("a", '"integer"', "+1")),
  insertText(column("a", '"integer"', "NaN")),
  insertText(column("a", '"integer"', "true")),
  insertText(column("a", '"integer"', "")),
  insertText(column("a", '"boolean"', "1")),
  insertText(column("a", '"boolean"', "TRUE")),
  insertText(column("a", '"text"', "1")),
  insertText(column("a", '"text"', "true")),
  insertText(column("a", '"text"', "{}")),
  insertText(column("a", '"text"', "[]")),
  insertText(column("a", '"text"', '"x')),
  insertText(column("a", '"text"', '"\n"')),
  insertText(column("a", '"text"', '"\\x"')),
  insertText(column("a", '"text"', '"\\u12"')),
  insertText(column("a", '"text"', '"\\ud83c"')),
  insertText(column("a", '"text"', '"\\udf89\\ud83c"')),
  insertText(column("a", '"bytea"', '"\\u0030"')),
  insertText(`{"name":"a\n","type":"text","value":"x"}`),
  `${insertText(ID, '"pk":[]')} `,
  `{"action":"T",${HEAD},${TABLE}} `,
  insertText(`{"name":"a","type":"text"}`),
  insertText(`{"name":"a","value":"x"}`),
  insertText(`{"type":"text","name":"a","value":"x"}`),
  insertText(`{"name":"a","name":"b","type":"text","value":"x"}`),
  insertText(`{"name":a,"type":"text","value":"x"}`),
  insertText(`{"name":"a","type":,"value":"x"}`),
  insertText(`{"name":"a","type":text,"value":"x"}`),
  insertText(`{"name":"a","type":""My Type","value":"x"}`),
  insertText(`{"name":"a","type":"My Type"","value":"x"}`),
  // Neither escaped for JSON nor a quoted name. Found by fuzzing.
  insertText(`{"name":"a","type":"s.\\*T\\"","value":"x"}`),
  insertText(`{"name":"a","type":"A"."B"."C","value":"x"}`),
  insertText(`{"name":"a","type":"My Schema".Plain,"value":"x"}`),
  `{"action":"M",${HEAD},"transactional":false,"prefix":"p","content":"c"}`,
  `{"action":"M","xid":null,"timestamp":null,"lsn":"0/2","transactional":true,"prefix":"p","content":"c"}`,
  `{"action":"M",${HEAD},"transactional":true,"prefix":"p","content":"\\x"}`,
  `{"action":"M",${HEAD},"transactional":true,"prefix":"p","content":null}`,
  `{"action":"C",${HEAD}}`,
  `{"action":"C",${HEAD.replace("0/1F", "1F")},"nextlsn":"0/28"}`,
];

Deno.test("Wal2jsonDecoder refuses messages that it does not understand", () => {
  for (const text of WRONG) {
    const decode = openTransaction("wal2json");
    assertThrows(
      () => materialize(decode(text)),
      DecodeError,
      "wal2json message at LSN 0/1F",
      text,
    );
  }
});

Deno.test("Wal2jsonDecoder refuses a row with something before its key, also once the key is known", () => {
  const decode = openTransaction("wal2json");
  const deletion = `{"action":"D",${HEAD},${TABLE},${PK}}`;
  assertEquals(asRow(decode(deletion)).keyNames, ["id"]);
  // Found by fuzzing.
  const insertion = insertText(ID);
  for (const rest of ["x", `,"columns":[]`]) {
    const wrong = insertion.replace(`,${PK}`, `${rest},${PK}`);
    assertThrows(() => materialize(decode(wrong)), DecodeError, "position", wrong);
  }
  for (const rest of [`,"identity":0`, `,"columns":[]`, "x"]) {
    const wrong = deletion.replace(`,${PK}`, `${rest},${PK}`);
    assertThrows(() => materialize(decode(wrong)), DecodeError, "position", wrong);
  }
});

Deno.test("Wal2jsonDecoder refuses bytes that are not UTF-8, but for those of a message", () => {
  const texts = [
    insertText(column("~", '"text"', '""')),
    insertText(column("a", '"~"', '""')),
    insertText(column("a", '"text"', '"~"')),
    insertText(column("a", '"text"', '"\\n~"')),
    insertText(ID).replace('"public"', '"~"'),
    insertText(ID).replace('"t"', '"~"'),
    insertText(ID, `"pk":[{"name":"~","type":"integer"}]`),
  ];
  for (const text of texts) {
    for (const wrong of [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xC3]]) {
      const bytes = [...new TextEncoder().encode(text)];
      bytes.splice(bytes.indexOf(0x7E), 1, ...wrong);
      const decode = openTransaction("wal2json");
      assertThrows(
        () => materialize(decode(Uint8Array.from(bytes))),
        DecodeError,
        "position",
        text,
      );
    }
  }
});
