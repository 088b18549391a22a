import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { OutputPlugin } from "../../../src/options.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { flagsFor, waitUntilConfirmed } from "../../support/following_program.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { startKinesalite } from "../../support/kinesalite.ts";
import { Pg2kinesis } from "../../support/pg2kinesis.ts";
import { run } from "../../support/server_files.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { confirmedLsn, Following } from "../../support/following_source.ts";
import { Proxy } from "../../support/proxy.ts";
import { prepare } from "../../support/postgres_options.ts";

/** Copies the disk of a server, as a snapshot of a volume does; gives what puts it back. */
async function snapshot(server: TestPostgres): Promise<() => Promise<void>> {
  const copy = `${server.dataDir}.copy`;
  await server.stop("fast");
  await run("cp", ["-a", server.dataDir, copy]);
  await server.start();
  return async () => {
    await server.stop("immediate");
    await Deno.remove(server.dataDir, { recursive: true });
    await Deno.rename(copy, server.dataDir);
    await server.start();
  };
}

/** Writes more WAL than there was, in transactions of one row; gives their number. */
async function writePast(db: FreshDatabase, lsn: bigint, firstId: number): Promise<number> {
  for (let id = firstId;; id++) {
    await db.sql("insert into t values ($1, repeat('x', 500))", [id]);
    const [row] = await db.sql("select pg_current_wal_lsn() > $1::pg_lsn as done", [
      `${(lsn >> 32n).toString(16)}/${(lsn & 0xFFFFFFFFn).toString(16)}`,
    ]);
    if (row!.done) return id - firstId + 1;
  }
}

for (const plugin of ["test_decoding", "pgoutput"] as const satisfies OutputPlugin[]) {
  Deno.test(`a source stops at a server that was restored and has grown past what was received (${plugin})`, async () => {
    await using server = await startEmbeddedPostgres();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, v text)");
    await db.sql("create publication p for table t");
    await prepare(db, plugin, { create: true, publications: plugin === "pgoutput" ? ["p"] : [] });
    using proxy = new Proxy(server);
    await using following = await Following.start(db, plugin, {
      postgres: { hosts: [{ host: "127.0.0.1", port: proxy.port }] },
      slot: { publications: plugin === "pgoutput" ? ["p"] : [] },
    });
    const taken = async (id: number) => {
      await db.sql("insert into t values ($1, 'v')", [id]);
      await following.until((message) => {
        if (message.kind !== "xlogdata" || message.walStart <= following.flushLsn) return false;
        if (String.fromCharCode(message.dataAt(0)!) !== "C") return false;
        following.flushLsn = message.walStart;
        return true;
      });
      following.source.confirm();
      await waitFor(async () => await confirmedLsn(db) >= following.flushLsn, {
        what: "the confirmation",
      });
    };
    await taken(1);
    const restore = await snapshot(server);
    // A plain stop and start is no alarm, wherever its slot stands now.
    await taken(2);
    for (let id = 3; id < 20; id++) await taken(id);
    const received = following.flushLsn;
    // Before the source is back, the WAL has grown past what it received.
    const grown = Promise.withResolvers<void>();
    proxy.beforeAnswer = () => grown.promise;
    await restore();
    assert(await confirmedLsn(db) < received);
    const written = await writePast(db, received, 1000);
    grown.resolve();
    const error = await assertRejects(async () => {
      while (!(await following.next()).done);
    }, PostgresError);
    assertMatch(
      error.message,
      /does not have the transaction that ended at|put back to an earlier/,
    );
    const changes = plugin === "test_decoding"
      ? "pg_logical_slot_peek_changes($1, null, null)"
      : "pg_logical_slot_peek_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'p')";
    await waitFor(async () => {
      const [row] = await db.sql(
        "select active from pg_replication_slots where slot_name = $1",
        [db.slot],
      );
      return !row!.active;
    }, { what: "the slot to be free" });
    const [row] = await db.sql(`select count(distinct xid::text)::int as n from ${changes}`, [
      db.slot,
    ]);
    assert(row!.n >= written, `${row!.n} of ${written} transactions can still be read`);
  });
}

Deno.test("pg2kinesis ends with exit code 1 at a server that was restored under it", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, v text)");
  await db.createSlot("test_decoding");
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  using proxy = new Proxy(server);
  await using program = await Pg2kinesis.start([...flagsFor(db, "s"), "-p", String(proxy.port)], {
    env: kinesis.env,
  });
  await db.sql("insert into t values (1)");
  await waitUntilConfirmed(db, program);
  const restore = await snapshot(server);
  await db.sql("insert into t select n, repeat('x', 100) from generate_series(2, 300) n");
  await waitUntilConfirmed(db, program);
  const [row] = await db.sql("select pg_current_wal_lsn()::text as lsn");
  const [high, low] = row!.lsn.split("/").map((part: string) => BigInt(`0x${part}`));
  const grown = Promise.withResolvers<void>();
  proxy.beforeAnswer = () => grown.promise;
  await restore();
  await writePast(db, (high << 32n) | low, 1000);
  grown.resolve();
  const code = await program.waitForExit();
  assertEquals(code, 1, program.stderr);
  assertMatch(program.stderr, /ERROR .*does not have the transaction that ended/);
});
