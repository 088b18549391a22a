import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../src/decode/decoder.ts";
import type { LogicalMessage } from "../../src/decode/event.ts";
import { makeXLogData } from "../fixtures/fixture.ts";
import { asRow, materialize, newDecoder, openTransaction, showColumns } from "./decoding.ts";

/** The new row of an insert whose columns are `text`. */
function insert(text: string): string[] | undefined {
  const decode = openTransaction("test_decoding");
  return showColumns(asRow(decode(`table public.t: INSERT:${text}`)).newRow);
}

Deno.test("TestDecodingDecoder gives begin, changes with positions, and commit with its end LSN", () => {
  const decoder = newDecoder("test_decoding");
  const events = [
    "BEGIN 4294967295",
    "table public.t: INSERT: id[integer]:1",
    "table public.a, public.b: TRUNCATE: (no-flags)",
    "message: transactional: 0 prefix: p, sz: 0 content:",
    "message: transactional: 1 prefix: p, sz: 0 content:",
    "table public.t: DELETE: id[integer]:1",
    "COMMIT 4294967295",
    "BEGIN 8",
    "table public.t: INSERT: id[integer]:1",
    "COMMIT 8 (at 2026-01-02 03:04:05.678901+00)",
  ].map((text, index) => decoder.decode(makeXLogData(BigInt(index), text)));
  assertEquals(events.map((event) => event?.kind), [
    "begin",
    "insert",
    "truncate",
    "message",
    "message",
    "delete",
    "commit",
    "begin",
    "insert",
    "commit",
  ]);
  assertEquals(events.map((event) => event && "seq" in event ? event.seq : undefined), [
    undefined,
    0,
    1,
    -1,
    3,
    4,
    undefined,
    undefined,
    0,
    undefined,
  ]);
  const [begin, row, , outside, , , commit] = events;
  assertEquals(begin?.transaction, {
    xid: 4294967295,
    commitLsn: undefined,
    commitTime: undefined,
  });
  assertStrictEquals(row?.transaction, begin?.transaction);
  assertEquals(outside?.transaction, undefined);
  assertEquals(commit?.kind === "commit" && commit.endLsn, 6n);
  assertEquals(asRow(row).lsn, 1n);
});

Deno.test("TestDecodingDecoder reads every form of value", () => {
  assertEquals(
    insert(
      ` a[integer]:-2147483648 b[numeric]:0.10 c[numeric]:NaN d[real]:-Infinity` +
        ` e[double precision]:1e-300 f[double precision]:-0 g[boolean]:true h[boolean]:false` +
        ` i[bit]:B'0101' j[bit varying]:B'' k[text]:'' l[text]:'it''s' m[text]:null` +
        ` n[text]:'null' o[text]:unchanged-toast-datum p[numeric]:unchanged-toast-datum` +
        ` q[oid]:4294967295 r[oid]:'mine' s[money]:'$1.00' t[boolean[]]:'{t,f}'` +
        ` u[text]:'''' v[text]:' w[integer]:1' x[real]:1.5e+20 y[integer]:null`,
    ),
    [
      'a[integer]="-2147483648"',
      'b[numeric]="0.10"',
      'c[numeric]="NaN"',
      'd[real]="-Infinity"',
      'e[double precision]="1e-300"',
      'f[double precision]="-0"',
      'g[boolean]="true"',
      'h[boolean]="false"',
      'i[bit]="0101"',
      'j[bit varying]=""',
      'k[text]=""',
      'l[text]="it\'s"',
      "m[text]=null",
      'n[text]="null"',
      "o[text]=(unchanged)",
      "p[numeric]=(unchanged)",
      'q[oid]="4294967295"',
      'r[oid]="mine"',
      's[money]="$1.00"',
      't[boolean[]]="{t,f}"',
      'u[text]="\'"',
      'v[text]=" w[integer]:1"',
      'x[real]="1.5e+20"',
      "y[integer]=null",
    ],
  );
});

Deno.test("TestDecodingDecoder reads names and types with any character", () => {
  assertEquals(
    insert(
      ` "a b"[character varying]:'1' "c]:'d"[text]:'2' "e""f"["G H"."I J"]:'3'` +
        ` "новое"["we[ird]: ""x"""[]]:'4' "\n"[timestamp without time zone[]]:'5' "new-tuple:"["char"]:'6'` +
        ` _g1[public."T"]:'7' h["S".t[]]:'8'`,
    ),
    [
      'a b[character varying]="1"',
      'c]:\'d[text]="2"',
      'e"f["G H"."I J"]="3"',
      'новое["we[ird]: ""x"""[]]="4"',
      '\n[timestamp without time zone[]]="5"',
      'new-tuple:["char"]="6"',
      '_g1[public."T"]="7"',
      'h["S".t[]]="8"',
    ],
  );
  const decode = openTransaction("test_decoding");
  const row = asRow(decode(`table "S: a"."t, ""b"".""c""": INSERT: id[integer]:1`));
  assertEquals(row.relation, {
    schema: "S: a",
    table: 't, "b"."c"',
    qualifiedName: 'S: a.t, "b"."c"',
  });
});

