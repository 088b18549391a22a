import { assert, assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { confirmedLsn, follow, freshStreamName, storedTexts, waitUntilConfirmed } from "./setup.ts";

Deno.test("pg2kinesis confirms what is stored when SIGINT or SIGTERM stops it, and goes on from there", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  let expected: string[] = [];
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await using program = await follow(db, kinesis, stream, ["-f", "CSV"]);
    for (let n = 0; n < 20; n++) {
      const id = expected.length + 1;
      await db.sql(`insert into t values (${id})`);
      expected = [...expected, String(id)];
    }
    await waitFor(async () => (await storedTexts(kinesis, stream)).length >= expected.length, {
      what: "all rows in the stream",
    });
    program.signal(signal);
    assertEquals(await program.waitForExit(), 0, program.stderr);
    // Nothing comes twice: the stop confirmed all of it.
    const keys = (await storedTexts(kinesis, stream)).map((text) => text.split(",").at(-1));
    assertEquals(keys, expected);
  }
});

Deno.test("pg2kinesis stops inside a huge transaction and confirms nothing of it", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = ["--full-change"];
  await db.sql("insert into t values (0, '')");
  {
    await using program = await follow(db, kinesis, stream, flags);
    await waitUntilConfirmed(db, program);
    await db.sql("insert into t select n, repeat('x', 500) from generate_series(1, 120000) n");
    const [committed] = await db.sql("select pg_current_wal_insert_lsn() as lsn");
    await waitFor(async () => (await storedTexts(kinesis, stream)).length > 1000, {
      what: "the transaction to be under way",
    });
    assertEquals(await program.stop(), 0, program.stderr);
    // Its own WAL may be confirmed as far as its COMMIT, which alone would make it gone.
    const [slot] = await db.sql("select $1::pg_lsn < $2::pg_lsn as behind", [
      await confirmedLsn(db),
      committed!.lsn,
    ]);
    assert(slot!.behind, "the transaction was not received whole");
    assert((await storedTexts(kinesis, stream)).length < 120_000, "it was stopped in the middle");
  }
  // Without the second half of a run: the next one sends the whole transaction again.
  await using again = await follow(db, kinesis, stream, flags);
  await waitUntilConfirmed(db, again, 120_000);
  assertEquals(await again.stop(), 0, again.stderr);
  const ids = new Set(
    (await storedTexts(kinesis, stream)).map((text) =>
      JSON.parse(text.slice("0,CDC,".length)).change.columnvalues[0]
    ),
  );
  assertEquals(ids.size, 120_001);
});

Deno.test("pg2kinesis stops cleanly when it is told to before it follows anything", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite({ createStreamMs: 60_000 });
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  const { Pg2kinesis } = await import("../support/pg2kinesis.ts");
  const { flagsFor } = await import("./setup.ts");
  await using program = await Pg2kinesis.start(
    [...flagsFor(db, freshStreamName()), "--create-stream", "--shard-count", "1"],
    { env: kinesis.env },
  );
  // The stream stays CREATING for a minute.
  await program.waitForLog(/waiting|CREATING|creating/i);
  assertEquals(await program.stop(), 0, program.stderr);
});
