import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { columnBudget } from "../../../src/decode/column_budget.ts";
import { DecodeError, UnknownTypeError } from "../../../src/decode/decoder.ts";
import { NO_VALUE, type RowBytes } from "../../../src/decode/event.ts";
import type { PgoutputRelation } from "../../../src/decode/pgoutput/pgoutput_relation.ts";
import type { TypeName } from "../../../src/decode/plugin.ts";
import { makeXLogData } from "../../fixtures/fixture.ts";
import {
  asRow,
  builtinTypeName,
  materialize,
  newDecoder,
  showColumns,
} from "../../support/decoding.ts";
import * as write from "../../support/pgoutput_messages.ts";

const T = 16400;
const COLUMNS = [
  { name: "id", oid: 23, flags: 1 },
  { name: "v", oid: 25 },
  { name: "b", oid: 16 },
];
const RELATION = write.relation(T, "public", "t", COLUMNS);

/** A decoder inside transaction 7 that has seen some messages; gives it one more. */
function openTransaction(typeName: TypeName = builtinTypeName, ...seen: Uint8Array[]) {
  const decoder = newDecoder("pgoutput", typeName);
  for (const data of [write.begin(0x20n, 0n, 7), ...seen]) decoder.decode(makeXLogData(0n, data));
  return (data: Uint8Array) => decoder.decode(makeXLogData(0x1Fn, data));
}

function row(data: Uint8Array, described = RELATION) {
  return asRow(openTransaction(builtinTypeName, described)(data));
}

Deno.test("PgoutputDecoder counts the messages that are not published, and looks at their prefix alone", () => {
  const decoder = newDecoder("pgoutput", builtinTypeName, (prefix) => prefix === "a");
  const longest = "a".repeat(1024);
  const notUtf8 = write.join("M", [1], write.int64(1n), [0x61, 0xFF, 0], write.int32(0));
  const events = [
    write.begin(0x20n, 0n, 7),
    write.logicalMessage(1, 5n, "b", Uint8Array.of(1)),
    write.logicalMessage(1, 5n, longest, Uint8Array.of(1)),
    notUtf8,
    // Its content was dropped.
    write.logicalMessage(1, 5n, "ab", new Uint8Array(100)).subarray(0, 20),
    write.logicalMessage(0, 5n, "b", new Uint8Array()),
    write.logicalMessage(1, 5n, "a", Uint8Array.of(1)),
  ].map((data) => decoder.decode(makeXLogData(5n, data)));
  assertEquals(events.map((event) => event?.kind), [
    ...["begin", undefined, undefined, undefined, undefined, undefined, "message"],
  ]);
  assertEquals(materialize(events[6]!).seq, 4);
});

Deno.test("PgoutputDecoder gives begin, changes with positions, and commit with its end LSN", () => {
  const decoder = newDecoder("pgoutput");
  const events = [
    write.begin(0xFFFF_FFFF_FFFF_FFF0n, -1n, 4294967295),
    write.join("O", write.int64(1n), write.cstring("an origin")),
    RELATION,
    write.insert(T, ["1", "x", "t"]),
    write.truncate(0, T, T),
    write.logicalMessage(0, 5n, "p", new Uint8Array()),
    write.logicalMessage(1, 5n, "p", Uint8Array.of(0, 255)),
    write.deletion(T, "K", ["1", null, null]),
    write.commit(0xFFFF_FFFF_FFFF_FFF0n, 0xFFFF_FFFF_FFFF_FFFFn),
  ].map((data, index) => decoder.decode(makeXLogData(BigInt(index), data)));
  assertEquals(events.map((event) => event?.kind), [
    "begin",
    undefined,
    undefined,
    "insert",
    "truncate",
    "message",
    "message",
    "delete",
    "commit",
  ]);
  const present = events.filter((event) => event !== undefined);
  assertEquals(present.flatMap((event) => "seq" in event ? [event.seq] : []), [0, 1, -1, 3, 4]);
  assertEquals(events[0]!.transaction, {
    xid: 4294967295,
    timeline: 1,
    commitLsn: 0xFFFF_FFFF_FFFF_FFF0n,
    // One microsecond before 2000-01-01.
    commitTime: BigInt(Date.UTC(2000, 0)) * 1000n - 1n,
  });
  assertStrictEquals(events[3]!.transaction, events[0]!.transaction);
  assertEquals(events[5]!.transaction, undefined);
  assertEquals(materialize(events[6]!).content, [0, 255]);
  assertEquals(materialize(events[8]!).endLsn, 8n);
  assertEquals(asRow(events[3]).lsn, 3n);
});

