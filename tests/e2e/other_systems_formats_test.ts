import { assertEquals, assertStringIncludes } from "@std/assert";
import { startKinesalite } from "../support/kinesalite.ts";
import {
  firstCopies,
  flagsFor,
  follow,
  freshStreamName,
  waitUntilConfirmed,
} from "../support/following_program.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack, type StoredRecord } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { followWithAll, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

const TABLES = `
  create domain price as numeric(10,2);
  create table orders (id bigint primary key, total price, note text, secret text);
  create table keyless (n int);
  create publication published for all tables;
`;
/** The domain of the second table is made while the run goes on. */
const WORK = [
  "insert into orders values (17, 129.95, null, 'hidden value'), (18, 1, '', 'hidden value')",
  "update orders set id = 19, total = 2.50 where id = 17",
  `create domain weight as double precision; create table parcels (id int primary key, w weight);
   insert into parcels values (1, 2)`,
  "delete from orders where id = 19",
  "insert into keyless values (1)",
  "select pg_logical_emit_message(true, 'audit', 'hello')",
  "truncate orders",
  "alter table parcels add note text",
  "insert into parcels values (2, 3, 'n')",
] as const;

const MASK = { PG2KINESIS_MASK_SALT: "salt" };

function parse({ partitionKey, text }: StoredRecord): [string, Row | null] {
  return [partitionKey, text === "" ? null : JSON.parse(text)];
}

Deno.test("-f debezium through the program: every kind of change, domains and transactions, from all plugins", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  const flags = ["-f", "debezium", "--debezium-name", "app", "--debezium-decimals", "string"];
  flags.push("--debezium-tombstones", "--transaction-records", "--message-prefix", "audit");
  flags.push("--exclude-column", "public.orders.secret");
  const stored = await followWithAll({ plugins, db, kinesis, flags }, async (catchUp) => {
    for (const sql of WORK) {
      // The plugins know a table as it was, pg_catalog as it is.
      if (sql.startsWith("alter")) await catchUp();
      await db.sql(sql);
    }
  });
  for (const [plugin, records] of stored) {
    const all = records.map(parse);
    const xids = new Set<string>();
    const told = all.map(([key, value]) => {
      if (value === null) return [key, "tombstone"];
      if (value.status !== undefined) {
        xids.add(value.id);
        return [value.status, value.event_count];
      }
      const { op, before, after, source, transaction, message } = value;
      assertEquals([source.name, source.db, source.txId], [
        "app",
        db.database,
        Number(transaction.id.split(":")[0]),
      ]);
      const order = `${transaction.total_order}.${transaction.data_collection_order}`;
      if (op === "m") return [key, op, message, order];
      return [key, op, before, after, order];
    });
    const others = plugin === "pgoutput" ? { total: null, note: null } : {};
    assertEquals(told, [
      ["BEGIN", null],
      ['{"id":17}', "c", null, { id: 17, total: "129.95", note: null }, "1.1"],
      ['{"id":18}', "c", null, { id: 18, total: "1.00", note: "" }, "2.2"],
      ["END", 2],
      ["BEGIN", null],
      ['{"id":17}', "d", { id: 17, ...others }, null, "1.1"],
      ['{"id":17}', "tombstone"],
      ['{"id":19}', "c", null, { id: 19, total: "2.50", note: null }, "2.2"],
      ["END", 2],
      ["BEGIN", null],
      ['{"id":1}', "c", null, { id: 1, w: 2.0 }, "1.1"],
      ["END", 1],
      ["BEGIN", null],
      ['{"id":19}', "d", { id: 19, ...others }, null, "1.1"],
      ['{"id":19}', "tombstone"],
      ["END", 1],
      ["BEGIN", null],
      ["public.keyless", "c", null, { n: 1 }, "1.1"],
      ["END", 1],
      ["BEGIN", null],
      ['{"prefix":"audit"}', "m", { prefix: "audit", content: "aGVsbG8=" }, "1.1"],
      ["END", 1],
      ["BEGIN", null],
      ["public.orders", "t", null, null, "1.1"],
      ["END", 1],
      ["BEGIN", null],
      ['{"id":2}', "c", null, { id: 2, w: 3.0, note: "n" }, "1.1"],
      ["END", 1],
    ], plugin);
    assertEquals(xids.size, 8, "one id for all records of a transaction");
    for (const { text } of records) assertEquals(/hidden value|secret/.test(text), false, text);
    // The domain is a float, the base types' text shows it.
    assertStringIncludes(records.map(({ text }) => text).join("\n"), '"w":2.0');
  }
});

