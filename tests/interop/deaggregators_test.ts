import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";
import { java, pythonWithPackages, testWith } from "../support/interop.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { readRaw, takeApart } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

let lines: Promise<{ readonly stored: string; readonly expected: string; readonly places: number }>;

/** Stored records for a deaggregator, and the user records that AWS's own for Node.js makes of them. */
function example() {
  return lines ??= publish();
}

async function publish() {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 4);
  // Partition keys of every kind: digits, which have tripped aws-kinesis-agg, other alphabets, and long ones.
  await db.sql("create table t (id text primary key, note text)");
  await db.sql(`create publication ${db.slot} for table t`);
  await db.createSlot("pgoutput");
  await using program = await follow(db, kinesis, stream, [
    ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON", "--message-prefix", "*"],
  ]);
  const ids = "case n % 5 when 0 then n::text when 1 then 'Ключ ' || n when 2 then '鍵🔑' || n " +
    "when 3 then '__proto__' || n else repeat('k', 200) || n end";
  for (let round = 0; round < 5; round++) {
    await db.sql(
      `insert into t select ${ids}, repeat('é', n % 300) from generate_series(${500 * round}, ${
        500 * round + 499
      }) n`,
    );
    await db.sql("update t set note = note || 'x' where length(id) % 3 = 0");
  }
  await db.sql("truncate t");
  await db.sql(`select pg_logical_emit_message(true, 'app', '\\x00ff'::bytea)`);
  await db.sql(`insert into t values ('', '')`);
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);
  const stored: string[] = [];
  const expected: string[] = [];
  let places = 0;
  for (const { range, stored: records } of await readRaw(kinesis.client, stream)) {
    for (const record of records) {
      const { sequenceNumber, partitionKey, data } = record;
      const bytes = Buffer.from(data).toString("base64");
      stored.push(
        [sequenceNumber, range.start, range.end, base64(partitionKey), bytes].join(" ") + "\n",
      );
      for (const { subSequence = 0, partitionKey, text } of takeApart(record)) {
        expected.push(
          [sequenceNumber, subSequence, base64(partitionKey), base64(text)].join(" ") + "\n",
        );
        places = Math.max(places, subSequence);
      }
    }
  }
  return { stored: stored.join(""), expected: expected.join(""), places };
}

async function assertSame(found: string): Promise<void> {
  const { expected, places } = await example();
  assert(places > 50, "the aggregates are small");
  const [a, b] = [found.split("\n"), expected.split("\n")];
  for (let i = 0; i < b.length; i++) assertEquals(a[i], b[i], `user record ${i}`);
  assertEquals(a.length, b.length);
}

testWith(
  await java("kcl"),
  "the Kinesis Client Library 3 takes aggregates apart as aws-kinesis-agg for Node.js does",
  async (java) => await assertSame(await java.run("Deaggregate", (await example()).stored)),
);

testWith(
  await java("deaggregator"),
  "amazon-kinesis-deaggregator for Java, on the Client Library 1, takes aggregates apart the same way",
  async (java) => await assertSame(await java.run("Deaggregate", (await example()).stored)),
);

testWith(
  await pythonWithPackages(),
  "aws-kinesis-agg for Python takes aggregates apart the same way",
  async (python) =>
    await assertSame(await python.run(["deaggregate.py"], (await example()).stored)),
);
