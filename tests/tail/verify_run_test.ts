import { assert, assertEquals, assertMatch } from "@std/assert";
import { follow, waitUntilConfirmed } from "../support/following_program.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { openShards, split } from "../support/aggregated_stream.ts";

for (const plugin of ["pgoutput", "test_decoding"]) {
  Deno.test(`tail --verify finds nothing wrong with what a run published through kills and a split (${plugin})`, async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(
      "create table t (id int primary key, version int); create table keyless (n int); " +
        "alter table keyless replica identity full",
    );
    if (plugin === "pgoutput") await db.sql(`create publication ${db.slot} for all tables`);
    await db.createSlot(plugin);
    await kinesis.createStream("s", 3);
    const start = () => follow(db, kinesis, "s", ["--pg-slot-output-plugin", plugin, "-f", "JSON"]);
    const work = async (round: number) => {
      await db.sql(`insert into t select n + ${round * 1000}, 0 from generate_series(1, 300) n`);
      await db.sql("update t set version = version + 1");
      await db.sql("update t set id = id + 500 where id % 7 = 0");
      await db.sql("insert into keyless select n from generate_series(1, 50) n");
      await db.sql("delete from keyless where n % 2 = 0");
      await db.sql("begin; truncate keyless; insert into keyless values (1); commit");
      await db.sql("delete from t where id % 11 = 0");
    };
    for (let round = 0; round < 3; round++) {
      await using program = await start();
      await work(round);
      if (round === 1) await split(kinesis, "s", (await openShards(kinesis, "s"))[0]!);
      // Something of the round is stored, and not all of it need be.
      await waitFor(async () => (await tail()).stdout.includes(`"id":${round * 1000 + 1}}`), {
        what: `round ${round} in the stream`,
        found: () => program.stderr,
      });
      await program.kill9();
    }
    await using program = await start();
    await work(9);
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);

    const { code, stdout, stderr } = await tail("--verify", "--expect-all");
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /no findings: \d+ changes of \d+ partition keys verified/);
    if (plugin === "test_decoding") assertMatch(stderr, /have no commit_lsn/);
    assert(stdout.includes('"op":"truncate"') && stdout.includes('"moved_to"'));

    async function tail(...flags: string[]) {
      return await Pg2kinesis.run(["tail", "-k", "s", ...flags], { env: kinesis.env });
    }
  });
}
