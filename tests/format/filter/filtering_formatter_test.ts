import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { UNCHANGED } from "../../../src/decode/event.ts";
import { RunError } from "../../../src/base/errors.ts";
import { ColumnFilter, ruledTables } from "../../../src/format/filter/column_filter.ts";
import { createFormatter } from "../../../src/format/formats.ts";
import { createMessageFilter } from "../../../src/format/filter/message_filter.ts";
import { parseGlob } from "../../../src/format/filter/glob.ts";
import type { FormatOptions, OutputPlugin } from "../../../src/options.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import {
  type ColumnSpec,
  format,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  truncate,
  tryFormat,
} from "../../support/made_up_changes.ts";

const TABLES = { "public.orders": {}, "public.order_items": {}, "audit.log": {} };

function make(options: Partial<FormatOptions>, catalog = new MadeUpCatalog(TABLES)) {
  return createFormatter({ ...OPTIONS, formatter: "JSON", ...options }, "test_decoding", catalog);
}

/** Which of the tables' inserts are published. */
async function published(options: Partial<FormatOptions>): Promise<string[]> {
  const formatter = await make(options);
  return Object.keys(TABLES).filter((table) =>
    format(formatter, row("insert", { table, newRow: [["id", "integer", "1"]] })).length > 0
  );
}

Deno.test("--table-pat is searched in schema.table", async () => {
  assertEquals(await published({ tablePattern: /order/u }), [
    "public.orders",
    "public.order_items",
  ]);
  assertEquals(await published({ tablePattern: /^public\.orders$/u }), ["public.orders"]);
  assertEquals(await published({ tablePattern: /t\.l/u }), ["audit.log"]);
  // A pattern with the flag g remembers where it stopped.
  assertEquals(await published({ tablePattern: /^public/gu }), [
    "public.orders",
    "public.order_items",
  ]);
});

Deno.test("--include-table and --exclude-table are globs on schema.table; excluding wins", async () => {
  assertEquals(await published({ includeTables: ["public.*", "audit.log"] }), Object.keys(TABLES));
  assertEquals(await published({ includeTables: ["public.order?"] }), ["public.orders"]);
  assertEquals(await published({ excludeTables: ["public.*"] }), ["audit.log"]);
  assertEquals(
    await published({ includeTables: ["public.*"], excludeTables: ["*_items"] }),
    ["public.orders"],
  );
});

Deno.test("parseGlob matches the whole name, and only * and ? are special", () => {
  const matches = (glob: string, name: string) => parseGlob(glob)(name);
  assertEquals(matches("public.a", "public.ab"), false);
  assertEquals(matches("public.*", "public.a.b\nc"), true);
  assertEquals(matches("public.?", "public.😀"), true);
  assertEquals(matches("public.a[1]+(x){2}|^$/", "public.a[1]+(x){2}|^$/"), true);
  assertEquals(matches("a.b", "axb"), false);
  assertEquals(matches("a.\\*", "a.*"), true);
  assertEquals(matches("a.\\*", "a.b"), false);
  assertEquals(matches("a\\", "a\\"), true);
  assertEquals(matches("", ""), true);
  assertEquals(matches("*", ""), true);
  assertEquals(matches("?", ""), false);
  assertEquals(matches("a*b*c", "a-b-b-c-c"), true);
  assertEquals(matches("a*b*c", "a-b-b-c-d"), false);
  assertEquals(matches("*?", "😀"), true);
  // Half a character is none.
  assertEquals(matches("*??", "😀"), false);
});

Deno.test("parseGlob says what a regular expression says", () => {
  const random = randomFrom(randomSeed());
  const text = (letters: string, length: number) =>
    Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join("");
  for (let round = 0; round < 20_000; round++) {
    const glob = text("ab.*?", Math.floor(random() * 8));
    const name = text("ab.", Math.floor(random() * 10));
    const pattern = glob.replaceAll(".", "\\.").replaceAll("*", ".*").replaceAll("?", ".");
    assertEquals(parseGlob(glob)(name), new RegExp(`^${pattern}$`).test(name), `${glob} ${name}`);
  }
});

Deno.test("parseGlob takes no name that makes it slow", () => {
  // As a regular expression this takes some 10^19 steps.
  assertEquals(parseGlob("*a".repeat(8) + "b")("a".repeat(1024)), false);
});

