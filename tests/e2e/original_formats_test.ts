import { assertEquals } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import {
  originalCsv,
  originalFromTestDecoding,
  originalFromWal2json,
} from "../support/original.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  flagsFor,
  follow,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const KEYS = { "public.orders": "id", "shop.items": "sku" };

const STATEMENTS = `
  insert into orders select n, 'order ' || n from generate_series(1, 30) n;
  begin;
  update orders set note = 'it''s paid' where id <= 3;
  insert into shop.items values ('9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d', 12.50);
  update shop.items set price = 99999999999999999999.123456789;
  commit;
  update orders set id = 1000 where id = 7;
`;

/** The original cannot tell deletes by wal2json, which has no column values for them. */
const DELETE = "delete from orders where id = 9;";

async function prepare(db: Awaited<ReturnType<typeof freshDatabase>>, plugin: string) {
  await db.sql(`
    create table orders (id int primary key, note text);
    create schema shop;
    create table shop.items (sku uuid primary key, price numeric);`);
  await db.createSlot(plugin);
  const oracle = `${db.slot}_oracle`;
  await db.sql("select pg_create_logical_replication_slot($1, $2)", [oracle, plugin]);
  return oracle;
}

const noWal2json = !hasWal2json();
if (noWal2json) console.warn(NO_DEBIAN_POSTGRES);
for (
  const [label, start, ignore] of [
    ["embedded PostgreSQL 18", startEmbeddedPostgres, false],
    ["Debian's PostgreSQL 15", startDebianPostgres, noWal2json],
  ] as const
) {
  Deno.test(`pg2kinesis publishes what the original did from test_decoding, ${label}`, {
    ignore,
  }, async () => {
    await using server = await start();
    await using kinesis = await startKinesalite();
    for (const formatter of ["CSV", "CSVPayload"]) {
      await using db = await freshDatabase(server);
      const oracle = await prepare(db, "test_decoding");
      const stream = freshStreamName();
      await kinesis.createStream(stream, 1);
      await using program = await follow(db, kinesis, stream, ["-f", formatter]);
      await db.sql(STATEMENTS + DELETE);
      await waitUntilConfirmed(db, program);
      const messages = await db.sql(
        "select data from pg_logical_slot_get_changes($1, null, null)",
        [oracle],
      );
      const expected = originalFromTestDecoding(messages, KEYS);
      const stored = await storedTexts(kinesis, stream);
      if (formatter === "CSV") assertEquals(stored, expected.map(originalCsv));
      else assertEquals(stored.map(payload), expected);
      assertEquals(await program.stop(), 0, program.stderr);
    }
  });
}

Deno.test("pg2kinesis publishes what the original did from wal2json", {
  ignore: noWal2json,
}, async () => {
  await using server = await startDebianPostgres();
  await using kinesis = await startKinesalite();
  for (const flags of [["-f", "CSV"], [], ["--full-change"]]) {
    await using db = await freshDatabase(server);
    const oracle = await prepare(db, "wal2json");
    const stream = freshStreamName();
    await kinesis.createStream(stream, 1);
    await using program = await follow(db, kinesis, stream, [
      ...["--pg-slot-output-plugin", "wal2json"],
      ...flags,
    ]);
    await db.sql(STATEMENTS + (flags[0] === "--full-change" ? DELETE : ""));
    await waitUntilConfirmed(db, program);
    const messages = await db.sql(
      "select data from pg_logical_slot_get_changes($1, null, null, 'include-xids', '1')",
      [oracle],
    );
    const stored = await storedTexts(kinesis, stream);
    if (flags[0] === "--full-change") {
      assertEquals(stored.map(withExactNumbers), messages.flatMap(originalFullChanges));
    } else {
      const expected = originalFromWal2json(messages, KEYS);
      if (flags[0] === "-f") assertEquals(stored, expected.map(originalCsv));
      else assertEquals(stored.map(payload), expected);
    }
    assertEquals(await program.stop(), 0, program.stderr);
  }
});

Deno.test("pg2kinesis refuses --full-change with CSV", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  const { Pg2kinesis } = await import("../support/pg2kinesis.ts");
  const flags = [...flagsFor(db, "none"), "-f", "CSV", "--full-change"];
  const { code, stderr } = await Pg2kinesis.run(flags);
  assertEquals(code, 2);
  assertEquals(/--full-change.*CSVPayload/.test(stderr), true, stderr);
});

function payload(text: string): unknown {
  const prefix = "0,CDC,";
  assertEquals(text.slice(0, prefix.length), prefix);
  return JSON.parse(text.slice(prefix.length));
}

/** Numbers in JSON text as strings of all their digits: a parser would round them. */
function quoteNumbers(json: string): string {
  return json.replace(
    /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => token.startsWith('"') ? token : `"number ${token}"`,
  );
}

function withExactNumbers(text: string): unknown {
  return JSON.parse(quoteNumbers(text.slice("0,CDC,".length)));
}

/** Its own JSON would have lost digits; what it means is each change as wal2json prints it. */
function originalFullChanges({ data }: Record<string, string>): unknown[] {
  const { xid, change } = JSON.parse(quoteNumbers(data!));
  return change.map((row: unknown) => ({ xid, change: row }));
}
