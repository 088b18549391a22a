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
    timeline: 1,
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

Deno.test("TestDecodingDecoder takes no prefix for another that is published", () => {
  const show = (text: string, ...published: string[]) => {
    const decode = openTransaction("test_decoding", (prefix) => published.includes(prefix));
    const event = decode(`message: transactional: 1 prefix: ${text}`);
    return event && [event.kind, (event as LogicalMessage).prefix];
  };
  // Either a with ", sz: 0 content:", or "a, sz: 16 content:" with nothing.
  const twofold = "a, sz: 16 content:, sz: 0 content:";
  assertEquals(show(twofold, "b"), undefined);
  assertEquals(show(twofold, "a"), ["ambiguous-message", "a"]);
  assertEquals(show(twofold, "a, sz: 16 content:"), ["ambiguous-message", "a, sz: 16 content:"]);
  // Also where the other end of the prefix lies behind the longest prefix that is published.
  const filler = "x".repeat(5000);
  const far = `a, sz: ${filler.length + 16} content:${filler}, sz: 0 content:`;
  assertEquals(show(far, "a"), ["ambiguous-message", "a"]);
  assertEquals(show(`${"b".repeat(1024)}, sz: 0 content:`, "b".repeat(1024))?.[0], "message");
  assertEquals(show(`${"b".repeat(1025)}, sz: 0 content:`, "b".repeat(1025)), undefined);
  assertEquals(show(`a\n", sz: 1 content:a`, "a"), undefined);
  assertEquals(show(`a, sz: 2 content:a, sz: 1 content:a`, "a"), undefined);
});

Deno.test("TestDecodingDecoder counts the messages that are not published", () => {
  const decode = openTransaction("test_decoding", (prefix) => prefix === "a");
  const texts = ["b, sz: 1 content:x", "a, sz: 1 content:x", "a, sz: 16 content:, sz: 0 content:"];
  const seqs = [...texts, "a, sz: 0 content:"].map((text) =>
    (decode(`message: transactional: 1 prefix: ${text}`) as LogicalMessage)?.seq
  );
  assertEquals(seqs, [undefined, 1, undefined, 3]);
});