Deno.test("-f dms through the program: data and control records, from all plugins", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  const settings = "IncludeNullAndEmpty,IncludeTransactionDetails,BeforeImage=pk-only";
  const flags = ["-f", "dms", "--dms", settings, "--mask-column", "public.orders.secret"];
  const stored = await followWithAll(
    { plugins, db, kinesis, flags, env: MASK },
    async (catchUp) => {
      for (const sql of WORK) {
        if (sql.startsWith("alter")) await catchUp();
        await db.sql(sql);
      }
    },
  );
  for (const [plugin, records] of stored) {
    const told = records.map(parse).map(([key, value]) => {
      const { data, control, metadata, "before-image": image } = value!;
      const { operation } = metadata;
      if (control !== undefined) {
        const { columns } = control["table-def"];
        return [
          key.split(".").slice(1).join("."),
          operation,
          Object.entries<Row>(columns).map(([name, { type }]) => `${name} ${type}`).join(),
        ];
      }
      if (data.secret) data.secret = "masked";
      return [key, operation, data, image, metadata["transaction-record-id"]];
    });
    const others = plugin === "pgoutput" ? { total: null, note: null, secret: null } : {};
    assertEquals(told, [
      ["public.orders", "create-table", "id INT64,total NUMERIC,note NCLOB,secret NCLOB"],
      [
        "public.orders.17",
        "insert",
        { id: 17, total: 129.95, note: null, secret: "masked" },
        undefined,
        1,
      ],
      [
        "public.orders.18",
        "insert",
        { id: 18, total: 1, note: "", secret: "masked" },
        undefined,
        2,
      ],
      ["public.orders.17", "delete", { id: 17, ...others }, { id: 17 }, 1],
      [
        "public.orders.19",
        "insert",
        { id: 19, total: 2.5, note: null, secret: "masked" },
        undefined,
        2,
      ],
      ["public.parcels", "create-table", "id INT32,w DOUBLE"],
      ["public.parcels.1", "insert", { id: 1, w: 2 }, undefined, 1],
      ["public.orders.19", "delete", { id: 19, ...others }, { id: 19 }, 1],
      ["public.keyless", "create-table", "n INT32"],
      ["public.keyless", "insert", { n: 1 }, undefined, 1],
      ["public.parcels", "add-column", "id INT32,w DOUBLE,note NCLOB"],
      ["public.parcels.2", "insert", { id: 2, w: 3, note: "n" }, undefined, 1],
    ], plugin);
    for (const { text } of records) assertEquals(/hidden value/.test(text), false, text);
  }
});

/** Of as many characters as freshStreamName gives: see there. */
const [ORDERS, PARCELS, MESSAGES] = ["app.s.order", "app.s.parce", "app-message"] as const;