Deno.test("PgoutputDecoder reads every kind of value", () => {
  const described = write.relation(T, "", "таблица", [
    { name: "id", oid: 23 },
    { name: "text", oid: 25 },
    { name: "yes", oid: 16 },
    { name: "no", oid: 16 },
    { name: "null", oid: 25 },
    { name: "toast", oid: 25 },
    { name: "empty", oid: 25 },
  ]);
  const change = row(
    write.insert(T, ["1", "\uFEFFé🎉\uFFFD'", "t", "f", null, write.UNCHANGED_VALUE, ""]),
    described,
  );
  assertEquals(change.relation.qualifiedName, "pg_catalog.таблица");
  assertEquals(showColumns(change.newRow), [
    'id[integer]="1"',
    'text[text]="\uFEFFé🎉\uFFFD\'"',
    'yes[boolean]="true"',
    'no[boolean]="false"',
    "null[text]=null",
    "toast[text]=(unchanged)",
    'empty[text]=""',
  ]);
});

Deno.test("PgoutputDecoder reads old keys, old rows and no old row", () => {
  const show = (data: Uint8Array) => {
    const { kind, oldRow, newRow } = row(data);
    return [kind, showColumns(oldRow), showColumns(newRow)];
  };
  const newRow = ['id[integer]="2"', 'v[text]="x"', 'b[boolean]="true"'];
  assertEquals(show(write.update(T, undefined, [], ["2", "x", "t"])), [
    "update",
    undefined,
    newRow,
  ]);
  // Of an old key only the key's columns are there, the others are sent as null.
  assertEquals(show(write.update(T, "K", ["1", null, null], ["2", "x", "t"])), [
    "update",
    ['id[integer]="1"'],
    newRow,
  ]);
  assertEquals(show(write.update(T, "O", ["1", null, "f"], ["2", "x", "t"])), [
    "update",
    ['id[integer]="1"', "v[text]=null", 'b[boolean]="false"'],
    newRow,
  ]);
  assertEquals(show(write.deletion(T, "K", ["1", null, null])), [
    "delete",
    ['id[integer]="1"'],
    undefined,
  ]);
  assertEquals(show(write.deletion(T, "O", ["1", "v", null])), [
    "delete",
    ['id[integer]="1"', 'v[text]="v"', "b[boolean]=null"],
    undefined,
  ]);
});

Deno.test("RowChange of pgoutput finds columns in any order of asking", () => {
  const data = write.update(T, "K", ["1", null, null], ["2", "x", "t"]);
  for (const readsRowsFirst of [true, false]) {
    const change = row(data);
    if (readsRowsFirst) change.newRow, change.oldRow;
    assertEquals(change.newColumn("b")?.value, "true");
    assertEquals(change.newColumn("id")?.value, "2");
    assertEquals(change.newColumn("c"), undefined);
    assertEquals(change.oldColumn("id")?.value, "1");
    assertEquals(change.oldColumn("v"), undefined);
    assertEquals([change.newRow?.length, change.oldRow?.length], [3, 1]);
    assertStrictEquals(change.newRow, change.newRow);
  }
});

