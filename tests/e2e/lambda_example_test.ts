import { assert, assertEquals } from "@std/assert";
import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import { ListShardsCommand } from "@aws-sdk/client-kinesis";
import { createHandler, positionOf } from "../../docs/examples/lambda.mjs";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

interface EventRecord {
  readonly eventID: string;
  readonly kinesis: { partitionKey: string; sequenceNumber: string; data: string };
}

Deno.test("positionOf sorts as LSNs and numbers do", () => {
  const positions =
    ([["0/9", 5], ["0/A", 0], ["0/A", 9], ["0/A", 10], ["0/FF", 1], ["1/0", 0]] as const)
      .map(([commit_lsn, seq]) => positionOf({ commit_lsn, seq })!);
  assertEquals(positions, [...positions].sort());
  assertEquals(new Set(positions).size, positions.length);
});

Deno.test("the Lambda example makes a copy of the table, though batches come twice and fail in between", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 2);
  await db.sql("create table t (id int primary key, version int)");
  await db.sql(`create publication ${db.slot} for table t`);
  await db.createSlot("pgoutput");
  await using program = await follow(db, kinesis, stream, [
    ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON"],
  ]);
  await db.sql("insert into t select n, 0 from generate_series(1, 100) n");
  await db.sql("update t set version = version + 1");
  await db.sql("update t set id = id + 1000 where id % 5 = 0");
  await db.sql("truncate t");
  await db.sql("insert into t select n, 7 from generate_series(50, 200) n");
  await db.sql("update t set version = id where id % 3 = 0");
  await db.sql("delete from t where id % 4 = 0");
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);

  const copy = new Copy();
  let applied = 0;
  let failing = 0;
  const handler = createHandler({
    store: copy.store,
    apply: (change, position) => {
      if (++applied === failing) throw new Error("the database of the copy is away");
      return copy.apply(change, position);
    },
  });

  for (const shard of await eventsByShard(kinesis, stream)) {
    assert(shard.length > 0);
    // Two records a batch; each batch comes twice, and the first one fails on its way.
    for (let i = 0; i < shard.length; i += 2) {
      const batch = { Records: shard.slice(i, i + 2) };
      failing = applied + 3;
      const { batchItemFailures } = await handler(batch);
      assert(batchItemFailures.length <= 1);
      failing = 0;
      assertEquals(await handler(batch), { batchItemFailures: [] });
      const before = copy.applied;
      assertEquals(await handler(batch), { batchItemFailures: [] });
      assertEquals(copy.applied, before, "a duplicate was applied");
    }
  }
  const original = await db.sql("select id, version from t order by id");
  assertEquals(copy.rows, original.map(({ id, version }) => [id, version]));
});

Deno.test("the Lambda example removes no newer row where a merged shard brings an older TRUNCATE late", async () => {
  // The low lane was ahead: its TRUNCATE lies in its old shard, a later row in the merged one.
  const after = await copyOf(
    ["low", truncate(5)],
    ["merged", insert(1, 6)],
    ["merged", insert(9, 4)],
    ["merged", truncate(5)],
    ["merged", insert(8, 7)],
  );
  assertEquals(after, [[1, 6], [8, 7]]);
});

Deno.test("the Lambda example removes the older rows that a merged shard brings behind the first TRUNCATE", async () => {
  const after = await copyOf(
    ["merged", truncate(5)],
    ["merged", insert(1, 6)],
    ["merged", insert(9, 4)],
    ["merged", truncate(5)],
  );
  assertEquals(after, [[1, 6]]);
});

Deno.test("the Lambda example keeps the newer row where a split leaves an older copy in the other shard", async () => {
  const after = await copyOf(
    ["right", insert(1, 4)],
    ["right", insert(1, 6)],
    ["left", insert(1, 4)],
  );
  assertEquals(after, [[1, 6]]);
});

type Example = Parameters<typeof createHandler>[0];
type Change = Parameters<Example["apply"]>[0];

/** What `apply` and `store` are to do: a table of rows with their positions, by key. */
class Copy {
  readonly #rows = new Map<unknown, { version: unknown; position: string }>();
  readonly #positions = new Map<string, string>();
  /** Changes of rows. */
  applied = 0;

  readonly store: Example["store"] = {
    get: (name) => Promise.resolve(this.#positions.get(name)),
    set: (name, position) => Promise.resolve(void this.#positions.set(name, position)),
  };

  readonly apply: Example["apply"] = (change, position) => {
    const rows = this.#rows;
    if (change.op === "truncate") {
      for (const [id, row] of rows) if (row.position < position!) rows.delete(id);
      return Promise.resolve();
    }
    this.applied++;
    if (change.op === "delete") rows.delete(change.key!.id);
    else rows.set(change.key!.id, { version: change.after!.version, position: position! });
    return Promise.resolve();
  };

  get rows(): [unknown, unknown][] {
    return Array.from(this.#rows, ([id, { version }]): [unknown, unknown] => [id, version])
      .sort(([a], [b]) => Number(a) - Number(b));
  }
}

const insert = (id: number, transaction: number): Change => ({
  ...{ op: "insert", commit_lsn: `0/${transaction}`, seq: 0, schema: "public", table: "t" },
  ...{ key: { id }, after: { id, version: transaction } },
});
const truncate = (transaction: number): Change => ({
  ...{ op: "truncate", commit_lsn: `0/${transaction}`, seq: 0, schema: "public", table: "t" },
});

/** The rows after changes that come in this order, one a batch. */
async function copyOf(...changes: (readonly [shard: string, Change])[]) {
  const copy = new Copy();
  const handler = createHandler(copy);
  for (const [i, [shard, change]] of changes.entries()) {
    const partitionKey = change.key === undefined ? "public.t" : `public.t:${change.key.id}`;
    const kinesis = { partitionKey, sequenceNumber: `${i}`, data: btoa(JSON.stringify(change)) };
    const answer = await handler({ Records: [{ eventID: `${shard}:${i}`, kinesis }] });
    assertEquals(answer, { batchItemFailures: [] });
  }
  return copy.rows;
}

/** What Lambda would be given, shard by shard. */
async function eventsByShard({ client }: TestKinesis, stream: string): Promise<EventRecord[][]> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: stream }));
  return await Promise.all(Shards.map(async ({ ShardId }) => {
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        ...{ StreamName: stream, ShardId, ShardIteratorType: "TRIM_HORIZON" },
      }),
    );
    const { Records = [] } = await client.send(new GetRecordsCommand({ ShardIterator }));
    return Records.map(({ Data, PartitionKey, SequenceNumber }) => ({
      eventID: `${ShardId}:${SequenceNumber}`,
      kinesis: {
        partitionKey: PartitionKey!,
        sequenceNumber: SequenceNumber!,
        data: btoa(String.fromCharCode(...Data!)),
      },
    }));
  }));
}
