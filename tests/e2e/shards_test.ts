import { assert, assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

for (const aggregation of ["kpl", "none"]) {
  Deno.test(`pg2kinesis --aggregation ${aggregation} stores each record in the shard of its hash key, each row in order`, async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, version int)");
    await db.createSlot("test_decoding");
    const stream = freshStreamName();
    await kinesis.createStream(stream, 4);
    await using program = await follow(db, kinesis, stream, [
      ...["--aggregation", aggregation],
      "--full-change",
    ]);
    await db.sql("insert into t select n, 0 from generate_series(1, 500) n");
    for (let version = 1; version <= 5; version++) {
      await db.sql(`update t set version = ${version}`);
    }
    await db.sql("truncate t");
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);

    const back = await readBack(kinesis.client, stream);
    const rows = new Map<number, number[]>();
    const usedShards = new Set<string>();
    const truncatedShards: string[] = [];
    for (const { shardId, hashKey, text, explicitHashKey } of back.records) {
      const { change } = JSON.parse(text.slice("0,CDC,".length));
      if (change.kind === "truncate") {
        truncatedShards.push(shardId);
        if (explicitHashKey === undefined) continue;
      }
      const { range } = back.shards.find((shard) => shard.shardId === shardId)!;
      assert(range.start <= hashKey && hashKey <= range.end, `${text} lies in ${shardId}`);
      usedShards.add(shardId);
      if (change.kind === "truncate") continue;
      const [id, version] = change.columnvalues;
      rows.set(id, [...rows.get(id) ?? [], version]);
    }
    assertEquals(usedShards.size, 4);
    assertEquals(truncatedShards, back.shards.map(({ shardId }) => shardId));
    assertEquals(rows.size, 500);
    for (const [id, versions] of rows) assertEquals(versions, [0, 1, 2, 3, 4, 5], `row ${id}`);
    if (aggregation === "kpl") assert(back.kinesisRecords < 200, `${back.kinesisRecords} records`);
    else assertEquals(back.kinesisRecords, back.records.length);
  });
}