Deno.test("createMessageFilter lets pass what is named, and never a message of the program's own", () => {
  const passes = (formatter: string, messagePrefixes: string[]) => {
    const filter = createMessageFilter({ formatter, messagePrefixes, routes: [] });
    return ["app", "app.a\nb", "pg2kinesis", "pg2kinesis.heartbeat", "pg2kinesis.backfill", ""]
      .filter(filter);
  };
  assertEquals(passes("JSON", []), []);
  assertEquals(passes("JSON", ["app.*"]), ["app.a\nb"]);
  assertEquals(passes("./my.js", ["app", "app?*"]), ["app", "app.a\nb"]);
  assertEquals(passes("JSON", ["*", "pg2kinesis.*"]), ["app", "app.a\nb", "pg2kinesis", ""]);
  assertEquals(passes("CSV", ["*"]), []);
  assertEquals(passes("CSVPayload", ["*"]), []);
});

Deno.test("a choice of tables that matches none is an error at start", async () => {
  const cases: Partial<FormatOptions>[] = [
    { tablePattern: /nothing/u },
    { includeTables: ["public.orders", "publik.*"] },
    { tablePattern: /public/u, includeTables: ["audit.*"] },
    { excludeTables: ["*"] },
  ];
  const errors = [];
  for (const options of cases) {
    errors.push((await assertRejects(() => make(options), RunError)).message);
  }
  assertEquals(errors, [
    "--table-pat nothing matches none of the database's 3 tables (such as public.orders, " +
    "public.order_items, audit.log); it is compared with schema.table",
    "--include-table publik.* matches none of the database's 3 tables (such as public.orders, " +
    "public.order_items, audit.log); it is compared with schema.table",
    "--table-pat, --include-table and --exclude-table together leave none of the database's 3 " +
    "tables; a table is published when all three allow it",
    "--table-pat, --include-table and --exclude-table together leave none of the database's 3 " +
    "tables; a table is published when all three allow it",
  ]);
});

Deno.test("--operations leaves out the others, but no logical messages, which are none", async () => {
  const formatter = await make({
    formatter: "JSON",
    operations: new Set(["insert", "truncate"]),
  });
  const newRow: ColumnSpec[] = [["id", "integer", "1"]];
  const table = "public.orders";
  const count = [
    row("insert", { table, newRow }),
    row("update", { table, newRow }),
    row("delete", { table, oldRow: newRow }),
    truncate([table]),
    message("x"),
  ].map((change) => format(formatter, change).length);
  assertEquals(count, [1, 0, 0, 1, 1]);
});

Deno.test("a TRUNCATE of several tables keeps the others' seq when one is left out", async () => {
  const formatter = await make({ excludeTables: ["public.orders"] });
  const records = format(
    formatter,
    truncate(["public.order_items", "public.orders", "audit.log"], 2),
  );
  assertEquals(
    records.map(({ data, route }) => [JSON.parse(data).table, JSON.parse(data).seq, route]),
    [["order_items", 2, "every shard"], ["log", 4, "every shard"]],
  );
});

const ROW: ColumnSpec[] = [
  ["id", "integer", "1"],
  ["card", "bigint", "4111111111111111"],
  ["mail", "text", "a@b.example"],
  ["phone", "text", null],
];
const RULES = {
  excludeColumns: ["public.orders.card"],
  maskColumns: ["public.orders.mail", "public.orders.phone"],
  maskSalt: "pepper",
};
const HASH = createHash("sha256").update("peppera@b.example").digest("hex");

Deno.test("--exclude-column and --mask-column, in new and old rows", async () => {
  const catalog = new MadeUpCatalog({ "public.orders": { replicaIdentity: "f" } });
  const formatter = await make(RULES, catalog);
  const change = row("update", { table: "public.orders", newRow: ROW, oldRow: ROW });
  const { before, after } = JSON.parse(format(formatter, change)[0]!.data);
  const shown = { id: 1, mail: HASH, phone: null };
  assertEquals([before, after], [shown, shown]);
});

