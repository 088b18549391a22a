import { assert, assertEquals } from "@std/assert";
import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import { ListShardsCommand } from "@aws-sdk/client-kinesis";
import { createHandler, positionOf } from "../../docs/examples/lambda.mjs";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "./setup.ts";

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

  /** The copy: of each shard what lies in it, by key. */
  const rows = new Map<string, Map<unknown, unknown>>();
  const positions = new Map<string, string>();
  let applied = 0;
  let failing = 0;
  const handler = createHandler({
    store: {
      get: (name) => Promise.resolve(positions.get(name)),
      set: (name, position) => Promise.resolve(void positions.set(name, position)),
    },
    apply: (change, shard) => {
      if (++applied === failing) throw new Error("the database of the copy is away");
      const own = rows.get(shard) ?? new Map();
      rows.set(shard, own);
      if (change.op === "truncate") own.clear();
      else if (change.op === "delete") own.delete(change.key!.id);
      else own.set(change.key!.id, change.after!.version);
      return Promise.resolve();
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
      const before = applied;
      assertEquals(await handler(batch), { batchItemFailures: [] });
      assertEquals(applied, before, "a duplicate was applied");
    }
  }
  const copy = [...rows.values()].flatMap((own) => [...own]).sort(([a], [b]) =>
    Number(a) - Number(b)
  );
  const original = await db.sql("select id, version from t order by id");
  assertEquals(copy, original.map(({ id, version }) => [id, version]));
});

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
