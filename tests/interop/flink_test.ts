import { assert, assertEquals } from "@std/assert";
import {
  applyOnce,
  MemoryCopy,
  parseChange,
  positionOf,
  type UserRecord,
} from "../../docs/examples/consumer.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";
import { java, Missing, testWith } from "../support/interop.ts";
import { hasNode, startKinesisLocal } from "../support/kinesis_local.ts";
import type { TestKinesis } from "../support/kinesalite.ts";
import { randomFrom } from "../support/random.ts";
import { droppedByKcl, readBack, type StoredStream } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { changeTable, reshard, TABLE } from "./changing_table.ts";
import { codeOf } from "../support/documented_code.ts";
import { FlinkReader } from "./flink_reader.ts";

const withNode = <Needed>(needed: Needed) =>
  hasNode() ? needed : new Missing("kinesis-local needs Node.js");

const ROUNDS = 12;

testWith(
  withNode(await java("flink")),
  "Flink's KinesisStreamsSource delivers every change in order, with the schema of docs/consuming.md",
  async (java) => {
    await using kinesis = await startKinesisLocal();
    const streamArn = (stream: string) => `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`;
    const args = (stream: string, how: string) => [streamArn(stream), kinesis.endpoint, how];
    const start = (stream: string) =>
      FlinkReader.start(java, "FlinkChanges", args(stream, "changes"));
    await using job = await readWhileChanging(kinesis, start);
    const { reader, rows, stream, stored } = job;
    const delivered = await untilDelivered(reader, stored.records.map(nameOf));
    assertEquals(outOfOrder(delivered), 0);
    // No look at a position but for TRUNCATE: those were compared before.
    const newer = await reader.records("newer");
    const copy = new MemoryCopy();
    let highest = new Map<string, string>();
    for (const { partitionKey, data } of newer) {
      if (data.length === 0) {
        // A job that failed goes on from its checkpoint: what came after it comes again.
        highest = new Map();
        continue;
      }
      const change = parseChange(data);
      const position = positionOf(change)!;
      if (change.op === "truncate") {
        await copy.truncate(change, position);
        continue;
      }
      assert(position > (highest.get(partitionKey) ?? ""), `${partitionKey} ${position}`);
      highest.set(partitionKey, position);
      if (change.op === "delete") await copy.remove(change);
      else if (change.op === "insert" || change.op === "update") {
        await copy.upsert(change, position);
      }
    }
    assertEquals(sorted(copy), rows);
    console.log(`${delivered.length} delivered, ${newer.length} of them newer`);

    // Of the shards that are open: kinesis-local does not say which were at first.
    await using plain = FlinkReader.start(java, "FlinkChanges", args(stream, "stored"));
    await waitFor(
      async () =>
        (await plain.records("delivered")).some(({ data }) =>
          new TextDecoder().decode(data).startsWith("\u00f3\u0089\u009a\u00c2")
        ),
      {
        what: "an aggregate, which the source does not take apart",
        timeoutMs: 120_000,
        intervalMs: 500,
        found: () => plain.log.slice(-3000),
      },
    );
  },
);

testWith(
  withNode(await java("flink-1.19")),
  "FlinkKinesisConsumer takes aggregates apart and delivers every change",
  async (java) => {
    await using kinesis = await startKinesisLocal();
    await using job = await readWhileChanging(
      kinesis,
      (stream) => FlinkReader.start(java, "FlinkConsumer", [stream, kinesis.endpoint]),
    );
    const { reader, rows, stored } = job;
    // It is built on the Client Library.
    const dropped = new Set(droppedByKcl(stored));
    const seen = stored.records.filter((record) => !dropped.has(record)).map(nameOf);
    const delivered = await untilDelivered(reader, seen);
    console.log(`${outOfOrder(delivered)} of ${delivered.length} after a newer one of their key`);
    const copy = new MemoryCopy();
    for (const record of delivered) await applyOnce(record, copy);
    assertEquals(sorted(copy), rows);
  },
);

Deno.test("docs/consuming.md shows the code that is run with Flink", async () => {
  const [schema, keyed] = await codeOf("Flink");
  const read = (name: string) =>
    Deno.readTextFile(new URL(`java/flink/${name}.java`, import.meta.url));
  assert((await read("ChangeSchema")).includes(schema!), schema);
  assert((await read("FlinkChanges")).includes(keyed!), keyed);
});

interface Job extends AsyncDisposable {
  readonly reader: FlinkReader;
  readonly stream: string;
  readonly stored: StoredStream;
  /** Of the table. */
  readonly rows: unknown[];
}

/**
 * Lets Flink read 4 shards while the table changes, shards are split and merged, the program is killed, and
 * the job fails once.
 */
async function readWhileChanging(
  kinesis: TestKinesis,
  startReader: (stream: string) => FlinkReader,
): Promise<Job> {
  const random = randomFrom(19);
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 4);
  await db.sql(TABLE);
  await db.sql(`create publication ${db.slot} for table t`);
  await db.createSlot("pgoutput");
  const start = () =>
    follow(db, kinesis, stream, ["--pg-slot-output-plugin", "pgoutput", "-f", "JSON"]);
  let program = await start();
  const reader = startReader(stream);
  try {
    await changeTable(db, 0, random);
    await waitFor(async () => (await reader.records("delivered")).length > 0, {
      what: "Flink to read",
      timeoutMs: 120_000,
      found: () => reader.log.slice(-3000),
    });
    let closed = 0;
    for (let round = 1; round < ROUNDS; round++) {
      await changeTable(db, round, random);
      if (round % 3 === 1) closed += await reshard(kinesis, stream, random);
      if (round === 5) await reader.fail();
      if (round === 8) {
        await program.kill9();
        program = await start();
      }
    }
    assert(closed > 3, `only ${closed} shards were closed`);
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);
    const rows = await db.sql("select id, version, note from t order by id");
    assert(rows.length > 100);
    const stored = await readBack(kinesis.client, stream);
    return {
      ...{ reader, stream, stored, rows },
      [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  } finally {
    await program[Symbol.asyncDispose]();
  }
}

const nameOf = ({ partitionKey, data }: UserRecord) =>
  `${partitionKey}\n${new TextDecoder().decode(data)}`;

/** Waits for all of these; nothing else may come. */
async function untilDelivered(reader: FlinkReader, names: string[]): Promise<UserRecord[]> {
  const wanted = new Set(names);
  let missing = wanted.size;
  return await waitFor(async () => {
    const delivered = await reader.records("delivered");
    const found = new Set(delivered.map(nameOf));
    assertEquals([...found.difference(wanted)], []);
    missing = wanted.difference(found).size;
    return missing === 0 ? delivered : undefined;
  }, {
    what: `Flink to deliver ${wanted.size} changes`,
    timeoutMs: 120_000,
    intervalMs: 500,
    found: () => `${missing} are missing; ${reader.log.slice(-3000)}`,
  });
}

/** Changes that come for the first time after a newer one of their key. */
function outOfOrder(records: readonly UserRecord[]): number {
  const seen = new Set<string>();
  const highest = new Map<string, string>();
  let count = 0;
  for (const record of records) {
    const name = nameOf(record);
    if (seen.has(name)) continue;
    seen.add(name);
    const position = positionOf(parseChange(record.data))!;
    if (position < (highest.get(record.partitionKey) ?? "")) count++;
    else highest.set(record.partitionKey, position);
  }
  return count;
}

const sorted = (copy: MemoryCopy) =>
  copy.rows("public", "t").toSorted((a, b) => Number(a.id) - Number(b.id));
