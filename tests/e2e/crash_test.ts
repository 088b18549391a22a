import { assert, assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { droppedByKcl, readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import {
  firstCopies,
  follow,
  freshStreamName,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const WRITERS = 3;
const ROWS_PER_WRITER = 20;
const KILLS = 4;

Deno.test("pg2kinesis loses and reorders nothing when it is killed in the middle of a workload", async () => {
  const random = randomFrom(randomSeed());
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table rows (id int primary key, version int, filler text)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 4);

  // Each writer has rows of its own and counts their versions up, so a row's commit order is known.
  let stopped = false;
  const versions = new Map<number, number>();
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const connection = await server.connect({ database: db.database });
    for (let step = 0; !stopped; step++) {
      const id = writer * ROWS_PER_WRITER + step % ROWS_PER_WRITER;
      const version = (versions.get(id) ?? 0) + 1;
      await connection.query(
        `insert into rows values ($1, $2, repeat('x', $3))
         on conflict (id) do update set version = excluded.version, filler = excluded.filler`,
        [id, version, step % 500],
      );
      versions.set(id, version);
    }
    await connection.end();
  });

  const flags = ["--full-change"];
  for (let kill = 0; kill < KILLS; kill++) {
    await using program = await follow(db, kinesis, stream, flags);
    const stored = async () => (await readBack(kinesis.client, stream)).records.length;
    const before = await stored();
    // A random number of records on, so that the kill falls anywhere between two status updates.
    const more = 1 + Math.floor(random() * 2000);
    await waitFor(async () => await stored() >= before + more, { what: `${more} more records` });
    await program.kill9();
  }
  stopped = true;
  await Promise.all(writers);
  await using program = await follow(db, kinesis, stream, flags);
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);

  const back = await readBack(kinesis.client, stream);
  assertEquals(droppedByKcl(back), []);
  const seen = new Map<number, number[]>();
  for (const { text } of firstCopies(back.records)) {
    const [id, version] = JSON.parse(text.slice("0,CDC,".length)).change.columnvalues;
    seen.set(id, [...seen.get(id) ?? [], version]);
  }
  for (const [id, last] of versions) {
    assertEquals(seen.get(id), Array.from({ length: last }, (_, n) => n + 1), `row ${id}`);
  }
  assert(back.records.length > versions.size, "something was written");
});
