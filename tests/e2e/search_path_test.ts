import { assert, assertEquals } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { PostgresServerOptions } from "../support/test_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { freshStreamName, storedTexts, waitUntilConfirmed } from "../support/following_program.ts";
import { dependsOnTraps, setTraps, sprungTraps } from "./traps.ts";

const LOG_EVERYTHING: PostgresServerOptions = {
  settings: { log_statement: "all", log_line_prefix: "%a|", lc_messages: "C" },
};

const servers = [{
  name: "18",
  start: () => startEmbeddedPostgres(LOG_EVERYTHING),
  plugins: ["test_decoding", "pgoutput"],
}];
if (hasWal2json()) {
  servers.push({
    name: "15",
    start: () => startDebianPostgres(LOG_EVERYTHING),
    plugins: ["test_decoding", "wal2json", "pgoutput"],
  });
} else console.log(NO_DEBIAN_POSTGRES);

for (const { name, start, plugins } of servers) {
  Deno.test(`no operator, function or type of a database user is run: ${name}`, async () => {
    await using server = await start();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      create role follower superuser login;
      create table public.t (id int primary key, note text, secret text, d timestamptz default now());
      create table public.parts (a int primary key) partition by range (a);
      create table public.parts_1 partition of public.parts for values from (0) to (10);
      create table public.nokey (a text); alter table public.nokey replica identity full;
      create type public.mood as enum ('fine'); alter table public.t add m public.mood`);
    await setTraps(db);
    // Who looks at this test is not to step into them.
    await db.sql(`
      alter database ${db.database} set search_path = mal, pg_catalog;
      alter role follower in database ${db.database} set search_path = mal, public, pg_catalog;
      alter role postgres in database ${db.database} set search_path = pg_catalog, public`);
    assertEquals(await theTrapsWork(db), ["trap sprung: = of integer and integer"]);
    const before = server.logs().length;

    for (const plugin of plugins) {
      const slot = `${db.slot}_${plugin}`;
      const stream = freshStreamName();
      const flags = [
        ...["-h", server.host, "-p", String(server.port), "-u", "follower", "-d", db.database],
        ...["-s", slot, "-k", stream, "--create-stream", "--pg-slot-output-plugin", plugin],
        ...["--create-slot", "--heartbeat", "100ms", "-f", "JSON", "--table-pat", "public\\."],
        ...["--exclude-column", "public.t.secret", "--mask-column", "public.t.note"],
        ...["--max-lag-bytes", "10GB"],
        ...(plugin === "pgoutput" ? ["--create-publication", "--pg-publication", slot] : []),
      ];
      const env = { ...kinesis.env, PG2KINESIS_MASK_SALT: "a salt that is long enough" };
      const check = () => Pg2kinesis.run(["check", ...flags], { env });
      const first = await check();
      assert(first.code !== 2 && first.stdout !== "", first.stdout + first.stderr);
      await using program = await Pg2kinesis.start([...flags, "--standby"], { env });
      await program.waitForLog(/following slot/);
      await db.sql(`insert into t values (1, 'n', 's', default, 'fine'); update t set note = 'm';
        insert into parts values (1); delete from t; create table public.u (id int primary key, x text[]);
        insert into u values (1, '{a}')`);
      await waitUntilConfirmed({ ...db, slot }, program);
      program.signal("SIGHUP");
      await program.waitForLog(/read.* again|refresh/i);
      const again = await check();
      assert(again.code !== 2, again.stderr);
      // A connection that is lost leads to the questions of a second one.
      const cut = () =>
        db.sql(
          "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1",
          [slot],
        );
      await cut();
      await program.waitForLog(/what was not confirmed is read again/);
      await db.sql("insert into parts values (2)");
      await waitUntilConfirmed({ ...db, slot }, program);
      assertEquals(await program.stop(), 0, program.stderr);
      assert((await storedTexts(kinesis, stream)).length >= 5, program.stderr);
      await using recreated = await Pg2kinesis.start([...flags, "--recreate-slot"], { env });
      await recreated.waitForLog(/following slot/);
      await cut();
      await recreated.waitForLog(/connected again/);
      assertEquals(await recreated.stop(), 0, recreated.stderr);
      await db.sql("drop table u; delete from parts");
    }

    const log = server.logs().slice(before);
    assertEquals(sprungTraps(log), []);
    // Beside what was found at run time: what could be, if our path were not in force.
    const questions = [...statementsOf(log)].filter((text) => /^\s*SELECT/i.test(text));
    assert(questions.length > 15, questions.join("\n"));
    assertEquals(await dependsOnTraps(db, questions), []);
  });
}

/** Steps into one, so that none that is there can be overlooked. */
async function theTrapsWork(db: FreshDatabase): Promise<string[]> {
  const before = db.server.logs().length;
  await db.server.sql("select 1 = 1", { database: db.database, user: "follower" });
  await waitFor(() => sprungTraps(db.server.logs().slice(before)).length > 0, {
    what: "a trap to be sprung",
  });
  return sprungTraps(db.server.logs().slice(before));
}

/** Each statement that the program sent, once. */
function statementsOf(log: string): Set<string> {
  const entries = log.matchAll(
    /^pg2kinesis\|LOG: {2}(?:statement|execute [^:]*): (.*(?:\n\t.*)*)/gm,
  );
  return new Set([...entries].map(([, text]) => text!));
}
