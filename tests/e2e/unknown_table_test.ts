import { assertEquals, assertMatch } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import {
  follow,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

async function rowsOf(kinesis: TestKinesis, stream: string): Promise<string[]> {
  return (await storedTexts(kinesis, stream)).map((text) => text.split(",").slice(3).join(","));
}

/** Sets it for the whole server, for connections that are open, too. */
async function setStandbys(db: FreshDatabase, names: string): Promise<void> {
  await db.sql(`alter system set synchronous_standby_names = '${names}'`);
  await db.sql("select pg_reload_conf()");
}

Deno.test("a table made anew under the name of one that was unknown is published", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await db.sql("create table staging (id int primary key)");
  await db.createSlot("test_decoding");
  await db.sql("insert into staging values (1)");
  await db.sql("drop table staging");
  const flags = ["-f", "CSV", "--on-unknown-table", "skip"];
  await using program = await follow(db, kinesis, stream, flags);
  await waitUntilConfirmed(db, program);
  assertMatch(program.stderr, /leaving out the insert of public\.staging/);

  await db.sql("create table staging (id int primary key)");
  await db.sql("insert into staging values (2)");
  await waitUntilConfirmed(db, program);
  assertEquals(await rowsOf(kinesis, stream), ["public.staging,INSERT,2"]);
});

Deno.test("a row is published whose table waits for a synchronous standby", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await db.createSlot("test_decoding");
  await using program = await follow(db, kinesis, stream, ["-f", "CSV"]);
  await setStandbys(db, "nobody");
  const client = await server.connect({ database: db.database });
  try {
    const commit = client.query(
      "set synchronous_commit = on; begin; create table fresh (id int primary key); " +
        "insert into fresh values (1); commit",
    );
    await program.waitForLog(/waiting with the insert of public\.fresh/);
    assertEquals(await rowsOf(kinesis, stream), []);
    await setStandbys(db, "");
    await commit;
  } finally {
    await client.end();
  }
  await waitUntilConfirmed(db, program);
  assertEquals(await rowsOf(kinesis, stream), ["public.fresh,INSERT,1"]);
});
