import { assert, assertEquals, assertMatch } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { startServerWithPlugins } from "../support/all_plugins.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const { server, plugins } = await startServerWithPlugins();
const newest = await startEmbeddedPostgres();
const HEARTBEAT = ["--heartbeat", "200ms"];

/** Counts the heartbeats in the database's WAL by a slot of its own. */
async function watchHeartbeats(db: FreshDatabase) {
  const slot = `${db.slot}_watch`;
  await db.sql("select pg_create_logical_replication_slot($1, 'test_decoding')", [slot]);
  let seen = 0;
  let lastLsn = "0/0";
  const look = async () => {
    const rows = await db.sql(
      "select lsn::text, data from pg_logical_slot_get_changes($1, null, null) order by lsn",
      [slot],
    );
    for (const { lsn, data } of rows) {
      if (!data.includes("prefix: pg2kinesis.heartbeat")) continue;
      assertMatch(data, /^message: transactional: 1 /);
      seen++;
      lastLsn = lsn;
    }
    return seen;
  };
  return {
    /** Waits for `count` more; gives the LSN of the last one. */
    async more(count: number): Promise<string> {
      const enough = await look() + count;
      await waitFor(async () => await look() >= enough, { what: `${count} more heartbeats` });
      return lastLsn;
    },
  };
}

const setups = [...plugins.map((plugin) => ({ plugin, on: server })), {
  plugin: "pgoutput",
  on: newest,
}];
for (const { plugin, on } of setups) {
  const name = `${plugin} on ${Math.floor(on.version / 10000)}`;
  Deno.test(`--heartbeat moves the slot of ${name} and publishes nothing`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(on);
    await db.sql("create table t (id integer primary key)");
    await db.sql(`create publication ${db.slot} for table t`);
    await db.createSlot(plugin);
    const heartbeats = await watchHeartbeats(db);
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await using program = await Pg2kinesis.start([
      ...flagsFor(db, stream),
      ...HEARTBEAT,
      ...["--pg-slot-output-plugin", plugin, "-f", "JSON", "--message-prefix", "*"],
    ], { env: kinesis.env });
    await program.waitForLog(/following slot/);

    const lsn = await heartbeats.more(3);
    await waitFor(async () => {
      const [row] = await db.sql(
        "select confirmed_flush_lsn > $2::pg_lsn as done from pg_replication_slots where slot_name = $1",
        [db.slot, lsn],
      );
      return row!.done;
    }, { what: `the slot to be confirmed beyond ${lsn}`, found: () => program.stderr });
    assertEquals(await storedTexts(kinesis, stream), []);

    // Whoever wrote it: it is counted, not shown; a message of another prefix is published.
    await db.sql(`begin;
      insert into t values (1);
      select pg_logical_emit_message(true, 'pg2kinesis.heartbeat', 'by hand');
      select pg_logical_emit_message(true, 'pg2kinesis_heartbeat', 'another');
      commit`);
    await waitUntilConfirmed(db, program);
    const published = (await storedTexts(kinesis, stream)).map((text) => JSON.parse(text));
    assertEquals(published.map(({ op, seq, prefix }) => [op, seq, prefix]), [
      ["insert", 0, undefined],
      ["message", 2, "pg2kinesis_heartbeat"],
    ]);
    assertEquals(await program.stop(), 0, program.stderr);
    assert(!/WARN/.test(program.stderr), program.stderr);
  });
}

/** With its arguments, of which newer servers have more. */
const EMIT = await server.sql(
  "select oid::regprocedure::text as name from pg_proc where proname = 'pg_logical_emit_message' and prosrc ~ 'text'",
).then(([row]) => row!.name);

/** Starts the program on a slot of test_decoding. */
async function startBeating(db: FreshDatabase, kinesis: { env: Record<string, string> }) {
  await db.createSlot("test_decoding");
  return await Pg2kinesis.start([
    ...flagsFor(db, freshStreamName()),
    ...HEARTBEAT,
    "--create-stream",
  ], { env: kinesis.env });
}

Deno.test("--heartbeat goes on by itself when its connection is lost", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const heartbeats = await watchHeartbeats(db);
  await using program = await startBeating(db, kinesis);
  for (let round = 0; round < 2; round++) {
    await heartbeats.more(2);
    const [row] = await db.sql(
      `select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and query like '%pg_logical_emit_message%'
          and pid <> pg_backend_pid()`,
    );
    assertEquals(row?.count, "1");
  }
  await heartbeats.more(2);
  assertEquals(await program.stop(), 0, program.stderr);
  assert(!/WARN/.test(program.stderr), program.stderr);
});

