import { assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  follow,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

Deno.test("pg2kinesis lets the slot of a quiet database follow its busy neighbours", async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "6s" } });
  await using kinesis = await startKinesalite();
  await using quiet = await freshDatabase(server);
  await using busy = await freshDatabase(server);
  await quiet.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await using program = await follow(quiet, kinesis, stream);
  await busy.sql("create table t (id int, filler text)");
  for (let round = 0; round < 2; round++) {
    await busy.sql("insert into t select n, repeat('x', 300) from generate_series(1, 50000) n");
    await waitUntilConfirmed(quiet, program);
  }
  assertEquals(await storedTexts(kinesis, stream), []);
  assertEquals(await program.stop(), 0, program.stderr);
});

Deno.test("pg2kinesis advances the slot over transactions that its filters leave out", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(
    "create table kept (id int primary key); create table left_out (id int primary key)",
  );
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await using program = await follow(db, kinesis, stream, [
    ...["--table-pat", "^public\\.kept$", "--operations", "insert"],
    ...["-f", "CSV"],
  ]);
  await db.sql("insert into left_out select generate_series(1, 1000)");
  await db.sql("insert into kept values (1)");
  await db.sql("delete from kept");
  await waitUntilConfirmed(db, program);
  const texts = await storedTexts(kinesis, stream);
  assertEquals(texts.map((text) => text.replace(/CDC,\d+/, "CDC,xid")), [
    "0,CDC,xid,public.kept,INSERT,1",
  ]);
  assertEquals(await program.stop(), 0, program.stderr);
});