Deno.test("TestDecodingDecoder keeps U+FEFF, U+FFFD and characters outside the BMP", () => {
  assertEquals(insert(` a[text]:'\uFEFFx' "\uFEFFb"[text]:'\uFFFD' c[text]:'\u{10FFFF}é'`), [
    'a[text]="\uFEFFx"',
    '\uFEFFb[text]="\uFFFD"',
    'c[text]="\u{10FFFF}é"',
  ]);
});

Deno.test("TestDecodingDecoder reads updates with and without an old key, and deletes", () => {
  const decode = openTransaction("test_decoding");
  const show = (text: string) => {
    const { kind, oldRow, newRow } = asRow(decode(text));
    return [kind, showColumns(oldRow), showColumns(newRow)];
  };
  assertEquals(show("table public.t: UPDATE: id[integer]:1 v[text]:'x'"), [
    "update",
    undefined,
    ['id[integer]="1"', 'v[text]="x"'],
  ]);
  assertEquals(
    show(
      `table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 "new-tuple"[text]:'x'`,
    ),
    ["update", ['id[integer]="1"'], ['id[integer]="2"', 'new-tuple[text]="x"']],
  );
  // An old row that was NULL throughout.
  assertEquals(show("table public.t: UPDATE: old-key: new-tuple: id[integer]:2"), [
    "update",
    [],
    ['id[integer]="2"'],
  ]);
  assertEquals(show("table public.t: DELETE: id[integer]:1"), [
    "delete",
    ['id[integer]="1"'],
    undefined,
  ]);
  assertEquals(show("table public.t: DELETE: (no-tuple-data)"), ["delete", undefined, undefined]);
  assertEquals(show("table public.t: DELETE:"), ["delete", [], undefined]);
  assertEquals(show("table public.t: INSERT:"), ["insert", undefined, []]);
});

Deno.test("RowChange of test_decoding finds columns in any order of asking", () => {
  const text = "table public.t: UPDATE: old-key: a[integer]:1 b[text]:'x' new-tuple: " +
    "a[integer]:2 b[text]:'y' c[text]:'z'";
  for (const readsRowsFirst of [true, false]) {
    const row = asRow(openTransaction("test_decoding")(text));
    if (readsRowsFirst) row.oldRow, row.newRow;
    assertEquals(row.newColumn("b")?.value, "y");
    assertEquals(row.oldColumn("b")?.value, "x");
    assertEquals(row.newColumn("a")?.value, "2");
    assertEquals(row.newColumn("c")?.value, "z");
    assertEquals(row.newColumn("d"), undefined);
    assertEquals(row.oldColumn("c"), undefined);
    assertEquals(row.newRow?.length, 3);
    assertEquals(row.oldRow?.length, 2);
    assertStrictEquals(row.newRow, row.newRow);
    assertStrictEquals(row.oldRow, row.oldRow);
  }
});

Deno.test("RowChange of test_decoding reads nothing behind the column that is asked for", () => {
  const row = asRow(openTransaction("test_decoding")("table public.t: INSERT: a[integer]:1 b[te"));
  assertEquals(row.newColumn("a")?.value, "1");
  assertThrows(() => row.newColumn("b"), DecodeError);
  assertThrows(() => row.newRow, DecodeError);
  // What follows the value of that column is part of it.
  const cut = asRow(openTransaction("test_decoding")("table public.t: INSERT: a[integer]:1x"));
  assertThrows(() => cut.newColumn("a"), DecodeError, "no space after a value");
  // Again: an error leaves nothing behind.
  assertThrows(() => row.newRow, DecodeError);
});

Deno.test("TestDecodingDecoder sees a changed table at once", () => {
  const decode = openTransaction("test_decoding");
  const show = (text: string) =>
    showColumns(asRow(decode(`table public.t: INSERT: ${text}`)).newRow);
  show("id[integer]:1 a[text]:'x'");
  assertEquals(show("id[bigint]:1 a[text]:'x'"), ['id[bigint]="1"', 'a[text]="x"']);
  assertEquals(show("a[text]:'x' id[bigint]:1"), ['a[text]="x"', 'id[bigint]="1"']);
  assertEquals(show("id[bigint]:1 b[integer]:2 a[text]:'x'"), [
    'id[bigint]="1"',
    'b[integer]="2"',
    'a[text]="x"',
  ]);
});

