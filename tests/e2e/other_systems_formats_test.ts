import { assertEquals, assertStringIncludes } from "@std/assert";
import { startKinesalite } from "../support/kinesalite.ts";
import type { StoredRecord } from "../support/read_back.ts";
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
