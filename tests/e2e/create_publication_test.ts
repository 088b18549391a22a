import { assertEquals, assertMatch } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

Deno.test("pg2kinesis starts from nothing with --create-publication, --create-slot and --create-stream", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`create table orders (id int primary key); create table order_log (n int);
    create table customers (id int primary key)`);
  const stream = freshStreamName();
  const flags = [
    ...flagsFor(db, stream),
    ..."--pg-slot-output-plugin pgoutput --create-publication --create-slot --create-stream".split(
      " ",
    ),
    ...["--include-table", "public.order*", "-f", "CSV"],
  ];
  for (const id of [1, 2]) {
    // The second start finds everything there.
    await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
    await program.waitForLog(/following slot/);
    await db.sql(`insert into orders values (${id}); insert into customers values (${id});
      insert into order_log values (1); update order_log set n = n + 1`);
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);
    assertMatch(program.stderr, / WARNING .*public\.order_log/);
  }
  const stored = (await storedTexts(kinesis, stream)).map((text) =>
    text.replace(/\d+,public/, "X")
  );
  assertEquals(stored, ["0,CDC,X.orders,INSERT,1", "0,CDC,X.orders,INSERT,2"]);
});