Deno.test("TestDecodingDecoder gives the same relation for the same table", () => {
  const decode = openTransaction("test_decoding");
  const relationOf = (table: string) =>
    asRow(decode(`table ${table}: INSERT: id[integer]:1`)).relation;
  const first = relationOf("public.t");
  assertStrictEquals(relationOf("public.t"), first);
  const truncate = decode("table public.u, public.t: TRUNCATE: (no-flags)");
  assertStrictEquals(truncate.kind === "truncate" && truncate.relations[1], first);
});

Deno.test("TestDecodingDecoder reads the tables and flags of TRUNCATE", () => {
  const decode = openTransaction("test_decoding");
  const show = (text: string) => {
    const { tables, cascade, restartIdentity } = materialize(decode(text));
    return [tables, cascade, restartIdentity];
  };
  assertEquals(show("table public.a: TRUNCATE: (no-flags)"), [["public.a"], false, false]);
  assertEquals(show('table public.a, "B, c"."d: TRUNCATE:": TRUNCATE: restart_seqs cascade'), [
    ["public.a", "B, c.d: TRUNCATE:"],
    true,
    true,
  ]);
  assertEquals(show("table public.a: TRUNCATE: cascade"), [["public.a"], true, false]);
  assertEquals(show("table public.a: TRUNCATE: restart_seqs"), [["public.a"], false, true]);
});

Deno.test("TestDecodingDecoder finds the end of a message's prefix by its size", () => {
  const decode = openTransaction("test_decoding");
  const show = (text: string) => {
    const { prefix, content } = decode(
      `message: transactional: 1 prefix: ${text}`,
    ) as LogicalMessage;
    return [prefix, new TextDecoder().decode(content)];
  };
  assertEquals(show("p, sz: 2 content:é"), ["p", "é"]);
  assertEquals(show(", sz: 0 content:"), ["", ""]);
  assertEquals(show("a, sz: 3 content:b, sz: 1 content:c"), ["a, sz: 3 content:b", "c"]);
  assertEquals(show("p, sz: 19 content:x, sz: 1 content:yz"), ["p", "x, sz: 1 content:yz"]);
  const bytes = [
    ...new TextEncoder().encode("message: transactional: 1 prefix: p, sz: 3 content:"),
  ];
  const binary = decode(Uint8Array.from([...bytes, 0, 0xFF, 0x27])) as LogicalMessage;
  assertEquals([...binary.content], [0, 0xFF, 0x27]);
});

Deno.test("TestDecodingDecoder refuses a message with two possible prefixes, but only when it is read", () => {
  const decode = openTransaction("test_decoding");
  const text = "message: transactional: 1 prefix: a, sz: 16 content:, sz: 0 content:";
  const message = decode(text) as LogicalMessage;
  assertEquals([message.kind, message.seq], ["message", 0]);
  assertThrows(() => message.prefix, DecodeError, "two places");
  assertThrows(() => message.content, DecodeError, "two places");
});

Deno.test("TestDecodingDecoder refuses what breaks the protocol's order", () => {
  const refuses = (texts: string[], what: string) => {
    const decoder = newDecoder("test_decoding");
    const last = texts.pop()!;
    for (const text of texts) decoder.decode(makeXLogData(1n, text));
    assertThrows(() => decoder.decode(makeXLogData(1n, last)), DecodeError, what);
  };
  refuses(["table public.t: INSERT: id[integer]:1"], "outside any transaction");
  refuses(["table public.t: TRUNCATE: (no-flags)"], "outside any transaction");
  refuses(["message: transactional: 1 prefix: p, sz: 0 content:"], "outside any transaction");
  refuses(["COMMIT 1"], "outside any transaction");
  refuses(["BEGIN 4294967296"], "no transaction id");
  refuses(["BEGIN 1", "table public.t: INSERT: (no-tuple-data)"], "sent no row");
  refuses(["BEGIN 1", "table public.t: UPDATE: (no-tuple-data)"], "sent no row");
  refuses(["BEGIN 1", "BEGIN 2"], "inside");
  refuses(["BEGIN 1", "COMMIT 2"], "a commit of 2 inside transaction 1");
});