Deno.test("--mask-column holds for values that JSON takes from the other row", async () => {
  const catalog = new MadeUpCatalog({ "public.orders": { replicaIdentity: "f" } });
  const options = { ...OPTIONS, formatter: "JSON", ...RULES };
  const change = row("update", {
    table: "public.orders",
    keyNames: ["id"],
    newRow: ROW.slice(0, 3),
    oldRow: ROW,
  });
  const formatter = await createFormatter(options, "wal2json", catalog);
  const { before, after } = JSON.parse(format(formatter, change)[0]!.data);
  const shown = { id: 1, mail: HASH, phone: null };
  assertEquals([before, after], [shown, shown]);

  const unchanged = row("update", {
    table: "public.orders",
    newRow: [ROW[0]!, ROW[1]!, ["mail", "text", UNCHANGED], ROW[3]!],
    oldRow: ROW,
  });
  const fromTestDecoding = await createFormatter(options, "test_decoding", catalog);
  assertEquals(JSON.parse(format(fromTestDecoding, unchanged)[0]!.data).after, shown);
});

Deno.test("--mask-column with --full-change: a string of type text, whatever the column was", async () => {
  const options = { formatter: "CSVPayload", fullChange: true, maskSalt: "s" };
  const formatter = await make({ ...options, maskColumns: ["public.orders.card"] });
  const change = row("insert", { table: "public.orders", newRow: ROW });
  const { columntypes, columnvalues } =
    JSON.parse(format(formatter, change)[0]!.data.slice(6)).change;
  assertEquals([columntypes[1], columnvalues[1]], [
    "text",
    createHash("sha256").update("s4111111111111111").digest("hex"),
  ]);
});

Deno.test("column rules leave other tables and messages alone", async () => {
  const formatter = await make(RULES);
  const change = row("insert", { table: "audit.log", newRow: ROW });
  assertEquals(Object.keys(JSON.parse(format(formatter, change)[0]!.data).after), [
    "id",
    "card",
    "mail",
    "phone",
  ]);
  assertEquals(format(formatter, message("x")).length, 1);
});

Deno.test("column rules of a partitioned table reach its partitions, also one not seen before", async () => {
  const catalog = new MadeUpCatalog({
    ...TABLES,
    "public.orders_a": { parents: ["public.orders"] },
    "public.orders_a1": { parents: ["public.orders_a"] },
  });
  const formatter = await make(RULES, catalog);
  const after = (table: string) =>
    JSON.parse(format(formatter, row("insert", { table, newRow: ROW }))[0]!.data).after;
  assertEquals(after("public.orders_a1"), { id: 1, mail: HASH, phone: null });
  const later = row("insert", { table: "public.orders_b", keyNames: ["id"], newRow: ROW });
  assertEquals(tryFormat(formatter, later).problem?.kind, "unknown-table");
  catalog.set("public.orders_b", { parents: ["public.orders"] });
  await catalog.refresh();
  assertEquals(after("public.orders_b"), { id: 1, mail: HASH, phone: null });
});

Deno.test("a rule on a primary key is an error at start, and at the change if it became one later", async () => {
  for (const rule of ["exclude", "mask"]) {
    const options = { [`${rule}Columns`]: ["public.orders.id"], maskSalt: "s" };
    const error = await assertRejects(() => make(options), RunError);
    assertEquals(
      error.message,
      `--${rule}-column public.orders.id is part of the table's primary key (id), which names the ` +
        "row; publish the table without this option, or leave the table out with --exclude-table " +
        "public.orders",
    );
  }
  const catalog = new MadeUpCatalog({ ...TABLES });
  const formatter = await make(RULES, catalog);
  const change = row("insert", { table: "public.orders", newRow: ROW });
  assertEquals(format(formatter, change).length, 1);
  catalog.set("public.orders", { keys: [["mail"], ["id"]] });
  await catalog.refresh();
  assertThrows(
    () => tryFormat(formatter, change),
    RunError,
    "--mask-column public.orders.mail is part",
  );
});