Deno.test("RowChange of pgoutput gives whole rows as bytes, and no others", () => {
  const texts = (bytes: RowBytes | undefined) =>
    bytes?.columns.map(({ name, type }, index) => {
      const isNull = bytes.forms[index] === NO_VALUE;
      return `${name}[${type}]=${isNull ? "null" : JSON.stringify(bytes.text(index))}`;
    });
  const insert = row(write.insert(T, ["1", "é", "t"]));
  const bytes = insert.newBytes!()!;
  assertEquals(texts(bytes), showColumns(insert.newRow));
  assertEquals(
    new TextDecoder().decode(bytes.bytes.subarray(bytes.places[2], bytes.places[3])),
    "é",
  );
  assertEquals(texts(row(write.insert(T, ["1", null, null])).newBytes!()), [
    'id[integer]="1"',
    "v[text]=null",
    "b[boolean]=null",
  ]);
  assertEquals(row(write.insert(T, ["1", write.UNCHANGED_VALUE, "f"])).newBytes!(), undefined);
  assertEquals(insert.oldBytes!(), undefined);

  const update = row(write.update(T, "O", ["1", "old", "t"], ["2", "new", "f"]));
  assertEquals(texts(update.oldBytes!()), showColumns(update.oldRow));
  assertEquals(texts(update.newBytes!()), showColumns(update.newRow));
  const moved = row(write.update(T, "K", ["1", null, null], ["2", "new", "f"]));
  assertEquals(moved.oldBytes!(), undefined);
  const gone = row(write.deletion(T, "O", ["1", "old", "t"]));
  assertEquals(gone.newBytes!(), undefined);
  assertEquals(texts(gone.oldBytes!()), showColumns(gone.oldRow));

  const wrong = write.join(write.insert(T, ["1", "x", "t"]), "?");
  assertThrows(() => row(wrong).newBytes!(), DecodeError, "something after the new row");
  const noBoolean = row(write.insert(T, ["1", "x", "y"]));
  assertThrows(() => noBoolean.newBytes!(), DecodeError, "no boolean");
  const noText = row(write.insert(T, ["1", Uint8Array.of(0xFF), "t"])).newBytes!()!;
  assertThrows(() => noText.text(1), DecodeError, "not UTF-8");
});

Deno.test("RowChange of pgoutput finds no column in a row of another size, and none that is cut off", () => {
  assertThrows(() => row(write.insert(T, ["1", "x", "t", "y"])).newColumn("id"), DecodeError);
  const cut = row(write.insert(T, ["1", "a long text", "t"]).slice(0, -8));
  assertEquals(cut.newColumn("id")?.value, "1");
  assertThrows(() => cut.newColumn("v"), DecodeError, "longer than the message");
});

Deno.test("PgoutputDecoder names the primary key only where the replica identity is the default", () => {
  const keyOf = (identity: string, flags: number[]) => {
    const columns = flags.map((flag, index) => ({ name: `c${index}`, oid: 23, flags: flag }));
    const described = write.relation(T, "public", "t", columns, identity);
    return row(write.insert(T, flags.map(() => "1")), described).keyNames;
  };
  assertEquals(keyOf("d", [1, 0, 1]), ["c0", "c2"]);
  // No primary key, or a deferrable one.
  assertEquals(keyOf("d", [0, 0]), undefined);
  assertEquals(keyOf("f", [1, 1]), undefined);
  assertEquals(keyOf("i", [0, 1]), undefined);
  assertEquals(keyOf("n", [0, 0]), undefined);
});

Deno.test("PgoutputDecoder follows a table that changes, and keeps the relation of one that does not", () => {
  const decode = openTransaction(builtinTypeName, RELATION);
  const first = asRow(decode(write.insert(T, ["1", "x", "t"])));
  decode(RELATION);
  assertStrictEquals(asRow(decode(write.insert(T, ["1", "x", "t"]))).relation, first.relation);
  decode(write.relation(T, "public", "t", [{ name: "id", oid: 20, flags: 1 }]));
  const second = asRow(decode(write.insert(T, ["1"])));
  assertEquals(showColumns(second.newRow), ['id[bigint]="1"']);
  // A change that was decoded before keeps the columns it was made with.
  assertEquals(showColumns(first.newRow), ['id[integer]="1"', 'v[text]="x"', 'b[boolean]="true"']);
  decode(write.relation(T + 1, "public", "t", COLUMNS));
  assertStrictEquals(asRow(decode(write.insert(T + 1, ["1", "x", "t"]))).relation, first.relation);
});