const WRONG_COLUMNS: readonly string[] = [
  "id[integer]:1",
  " id",
  " id[integer",
  " id[integer]",
  " id[integer]:",
  " id[integer]1",
  " id[integer] :1",
  " id[integer]:1 ",
  " id[integer]:1x",
  " id[integer]:'1'",
  " id[integer]:-",
  " id[integer]:1.",
  " id[integer]:1e",
  " id[integer]:true",
  " id[integer]:nul",
  " id[integer]:NaNa",
  " id[integer]:unchanged-toast",
  " id[text]:x",
  " id[text]:'x",
  " id[text]:'x'y",
  " id[text]:'x'' y[text]:''",
  " id[text]:1",
  " id[text]:nullx",
  " id[boolean]:t",
  " id[boolean]:'t'",
  " id[boolean]:unchanged-toast-datum",
  " id[bit]:'1'",
  " id[bit]:B'2'",
  " id[bit]:B'1",
  ' ""[integer]:1',
  " Id[integer]:1",
  " 1d[integer]:1",
  " é[integer]:1",
  ' "id[integer]:1',
  " id[]:1",
  " id[Integer]:1",
  " id[integer varying]:'1'",
  " id[integer[]:1",
  " id[integer[][]]:1",
  " id[a.b.c]:1",
  " id[a.]:1",
  " old-key: id[integer]:1",
  " (no-tuple-data)",
  " (no-tuple-data",
];

Deno.test("TestDecodingDecoder refuses columns that it does not understand", () => {
  for (const text of WRONG_COLUMNS) {
    assertThrows(() => insert(text), DecodeError, "LSN 0/1F, position", text);
  }
});

const WRONG_MESSAGES: readonly string[] = [
  "",
  "BEGIN",
  "BEGIN ",
  "BEGIN 01",
  "BEGIN 4294967296",
  "BEGIN 1 ",
  "begin 1",
  "COMMIT",
  "COMMIT 7 ",
  "COMMIT 7 (at noon)",
  "COMMIT 7 (at 2026-01-02 03:04:05+00",
  "PREPARE TRANSACTION 'p', txid 7",
  "COMMIT PREPARED 'p', txid 7",
  "opening a streamed block for transaction TXN 7",
  "table",
  "table public",
  "table public.t",
  "table public.t: ",
  "table t: INSERT: id[integer]:1",
  "table public.t:INSERT: id[integer]:1",
  "table public.t: UPSERT: id[integer]:1",
  "table Public.t: INSERT: id[integer]:1",
  'table "public.t: INSERT: id[integer]:1',
  "table public.t.u: INSERT: id[integer]:1",
  "table public.t, public.u: INSERT: id[integer]:1",
  "table public.t,public.u: TRUNCATE: (no-flags)",
  "table public.t, : TRUNCATE: (no-flags)",
  "table public.t: TRUNCATE:",
  "table public.t: TRUNCATE: cascade restart_seqs",
  "table public.t: TRUNCATE: (no-flags) ",
  "table public.t: DELETE: (no-tuple-data) ",
  "table public.t: UPDATE: (no-tuple-data)",
  "table public.t: UPDATE: old-key: id[integer]:1",
  "table public.t: UPDATE: old-key: id[integer]:1 new-tuple:id[integer]:1",
  "message: transactional: 2 prefix: p, sz: 0 content:",
  "message: transactional: 1 prefix: p, sz: 1 content:",
  "message: transactional: 1 prefix: p, sz: 1 content:ab",
  "message: transactional: 1 prefix: p, sz: 01 content:a",
  "message: transactional: 1 prefix: p, sz:  content:",
  "message: transactional: 1 prefix: p",
];

Deno.test("TestDecodingDecoder refuses messages that it does not understand", () => {
  for (const text of WRONG_MESSAGES) {
    const decode = openTransaction("test_decoding");
    assertThrows(
      () => materialize(decode(text)),
      DecodeError,
      "test_decoding message at LSN 0/1F",
      text,
    );
  }
});

Deno.test("TestDecodingDecoder refuses bytes that are not UTF-8", () => {
  for (
    const text of [
      "table public.t: INSERT: id[text]:'~'",
      "table public.t: INSERT: \"~\"[text]:'x'",
      "table public.t: INSERT: id[\"~\"]:'x'",
      "table public.\"~\": INSERT: id[text]:'x'",
      "table \"~\".t: INSERT: id[text]:'x'",
      "message: transactional: 1 prefix: ~, sz: 0 content:",
    ]
  ) {
    // The second is an overlong form, the third half of a surrogate pair, the last one is cut off.
    for (const wrong of [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xC3]]) {
      const bytes = [...new TextEncoder().encode(text)];
      bytes.splice(bytes.indexOf(0x7E), 1, ...wrong);
      const decode = openTransaction("test_decoding");
      assertThrows(() => materialize(decode(Uint8Array.from(bytes))), DecodeError, "UTF-8", text);
    }
  }
});
