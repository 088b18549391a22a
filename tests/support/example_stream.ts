import { merge, openShards, split } from "./aggregated_stream.ts";
import { startKinesalite } from "./kinesalite.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "./following_program.ts";
import { Pg2kinesis } from "./pg2kinesis.ts";
import { type PlainRecord, readRaw, type StoredShard } from "./read_back.ts";
import { freshDatabase } from "./shared_postgres.ts";
import type { TestPostgres } from "./test_postgres.ts";

/** A stream with all that a consumer has to cope with, and the table that it should make of it. */
export interface ExampleStream {
  /** Parents before children. */
  readonly shards: readonly (StoredShard & { readonly stored: readonly PlainRecord[] })[];
  /** Of `public.t`: `[id, version, big, note]` by id. */
  readonly rows: readonly (readonly unknown[])[];
  /** Transactions that were published with a commit record. */
  readonly transactions: number;
}

/**
 * Publishes a table with the format JSON and pgoutput: existing rows by a backfill, changes of every kind with
 * changed keys, unchanged TOAST and TRUNCATE, while shards are split and merged and the program is killed.
 */
export async function publishExample(
  server: TestPostgres,
  flags: readonly string[] = [],
): Promise<ExampleStream> {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 4);
  await db.sql("create table t (id int primary key, version int, big bigint, note text)");
  await db.sql("alter table t alter note set storage external");
  await db.sql(`create publication ${db.slot} for table t`);
  const big = "9007199254740993 + n";
  await db.sql(`insert into t select n, 0, ${big}, 'before ' || n from generate_series(1, 300) n`);
  const start = async (more: readonly string[] = []) => {
    const program = await Pg2kinesis.start([
      ...flagsFor(db, stream),
      ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON", "--transaction-records"],
      ...flags,
      ...more,
    ], { env: kinesis.env });
    await program.waitForLog(/following slot/);
    return program;
  };
  let program = await start(["--create-slot", "--backfill"]);
  let transactions = 0;
  const change = async (sql: string) => {
    await db.sql(sql);
    transactions++;
  };
  const reshard = async (round: number) => {
    const shards = (await openShards(kinesis, stream)).sort((a, b) => a.start < b.start ? -1 : 1);
    if (round % 2 === 0) await split(kinesis, stream, shards[round % 3]!);
    else await merge(kinesis, stream, shards.slice(round % 3));
  };
  try {
    await program.waitForLog(/the backfill of .* has ended/);
    const toast = "repeat('x', 3000) || ";
    for (let round = 0; round < 8; round++) {
      const first = 1000 + 100 * round;
      await change(
        `insert into t select n, ${round}, ${big}, ${
          round % 3 === 0 ? toast : ""
        }'é "' || n from generate_series(${first}, ${first + 99}) n`,
      );
      await change(`update t set version = version + 10 where id % 3 = ${round % 3}`);
      await change(
        `update t set id = id + 100000, note = 'moved' where id % 11 = ${round} and id < 100000`,
      );
      await reshard(round);
      await change(`delete from t where id % 7 = ${round % 7}`);
      if (round === 3) await change("truncate t");
      if (round === 1 || round === 5) {
        await program.kill9();
        program = await start();
      }
    }
    await waitUntilConfirmed(db, program);
    const code = await program.stop();
    if (code !== 0) throw new Error(`pg2kinesis ended with ${code}: ${program.stderr}`);
  } finally {
    await program[Symbol.asyncDispose]();
  }
  const rows = await db.sql("select id, version, big::text, note from t order by id");
  return {
    shards: await readRaw(kinesis.client, stream),
    rows: rows.map(({ id, version, big, note }) => [id, version, BigInt(big), note]),
    transactions,
  };
}
