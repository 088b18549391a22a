import { merge, openShards, split } from "../support/aggregated_stream.ts";
import type { TestKinesis } from "../support/kinesalite.ts";
import type { FreshDatabase } from "../support/shared_postgres.ts";

export const TABLE = "create table t (id int primary key, version int, note text)";
const ROWS = 60;

/** Each round one transaction of each kind. */
export async function changeTable(
  db: FreshDatabase,
  round: number,
  random: () => number,
): Promise<void> {
  const first = round * ROWS;
  const pick = (divisor: number) => `id % ${divisor} = ${Math.floor(random() * divisor)}`;
  await db.sql(
    `insert into t select n, 0, 'round ${round}, é"\\ ' || n from generate_series(${first}, ${
      first + ROWS - 1
    }) n`,
  );
  await db.sql(`update t set version = version + 1 where ${pick(2)}`);
  await db.sql(`update t set id = id + 1000000 where ${pick(7)} and id < 1000000`);
  await db.sql(`delete from t where ${pick(5)}`);
  if (round === 6) await db.sql("truncate t");
}

/** Splits a shard, or merges two neighbours; gives how many it closed. */
export async function reshard(
  kinesis: TestKinesis,
  stream: string,
  random: () => number,
): Promise<number> {
  const shards = (await openShards(kinesis, stream)).sort((a, b) => (a.start < b.start ? -1 : 1));
  const index = Math.floor(random() * (shards.length - 1));
  if (shards.length < 4 || random() < 0.5) {
    await split(kinesis, stream, shards[index]!);
    return 1;
  }
  await merge(kinesis, stream, shards.slice(index));
  return 2;
}