Deno.test("PgoutputDecoder keeps columns once for all tables that are made alike", () => {
  const decode = openTransaction();
  let oid = T;
  const describe = (schema: string, table: string, columns = COLUMNS, identity = "d") => {
    decode(write.relation(++oid, schema, table, columns, identity));
    return asRow(decode(write.insert(oid, ["1", "x", "t"]))).relation as PgoutputRelation;
  };
  const first = describe("public", "hour_1");
  const second = describe("public", "hour_2");
  assertEquals([first.table, second.table], ["hour_1", "hour_2"]);
  assertStrictEquals(second.columns, first.columns);
  assertStrictEquals(second.keyNames, first.keyNames);

  // Dropped and made again.
  assertStrictEquals(describe("public", "hour_1"), first);
  assertEquals(describe("public", "hour_1", COLUMNS.toReversed()).columns[0]!.name, "b");
  assertEquals(describe("public", "hour_2", COLUMNS, "f").keyNames, undefined);
  // Two tables whose names look alike.
  assertEquals(describe("a.b", "c").schema, "a.b");
  assertEquals(describe("a", "b.c").table, "b.c");
});

Deno.test("PgoutputDecoder forgets columns when there are too many, and reads them again", () => {
  const names = new Map([[23, "integer"], [25, "text"], [16, "boolean"]]);
  const decode = openTransaction((oid) => names.get(oid), RELATION);
  const first = asRow(decode(write.insert(T, ["1", "x", "t"])));
  const epoch = columnBudget.epoch;
  for (let table = 1; columnBudget.epoch === epoch; table++) {
    const columns = Array.from({ length: 1000 }, (_, i) => ({ name: `c_${table}_${i}`, oid: 23 }));
    decode(write.relation(T + table, "public", `t_${table}`, columns));
  }
  const again = asRow(decode(write.insert(T, ["1", "x", "t"])));
  assertEquals(again.relation === first.relation, false);
  assertEquals(showColumns(again.newRow), showColumns(first.newRow));
  assertEquals((again.relation as PgoutputRelation).keyNames, ["id"]);
  assertStrictEquals(asRow(decode(write.insert(T, ["1", "x", "t"]))).relation, again.relation);

  // By then a type may have been forgotten, too.
  columnBudget.remember(1_000_000);
  names.delete(25);
  assertThrows(() => decode(write.truncate(0, T)), UnknownTypeError);
  names.set(25, "text");
  assertEquals(materialize(decode(write.truncate(0, T))!).seq, again.seq + 2);
});

Deno.test("PgoutputDecoder reads the tables and flags of TRUNCATE", () => {
  const decode = openTransaction(
    builtinTypeName,
    RELATION,
    write.relation(T + 1, "s", "u", COLUMNS),
  );
  const show = (flags: number, ...oids: number[]) => {
    const { tables, cascade, restartIdentity } = materialize(
      decode(write.truncate(flags, ...oids))!,
    );
    return [tables, cascade, restartIdentity];
  };
  assertEquals(show(0, T), [["public.t"], false, false]);
  assertEquals(show(1, T, T + 1), [["public.t", "s.u"], true, false]);
  assertEquals(show(2, T), [["public.t"], false, true]);
  assertEquals(show(3, T + 1, T), [["s.u", "public.t"], true, true]);
});

