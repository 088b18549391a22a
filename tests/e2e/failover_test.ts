import { assertEquals, assertMatch } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { freshStreamName, storedTexts, waitUntilConfirmed } from "../support/following_program.ts";

Deno.test("pg2kinesis with --slot-failover and two hosts goes on on the promoted standby", async () => {
  await using parts = new AsyncDisposableStack();
  const primary = parts.use(await startEmbeddedPostgres());
  await using kinesis = await startKinesalite();
  // It goes with its server.
  const db = await freshDatabase(primary);
  await db.sql("create table t (id int primary key)");
  const standby = parts.use(await primary.startStandby({ sync_replication_slots: "on" }));
  await db.sql("alter system set synchronized_standby_slots = 'standby'");
  await db.sql("select pg_reload_conf()");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const hosts = [standby, primary].map(({ host, port }) => `${host}:${port}`).join();
  const url = `postgresql://postgres@${hosts}/${db.database}?target_session_attrs=primary`;
  await using program = await Pg2kinesis.start([
    ...["--pg-url", url, "-s", db.slot, "-k", stream, "-f", "JSON"],
    ...["--pg-slot-output-plugin", "pgoutput", "--create-publication"],
    ...["--create-slot", "--slot-failover"],
  ], { env: kinesis.env });
  await program.waitForLog(/following slot/);

  const committed: number[] = [];
  const insert = async (server: typeof primary) => {
    const id = committed.length + 1;
    await server.sql(`insert into t values (${id})`, { database: db.database });
    committed.push(id);
  };
  await waitFor(async () => {
    await insert(primary);
    // Moves the slot on, and wakes the worker that copies it.
    await primary.sql("select pg_log_standby_snapshot()");
    const [slot] = await standby.sql(
      "select pg_reload_conf(), synced and not temporary as done from pg_replication_slots",
    );
    return slot?.done;
  }, { what: "the slot on the standby", timeoutMs: 90_000, found: () => program.stderr });
  await waitUntilConfirmed(db, program);
  const before = committed.length;
  await primary.kill9();
  await program.waitForLog(/connecting again/);
  await standby.sql("select pg_promote()");
  for (let n = 0; n < 5; n++) await insert(standby);
  const there = { ...db, sql: (text: string, values?: unknown[]) => standby.sql(text, { values }) };
  await waitUntilConfirmed(there, program);
  assertMatch(program.stderr, /went from timeline 1 to 2/);
  assertEquals(await program.stop(), 0, program.stderr);
  const stored = (await storedTexts(kinesis, stream)).map((text) => JSON.parse(text));
  assertEquals(stored.map(({ after }) => after.id), committed);
  // A position of the new timeline is above all of the one that was left.
  assertEquals(stored.map(({ timeline }) => timeline), committed.map((id) => id > before ? 2 : 1));
});
