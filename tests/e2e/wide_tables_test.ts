import { assert, assertEquals } from "@std/assert";
import { startKinesalite } from "../support/kinesalite.ts";
import { peakMemoryMb } from "../support/memory.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Follower, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

/** As many columns as a table may have, none of them like another in name or type. */
const COLUMNS = 1590;
const TABLES = 200;

/** From source more than in the executable. */
const MAX_MEMORY_MB = Deno.env.get("PG2KINESIS_BIN") ? 220 : 280;

Deno.test("300,000 columns take little memory", async (t) => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`do $$ begin for t in 1..${TABLES} loop
      execute (select format('create table t_%s (id integer primary key, %s)', t,
        string_agg(format('c_%s_%s varchar(%s)', t, i, ${COLUMNS} * t + i), ', '))
        from generate_series(1, ${COLUMNS}) i);
    end loop; end $$;
    create publication published for all tables`);
  for (const plugin of plugins) {
    for (const flags of [["-f", "JSON"], ["--full-change"]]) {
      await t.step(`${plugin} ${flags.join(" ")}`, async () => {
        await using follower = await Follower.create(plugin, db, kinesis);
        const program = await follower.start([...flags, "--linger", "0"]);
        await program.waitForLog(/following slot/, 60_000);
        const atStart = await peakMemoryMb(program.pid);
        await db.sql(`do $$ begin for t in 1..${TABLES} loop
            execute format('insert into t_%s values (1)', t);
            execute format('delete from t_%s', t);
          end loop; end $$`);
        await follower.catchUp(300_000);
        const peak = await peakMemoryMb(program.pid);
        console.log(
          `${plugin}: ${Math.round(atStart)} MB at the start, ${Math.round(peak)} MB at most`,
        );
        assertEquals(await program.stop(), 0, program.stderr);
        assert(peak < MAX_MEMORY_MB, `${peak} MB`);
        assertEquals((await follower.records()).length, 2 * TABLES);
        await db.sql("select pg_drop_replication_slot($1)", [follower.db.slot]);
      });
    }
  }
});