Deno.test("PgoutputDecoder asks once for an unknown type, then decodes the same message", () => {
  const names = new Map([[23, "integer"]]);
  const decode = openTransaction((oid) => names.get(oid));
  const described = write.relation(T, "public", "t", [
    { name: "id", oid: 23 },
    { name: "m", oid: 16500 },
  ]);
  const error = assertThrows(() => decode(described), UnknownTypeError);
  assertInstanceOf(error, DecodeError);
  assertEquals((error as UnknownTypeError).oid, 16500);
  assertEquals(
    (error as UnknownTypeError).message,
    // The message itself has no LSN: the commit's stands for it.
    "cannot decode a pgoutput message at LSN 0/20, position 40: " +
      "the catalog has no type with OID 16500, of column m of public.t",
  );
  names.set(16500, "mood");
  assertEquals(decode(described), undefined);
  const change = asRow(decode(write.insert(T, ["1", "ok"])));
  assertEquals([change.seq, showColumns(change.newRow)], [
    0,
    ['id[integer]="1"', 'm[mood]="ok"'],
  ]);
});

Deno.test("PgoutputDecoder takes the plugin's name for a type that the catalog has lost", () => {
  const decode = openTransaction(
    (oid) => oid === 23 ? "integer" : undefined,
    write.type(16500, "public", "short_type"),
    write.type(16501, "", "numeric"),
  );
  const columns = [{ name: "m", oid: 16500 }, { name: "n", oid: 16501 }];
  const described = write.relation(T, "public", "t", columns);
  assertThrows(() => decode(described), UnknownTypeError, "16500");
  // Both types were asked for at once.
  decode(described);
  assertEquals(showColumns(asRow(decode(write.insert(T, ["x", "1"]))).newRow), [
    'm[public.short_type]="x"',
    'n[numeric]="1"',
  ]);
  // Without a name from either, the error stays.
  const unknown = write.relation(T, "public", "t", [{ name: "m", oid: 16502 }]);
  assertThrows(() => decode(unknown), UnknownTypeError, "16502");
  assertThrows(() => decode(unknown), UnknownTypeError, "16502");
});

Deno.test("PgoutputDecoder gives the type modifier to whoever names types", () => {
  const asked: [number, number][] = [];
  const name = (oid: number, typmod: number) => {
    asked.push([oid, typmod]);
    return "numeric(10,2)";
  };
  const columns = [{ name: "n", oid: 1700, typmod: 655366 }, { name: "o", oid: 4294967295 }];
  const described = write.relation(T, "public", "t", columns);
  openTransaction(name, described);
  assertEquals(asked, [[1700, 655366], [4294967295, -1]]);
});

Deno.test("PgoutputDecoder refuses what breaks the protocol's order", () => {
  const refuses = (messages: Uint8Array[], what: string) => {
    const decoder = newDecoder("pgoutput");
    const last = messages.pop()!;
    for (const data of messages) decoder.decode(makeXLogData(1n, data));
    assertThrows(() => decoder.decode(makeXLogData(1n, last)), DecodeError, what);
  };
  const begin = write.begin(0x20n, 0n, 7);
  refuses([RELATION, write.insert(T, ["1", "x", "t"])], "outside any transaction");
  refuses([RELATION, write.truncate(0, T)], "outside any transaction");
  refuses([write.logicalMessage(1, 1n, "p", new Uint8Array())], "outside any transaction");
  refuses([write.commit(0x20n, 0x28n)], "outside any transaction");
  refuses([begin, begin], "inside");
  refuses([begin, write.commit(0x21n, 0x28n)], "a commit of another transaction");
  refuses([begin, write.insert(T, ["1"])], "not described, OID 16400");
  refuses([begin, write.truncate(0, T)], "not described, OID 16400");
});