Deno.test("a rule that names no table, or no column of its table, is an error, not a leak", async () => {
  const error = await assertRejects(
    () => make({ excludeColumns: ["public.ordres.card"] }),
    RunError,
  );
  assertEquals(
    error.message,
    "--exclude-column public.ordres.card names a column of no table of the database; write " +
      "schema.table.column",
  );
  for (const kind of ["insert", "update"] as const) {
    const formatter = await make({ excludeColumns: ["public.orders.crad"] });
    const change = row(kind, { table: "public.orders", newRow: ROW });
    const error = assertThrows(() => tryFormat(formatter, change), RunError);
    assertEquals(
      error.message,
      "--exclude-column public.orders.crad: the table has no such column; its columns are id, " +
        "card, mail, phone; did you mean card?",
    );
  }
});

/** Column rules where it is known which columns the tables have. */
function makeKnowing(
  options: Partial<FormatOptions>,
  columns: Readonly<Record<string, readonly string[]>>,
  mayHaveHadOthers = false,
  plugin: OutputPlugin = "test_decoding",
) {
  const catalog = new MadeUpCatalog({ ...TABLES, "public.orders.old": {} });
  const all = { ...OPTIONS, formatter: "JSON", maskSalt: "pepper", ...options };
  const known = ruledTables(all, catalog).filter((name) => name in columns)
    .map((name) => [name, { names: columns[name]!, mayHaveHadOthers }] as const);
  const filter = new ColumnFilter(all, new Map(known));
  return {
    formatter: createFormatter(all, plugin, catalog, filter),
    doubts: filter.doubts(catalog),
  };
}

Deno.test("a rule whose column the table has not is an error at start, or told where it may be gone", async () => {
  const wide = Array.from({ length: 100 }, (_, i) => `c${i}`);
  const maskColumns = ["public.orders.crad"];
  const slip = "--mask-column public.orders.crad: the table has no such column; its columns are ";

  const well = makeKnowing({ maskColumns }, { "public.orders": ["id", "crad"] });
  await well.formatter;
  assertEquals(well.doubts, []);
  const error = await assertRejects(
    () => makeKnowing({ maskColumns }, { "public.orders": [...wide, "card"] }).formatter,
    RunError,
  );
  assertEquals(
    error.message,
    `${slip}c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 91 more; did you mean card?`,
  );
  const gone = makeKnowing({ maskColumns }, { "public.orders": ["id"] }, true);
  await gone.formatter;
  assertEquals(gone.doubts, [
    `${slip}id; the slot may have changes from before the table was altered, so its first row decides`,
  ]);
  // Dropped since the catalog was read.
  await makeKnowing({ maskColumns }, {}).formatter;
});

Deno.test("a rule may be about either of two tables where names hold dots", async () => {
  // `old.note` of orders, or `note` of `orders.old`.
  const excludeColumns = ["public.orders.old.note"];
  const columns = { "public.orders": ["id"], "public.orders.old": ["id", "note"] };
  await makeKnowing({ excludeColumns }, columns).formatter;
  await assertRejects(
    () => makeKnowing({ excludeColumns }, { ...columns, "public.orders.old": ["id"] }).formatter,
    RunError,
    "public.orders.old.note: ",
  );
});

Deno.test("changes from before a column was added or renamed pass when nothing shows by that", async () => {
  const insert = (newRow: ColumnSpec[]) => row("insert", { table: "public.orders", newRow });
  const columns = (...names: string[]) => ({ "public.orders": names });
  const [id, card, mail] = ROW as [ColumnSpec, ColumnSpec, ColumnSpec, ColumnSpec];
  const no: ColumnSpec = ["card_no", card[1], card[2]];
  const passes = async (known: string[], excluded: string[], ...rows: ColumnSpec[][]) => {
    const excludeColumns = excluded.map((name) => `public.orders.${name}`);
    const formatter = await makeKnowing({ excludeColumns }, columns(...known), true).formatter;
    for (const each of rows) {
      const records = format(formatter, insert(each)).map(({ data }) => data);
      assertEquals(records.map((data) => data.includes("4111")), [false]);
    }
  };
  // Added, while the slot had changes without it.
  await passes(["id", "mail", "card"], ["card"], [id, mail], [id, mail, card]);
  await assertRejects(() => passes(["id", "card"], ["card"], [id, mail]), RunError, "no such");
  // Renamed: each of the names alone stops at the other; both let all of it pass.
  const names = ["id", "card_no", "mail"];
  const before = [id, card, mail], after = [id, no, mail];
  await assertRejects(() => passes(names, ["card_no"], before), RunError, "no such column");
  await assertRejects(() => passes(names, ["card"], before, after), RunError, "any more");
  await passes(names, ["card", "card_no"], before, after, after);
});

