import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseLsn } from "../../src/base/lsn.ts";
import type { OutputPlugin } from "../../src/options.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import type { StoredRecord } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { followWithAll, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

const TABLES = `
  create table orders (id bigint primary key, note text, price numeric(10,2), paid boolean,
    ratio float8, doc jsonb, raw bytea, at timestamptz, tags text[]);
  alter table orders alter note set storage external;
  create table places (city text, no int, name text, primary key (no, city));
  create table history (id int primary key, body text, n int);
  alter table history alter body set storage external;
  alter table history replica identity full;
  create table keyless (n int);
  create publication published;
  alter publication published add table orders, places, history;
`;

const BIG = "'0123456789'";
/** Each SQL text is a transaction, with what is published: partition key, then the fields. */
const WORK: readonly (readonly [sql: string, ...records: readonly (readonly [string, Row])[]])[] = [
  [
    `insert into orders values (9007199254740993, 'é "q"', 1.50, true, 'NaN', '{"a": [1, 2.50]}',
       '\\x00ff', '2026-11-22 08:01:02.123456+00', '{a,"b c"}')`,
    ["public.orders:9007199254740993", {
      op: "insert",
      seq: "0",
      table: "orders",
      key: { id: "9007199254740993" },
      after: {
        id: "9007199254740993",
        note: 'é "q"',
        price: "1.50",
        paid: true,
        ratio: "NaN",
        doc: { a: ["1", "2.50"] },
        raw: "\\x00ff",
        at: "2026-11-22 08:01:02.123456+00",
        tags: '{a,"b c"}',
      },
    }],
  ],
  [
    `insert into orders (id, note) values (1, repeat(${BIG}, 300)), (2, null);
     update orders set paid = false where id = 1; delete from orders where id = 2`,
    ["public.orders:1", {
      op: "insert",
      seq: "0",
      table: "orders",
      key: { id: "1" },
      after: { ...order("1"), note: "0123456789".repeat(300) },
    }],
    ["public.orders:2", {
      op: "insert",
      seq: "1",
      table: "orders",
      key: { id: "2" },
      after: order("2"),
    }],
    ["public.orders:1", {
      op: "update",
      seq: "2",
      table: "orders",
      key: { id: "1" },
      after: { ...without(order("1"), "note"), paid: false },
      unchanged: ["note"],
    }],
    ["public.orders:2", {
      op: "delete",
      seq: "3",
      table: "orders",
      key: { id: "2" },
      before: { id: "2" },
    }],
  ],
  [
    "insert into places values ('a b', 7, 'x')",
    ['public.places:["7","a b"]', {
      op: "insert",
      seq: "0",
      table: "places",
      key: { no: "7", city: "a b" },
      after: { city: "a b", no: "7", name: "x" },
    }],
  ],
  [
    "update places set no = 8",
    ['public.places:["7","a b"]', {
      op: "delete",
      seq: "0",
      table: "places",
      key: { no: "7", city: "a b" },
      moved_to: { no: "8", city: "a b" },
      before: { city: "a b", no: "7" },
    }],
    ['public.places:["8","a b"]', {
      op: "insert",
      seq: "0",
      table: "places",
      key: { no: "8", city: "a b" },
      moved_from: { no: "7", city: "a b" },
      after: { city: "a b", no: "8", name: "x" },
    }],
  ],
  [
    `insert into history values (1, repeat(${BIG}, 300), 1); update history set n = 2`,
    ["public.history:1", {
      op: "insert",
      seq: "0",
      table: "history",
      key: { id: "1" },
      after: { id: "1", body: "0123456789".repeat(300), n: "1" },
    }],
    ["public.history:1", {
      op: "update",
      seq: "1",
      table: "history",
      key: { id: "1" },
      before: { id: "1", body: "0123456789".repeat(300), n: "1" },
      after: { id: "1", body: "0123456789".repeat(300), n: "2" },
      unchanged: ["body"],
    }],
  ],
  [
    "truncate history, places",
    ["public.history", { op: "truncate", seq: "0", table: "history" }],
    ["public.places", { op: "truncate", seq: "1", table: "places" }],
  ],
  [
    "select pg_logical_emit_message(true, 'audit', 'ü')",
    ["message:audit", { op: "message", seq: "0", prefix: "audit", content: "ü" }],
  ],
];

function order(id: string): Row {
  const nulls = ["price", "paid", "ratio", "doc", "raw", "at", "tags"];
  return { id, note: null, ...Object.fromEntries(nulls.map((name) => [name, null])) };
}

function without(row: Row, ...names: string[]): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));
}

/** Parses with numbers as their text: a parser would round them. */
function parse(record: StoredRecord): Row {
  const exact = record.text.replace(
    /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => token.startsWith('"') ? token : `"${token}"`,
  );
  return JSON.parse(exact);
}

/** What a plugin does not tell of a record, as docs/formats.md says. */
function asTold(plugin: OutputPlugin, record: Row): Row {
  if (plugin !== "wal2json" || record.table !== "orders") return record;
  const told = structuredClone(record);
  // Without an old row it does not say which columns it left out, and NaN is null.
  delete told.unchanged;
  if (told.after?.ratio === "NaN") told.after.ratio = null;
  return told;
}

Deno.test("JSON through the program: the fields of every kind of change, from all plugins", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  const began = Date.now();
  const stored = await followWithAll(
    { plugins, db, kinesis, flags: ["-f", "JSON", "--message-prefix", "audit"] },
    async () => {
      for (const [sql] of WORK) await db.sql(sql);
    },
  );
  const expected = WORK.flatMap(([, ...records]) => records);
  for (const [plugin, records] of stored) {
    const seen = records.map((record) => [
      record.partitionKey,
      without(parse(record), "v", "xid", "lsn", "timeline", "commit_lsn", "ts", "schema"),
    ]);
    assertEquals(seen, expected.map(([key, record]) => [key, asTold(plugin, record)]), plugin);

    let last = 0n, transaction = -1;
    const commits = WORK.flatMap(([, ...records], i) => records.map(() => i));
    records.map(parse).forEach((record, i) => {
      const { v, xid, lsn, timeline, commit_lsn, ts, schema, op } = record;
      assertEquals([v, schema], ["1", op === "message" ? undefined : "public"]);
      assertEquals(timeline, "1");
      assertMatch(xid, /^\d+$/);
      if (plugin === "test_decoding") {
        assertEquals([commit_lsn, ts], [undefined, undefined]);
        return;
      }
      const commitLsn = parseLsn(commit_lsn);
      assert(parseLsn(lsn) <= commitLsn, "a change is before its commit");
      if (commits[i] === transaction) assertEquals(commitLsn, last);
      else assert(commitLsn > last, "commits grow");
      [last, transaction] = [commitLsn, commits[i]!];
      assertMatch(ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      assert(Date.parse(ts) >= began - 1000 && Date.parse(ts) <= Date.now() + 1000, ts);
    });
  }
  // The same change has the same name, whoever tells it.
  const names = (plugin: OutputPlugin, ...fields: string[]) =>
    stored.get(plugin)?.map((record) => fields.map((field) => parse(record)[field]));
  assertEquals(names("test_decoding", "xid", "seq"), names("pgoutput", "xid", "seq"));
  if (stored.has("wal2json")) {
    const fields = ["xid", "seq", "commit_lsn", "ts", "schema"];
    assertEquals(names("wal2json", ...fields), names("pgoutput", ...fields));
  }
});