const WRONG: readonly [string, Uint8Array][] = [
  ["no message", write.join()],
  ["an unknown kind", write.join("Z")],
  ["a streamed transaction", write.join("S", write.int32(7), [1])],
  ["begin prepare", write.join("b", write.int64(1n))],
  ["a cut begin", write.begin(1n, 1n, 1).slice(0, -1)],
  ["a long begin", write.join(write.begin(1n, 1n, 1), [0])],
  ["commit with flags", write.commit(0x20n, 0x28n, 0n, 1)],
  ["a cut commit", write.commit(0x20n, 0x28n).slice(0, -1)],
  ["a long commit", write.join(write.commit(0x20n, 0x28n), [0])],
  ["a cut insert", write.join("I", [0, 0])],
  ["an insert without a row", write.join("I", write.int32(T))],
  ["an insert of an old row", write.join("I", write.int32(T), "O", write.tuple(["1", "x", "t"]))],
  ["an update without a row", write.join("U", write.int32(T), "X", write.tuple(["1", "x", "t"]))],
  [
    "an update with an old row only",
    write.join("U", write.int32(T), "O", write.tuple(["1", "x", "t"])),
  ],
  ["a delete with a new row", write.join("D", write.int32(T), "N", write.tuple(["1", "x", "t"]))],
  ["too few columns", write.insert(T, ["1", "x"])],
  ["too many columns", write.insert(T, ["1", "x", "t", "y"])],
  ["a cut value", write.insert(T, ["1", "x", "t"]).slice(0, -1)],
  ["something after the row", write.join(write.insert(T, ["1", "x", "t"]), [0])],
  ["something after an old row", write.join(write.deletion(T, "O", ["1", "x", "t"]), [0])],
  ["a binary value", write.insert(T, [{ binary: Uint8Array.of(0, 0, 0, 1) }, "x", "t"])],
  ["a long value", write.join("I", write.int32(T), "N", write.int16(3), "t", write.int32(-1))],
  ["a boolean that is none", write.insert(T, ["1", "x", "true"])],
  ["an empty boolean", write.insert(T, ["1", "x", ""])],
  ["text that is not UTF-8", write.insert(T, ["1", Uint8Array.of(0xC3), "t"])],
  ["a cut truncate", write.truncate(0, T).slice(0, -1)],
  ["a long truncate", write.join(write.truncate(0, T), [0])],
  ["truncate with flags", write.truncate(4, T)],
  ["many tables", write.join("T", write.int32(-1), [0], write.int32(T))],
  ["message with flags", write.logicalMessage(2, 1n, "p", Uint8Array.of(1))],
  ["a cut message", write.logicalMessage(1, 1n, "p", Uint8Array.of(1)).slice(0, -1)],
  ["a long message", write.join(write.logicalMessage(1, 1n, "p", Uint8Array.of(1)), [0])],
  ["a prefix without an end", write.join("M", [1], write.int64(1n), "p")],
  ["an unknown identity", write.relation(T, "public", "t", COLUMNS, "x")],
  ["unknown column flags", write.relation(T, "public", "t", [{ name: "a", oid: 23, flags: 2 }])],
  ["a cut relation", RELATION.slice(0, -1)],
  ["a long relation", write.join(RELATION, [0])],
  ["a long type", write.join(write.type(16500, "public", "t"), [0])],
  ["a cut origin", write.join("O", write.int64(1n), "x")],
];

Deno.test("PgoutputDecoder refuses messages that it does not understand", () => {
  for (const [what, data] of WRONG) {
    const decode = openTransaction(builtinTypeName, RELATION);
    assertThrows(
      () => {
        const event = decode(data);
        if (event !== undefined) materialize(event);
      },
      DecodeError,
      "pgoutput message at LSN 0/",
      what,
    );
  }
});

Deno.test("PgoutputDecoder keeps what it knew of a table when its new description is refused", () => {
  const decode = openTransaction(builtinTypeName, RELATION);
  assertThrows(() => decode(write.relation(T, "public", "t", [{ name: "a", oid: 99999 }])));
  assertEquals(asRow(decode(write.insert(T, ["1", "x", "t"]))).newRow?.length, 3);
});