Deno.test("a column that was there and is dropped is no error", async () => {
  const formatter = await make(RULES);
  const insert = (newRow: ColumnSpec[]) => row("insert", { table: "public.orders", newRow });
  assertEquals(format(formatter, insert(ROW)).length, 1);
  assertEquals(format(formatter, insert(ROW.slice(0, 1))).length, 1);
});

Deno.test("a column that was added during the run is no new name of one that is dropped later", async () => {
  const formatter = await make(RULES);
  const insert = (newRow: ColumnSpec[]) => row("insert", { table: "public.orders", newRow });
  const added: ColumnSpec = ["added", "text", "x"];
  for (const newRow of [ROW, [...ROW, added], [...ROW.slice(0, 1), added]]) {
    assertEquals(format(formatter, insert(newRow)).length, 1);
  }
});

Deno.test("an old row does not give a renamed column away", async () => {
  const old = (kind: "update" | "delete", oldRow: ColumnSpec[]) =>
    row(kind, {
      ...{ table: "public.orders", keyNames: ["id"], oldRow },
      newRow: kind === "update" ? ROW.slice(0, 1) : undefined,
    });
  const [id, card, mail] = ROW as [ColumnSpec, ColumnSpec, ColumnSpec, ColumnSpec];
  const renamed: ColumnSpec = ["card_no", card[1], card[2]];
  const rule = { excludeColumns: ["public.orders.card"] };
  const columns = { "public.orders": ["id", "card", "mail"] };
  for (const kind of ["update", "delete"] as const) {
    const { formatter } = makeKnowing(rule, columns, false, "wal2json");
    // A key alone, and a NULL that was not sent, say nothing.
    for (const row of [[id], [id, mail], [id, card]]) {
      assertEquals(format(await formatter, old(kind, row)).length, 1);
    }
    const change = old(kind, [id, renamed, mail]);
    const says = "the table has no such column; its columns are id, card_no, mail";
    await assertRejects(async () => tryFormat(await formatter, change), RunError, says);
    format(await formatter, row("insert", { table: "public.orders", newRow: [id, card, mail] }));
    await assertRejects(async () => tryFormat(await formatter, change), RunError, "has card_no");
  }
  const { formatter } = makeKnowing({ excludeColumns: ["public.orders.card_no"] }, columns, true);
  const before = old("delete", [id, card, mail]);
  await assertRejects(async () => tryFormat(await formatter, before), RunError, "no such column");
});

Deno.test("a column that may have been renamed is not published under its new name", async () => {
  const renamed: ColumnSpec[] = ROW.map(([name, type, value]) =>
    name === "card" ? ["card_no", type, value] : [name, type, value]
  );
  for (const kind of ["insert", "update"] as const) {
    const formatter = await make(RULES);
    const change = (newRow: ColumnSpec[]) => row(kind, { table: "public.orders", newRow });
    assertEquals(format(formatter, change(ROW)).length, 1);
    assertEquals(format(formatter, change(ROW)).length, 1);
    const error = assertThrows(() => tryFormat(formatter, change(renamed)), RunError);
    assertEquals(
      error.message,
      "--exclude-column public.orders.card: the table has no such column any more, and has " +
        "card_no, which it had not; if the column was renamed, start again with its new name, if " +
        "it was dropped, without the option",
    );
  }
});

Deno.test("an update of wal2json without a column says nothing of the table", async () => {
  const catalog = new MadeUpCatalog(TABLES);
  const formatter = await createFormatter(
    { ...OPTIONS, formatter: "JSON", ...RULES },
    "wal2json",
    catalog,
  );
  const update = (newRow: ColumnSpec[]) =>
    row("update", { table: "public.orders", keyNames: ["id"], newRow });
  // The card's value is in TOAST, and unchanged.
  const without = [ROW[0]!, ...ROW.slice(2), ["added", "text", "x"] as const];
  for (const newRow of [without, ROW, without]) {
    assertEquals(format(formatter, update(newRow)).length, 1);
  }
});