Deno.test("--heartbeat that may not be emitted is warned of once, and the run goes on", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const heartbeats = await watchHeartbeats(db);
  const role = `${db.slot}_role`;
  await db.sql(`create role ${role} login replication;
    revoke execute on function ${EMIT} from public`);
  try {
    await db.createSlot("test_decoding");
    const flags = flagsFor(db, freshStreamName());
    flags[flags.indexOf("-u") + 1] = role;
    await using program = await Pg2kinesis.start(
      [...flags, ...HEARTBEAT, "--create-stream", "--log-level", "debug"],
      { env: kinesis.env },
    );
    await program.waitForLog(/WARNING no heartbeat: .*42501.*GRANT EXECUTE/);
    // Each attempt connects anew.
    const logins = () => program.stderr.match(/logged in/g)!.length;
    const before = logins();
    await waitFor(() => logins() >= before + 3, { what: "three more attempts" });
    await db.sql(
      `grant execute on function ${EMIT} to ${role}`,
    );
    await program.waitForLog(/INFO heartbeats are emitted again/);
    await heartbeats.more(1);

    await db.sql(`alter database ${db.database} set default_transaction_read_only = on`);
    await server.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1",
      { values: [role] },
    );
    // That is only a default of the database's sessions.
    await program.waitForLog(/connected again/);
    await heartbeats.more(2);
    assertEquals(await program.stop(), 0, program.stderr);
    assertEquals(program.stderr.match(/WARNING no heartbeat/g)?.length, 1, program.stderr);
  } finally {
    await server.sql(`alter database ${db.database} reset default_transaction_read_only`);
    await db.sql(`set default_transaction_read_only = off; drop owned by ${role}`);
    await server.sql(`drop role ${role}`);
  }
});

Deno.test("--heartbeat on a server without logical messages ends the run", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`alter function ${EMIT} rename to no_messages`);
  await using program = await startBeating(db, kinesis);
  assertEquals(await program.waitForExit(), 1);
  assertMatch(
    program.stderr,
    /ERROR --heartbeat needs pg_logical_emit_message\(\), .*leave --heartbeat out\n/,
  );
});

Deno.test("--heartbeat moves a slot on a standby, by way of the primary", async () => {
  await using parts = new AsyncDisposableStack();
  const primary = parts.use(await startEmbeddedPostgres());
  const db = await freshDatabase(primary);
  const standby = parts.use(await primary.startStandby());
  const kinesis = parts.use(await startKinesalite());
  const start = async (slot: string, servers: (typeof standby)[]) => {
    const program = parts.use(
      await Pg2kinesis.start([
        ...["-h", servers.map(({ host }) => host).join(), "-u", primary.superuser],
        ...["-p", servers.map(({ port }) => port).join(), "-d", db.database],
        ...["-s", slot, "--create-slot", "-k", freshStreamName(), "--create-stream", ...HEARTBEAT],
      ], { env: kinesis.env }),
    );
    // A slot on a standby waits for what only the primary can write.
    await waitFor(async () => {
      await primary.sql("select pg_log_standby_snapshot()");
      return /following slot/.test(program.stderr) || program.exitCode !== undefined;
    }, { what: "the slot to be followed", found: () => program.stderr });
    return program;
  };

  const alone = await start("alone", [standby]);
  await alone.waitForLog(/WARNING no heartbeat: .*is a standby.*name the primary in --pg-host too/);
  const { host, port, superuser } = standby;
  const check = await Pg2kinesis.run([
    ...["check", "-h", host, "-p", String(port), "-u", superuser, "-d", db.database],
    ...["-s", "alone", "-k", "none", "--heartbeat", "1m"],
  ], { env: kinesis.env });
  assertMatch(check.stdout, /! heartbeat.*there will be none: .* is a standby/);
  const program = await start("with_primary", [standby, primary]);
  const [now] = await primary.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await waitFor(async () => {
    const [row] = await standby.sql(
      "select confirmed_flush_lsn > $1::pg_lsn as done from pg_replication_slots where slot_name = 'with_primary'",
      { values: [now!.lsn] },
    );
    return row?.done;
  }, { what: "the slot on the standby to move", found: () => program.stderr });
  for (const each of [alone, program]) assertEquals(await each.stop(), 0, each.stderr);
  assert(!/WARN/.test(program.stderr), program.stderr);
});