/** Each as a name of what it is, in the order of its stream, of a program with this format. */
async function routed(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create schema s;
    create table s.order (id int primary key, note text, secret text, card text);
    create table s.parce (id int primary key, note text);
    create table scratch (id int primary key);
    create publication ${db.slot} for all tables`);
  await db.createSlot("pgoutput");
  const rest = freshStreamName();
  for (const [stream, shards] of [[rest, 1], [ORDERS, 2], [PARCELS, 1], [MESSAGES, 1]] as const) {
    await kinesis.createStream(stream, shards);
  }
  const all = [
    ...["--pg-slot-output-plugin", "pgoutput", "--route", "s.*=app.{schema}.{table}"],
    ...["--route", "*.scratch=-", "--route", `message:*=${MESSAGES}`, "--message-prefix", "m"],
    ...["--exclude-column", "s.order.secret", "--mask-column", "s.order.card"],
    ...["--operations", "insert", "--operations", "delete", "--on-oversize", "key-only", ...flags],
  ];
  const work = async (from: number) => {
    await db.sql(`begin;
      insert into s.order values (${from}, 'n', 'hidden value', '4711'), (${
      from + 1
    }, 'n', 'hidden value', '4711');
      insert into s.parce values (${from}, repeat('x', 1200000));
      update s.order set note = 'never' where id = ${from};
      insert into scratch values (${from});
      select pg_logical_emit_message(true, 'm', 'hello'), pg_logical_emit_message(true, 'other', 'no');
      delete from s.order where id = ${from};
      commit`);
  };
  await using program = await Pg2kinesis.start([...flagsFor(db, rest), ...all], {
    env: { ...kinesis.env, ...MASK, ...env },
  });
  await program.waitForLog(/following slot/, 60_000);
  await work(1);
  await waitUntilConfirmed(db, program);
  // What is read again after a kill is the same once more, or nothing.
  await program.kill9();
  await work(3);
  await using again = await follow(
    db,
    { ...kinesis, env: { ...kinesis.env, ...MASK, ...env } },
    rest,
    all,
  );
  await waitUntilConfirmed(db, again);
  assertEquals(await again.stop(), 0, again.stderr);
  const read = async (stream: string) => {
    const { records } = await readBack(kinesis.client, stream);
    for (const { text } of records) {
      assertEquals(/hidden value|secret|4711|never/.test(text), false, text);
    }
    return firstCopies(records).map(parse);
  };
  return {
    rest: await read(rest),
    orders: await read(ORDERS),
    parcels: await read(PARCELS),
    messages: await read(MESSAGES),
  };
}

Deno.test("-f debezium by routes, with filters, masks, operations and an oversize record: each in its stream, the transactions in theirs", async () => {
  const { rest, orders, parcels, messages } = await routed(
    ["-f", "debezium", "--debezium-name", "app", "--transaction-records"],
  );
  assertEquals(rest.map(([, value]) => [value!.status, value!.event_count]), [
    ["BEGIN", null],
    ["END", 5],
    ["BEGIN", null],
    ["END", 5],
  ]);
  const ids = rest.map(([, value]) => value!.id);
  const tables = rest[1]![1]!.data_collections.map((each: Row) => Object.values(each).join(" "));
  assertEquals(tables.toSorted(), ["LOGICAL_DECODING_MESSAGE 1", "s.order 3", "s.parce 1"]);
  const told = (records: typeof rest) =>
    records.map(([key, value]) => {
      const { op, before, after, message, oversize, transaction } = value!;
      assertEquals(ids.includes(transaction.id), true, transaction.id);
      return [key, op, before ?? after ?? message, ...oversize ? ["oversize"] : []];
    });
  // Two shards: what is in order is each key.
  const card = orders[0]![1]!.after.card;
  const row = (id: number) => ({ id, note: "n", card });
  const byKey = Map.groupBy(told(orders), ([key]) => key as string);
  const ofKeys = [1, 2, 3, 4].map((id) => byKey.get(`{"id":${id}}`)!.map(([, ...what]) => what));
  const deleted = (id: number) => ["d", { id, note: null, card: null }];
  assertEquals(ofKeys, [
    [["c", row(1)], deleted(1)],
    [["c", row(2)]],
    [["c", row(3)], deleted(3)],
    [["c", row(4)]],
  ]);
  assertEquals(told(parcels), [1, 3].map((id) => [`{"id":${id}}`, "c", { id }, "oversize"]));
  assertEquals(
    told(messages),
    [1, 3].map(() => ['{"prefix":"m"}', "m", { prefix: "m", content: "aGVsbG8=" }]),
  );
});

Deno.test("-f dms by routes, with filters, masks, operations and an oversize record: each in its stream", async () => {
  const { rest, orders, parcels, messages } = await routed(["-f", "dms"]);
  assertEquals([rest, messages], [[], []]);
  const told = (records: typeof rest) =>
    records.map(([, value]) => {
      const { data, metadata } = value!;
      if (data?.card) data.card = "masked";
      return [metadata.operation, ...data ? [data] : []];
    });
  const row = (id: number) => ({ id, note: "n", card: "masked" });
  const ofOrders = told(orders).map((each) => JSON.stringify(each));
  for (
    const expected of [
      ...[1, 2, 3, 4].map((id) => ["insert", row(id)]),
      ...[1, 3].map((id) => ["delete", { id }]),
    ]
  ) assertStringIncludes(ofOrders.join("\n"), JSON.stringify(expected));
  assertEquals(told(parcels).map(([operation]) => operation), [
    ...["create-table", "insert", "create-table", "insert"],
  ]);
  assertEquals(parcels[1]![1]!.metadata.oversize, true);
});
