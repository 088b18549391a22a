import { assert, assertEquals, assertMatch } from "@std/assert";
import { printReaderName } from "../../src/backfill/progress.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { freshStreamName } from "../support/following_program.ts";

const servers = [await startEmbeddedPostgres()];
if (findDebianPostgres() === undefined) console.warn(NO_DEBIAN_POSTGRES);
else servers.push(await startDebianPostgres());

interface Choices {
  readonly user?: string;
  readonly slot?: string;
}

function flagsOf(db: FreshDatabase, { user = db.server.superuser, slot = db.slot }: Choices = {}) {
  const { host, port } = db.server;
  return ["-h", host, "-p", String(port), "-u", user, "-d", db.database, "-s", slot];
}

const ask = (db: FreshDatabase, args: readonly string[], choices?: Choices) =>
  Pg2kinesis.run(["backfill", ...flagsOf(db, choices), ...args]);

/** The messages that are in the slot, which has test_decoding. */
async function messagesOf(db: FreshDatabase): Promise<Record<string, unknown>[]> {
  const rows = await db.sql(
    `select data from pg_logical_slot_peek_changes($1, null, null) where data like 'message:%'`,
    [db.slot],
  );
  return rows.map(({ data }) => {
    const found = /^message: transactional: 1 prefix: pg2kinesis\.backfill, sz: \d+ content:(.*)$/s
      .exec(data);
    return JSON.parse(found![1]!);
  });
}

for (const server of servers) {
  const major = Math.floor(server.version / 10000);

  Deno.test(`backfill writes one message, whoever asks, and says when no run follows: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    await db.sql(`create table orders (id int primary key); create table "Odd" (id int primary key);
      create table nokey (id int); create view seen as select 1;
      create role asker_${major} login`);
    const first = await ask(db, ["--table", "public.orders"]);
    assertEquals(first.code, 0, first.stderr);
    assertMatch(first.stdout, /^[0-9a-f]{10}\n$/);
    assertMatch(
      first.stderr,
      new RegExp(`WARNING no run follows the slot ${db.slot}: what was asked`),
    );
    assertEquals(await messagesOf(db), [
      { kind: "request", slot: db.slot, id: first.stdout.trim(), tables: ["public.orders"] },
    ]);

    const wild = await ask(db, ["--table", "public.*", "--table", "public.Odd"]);
    assertEquals(wild.code, 0, wild.stderr);
    assertMatch(
      wild.stderr,
      /public\.nokey cannot be backfilled: it has no primary key.*; the others/,
    );
    assertMatch(wild.stderr, /asked the run .* for the rows of 2 tables/);
    assert(!wild.stderr.includes("public.seen"), wild.stderr);
    assertMatch(wild.stderr, /REPLICA IDENTITY USING INDEX <one>; the others/);
    const stop = await ask(db, ["--stop", "--table", "public.orders"]);
    assertEquals([stop.code, stop.stdout], [0, ""], stop.stderr);
    assert(!stop.stderr.includes("may end nothing"), stop.stderr);
    const slip = await ask(db, ["--stop", "--table", "public.order", "--table", "public.*"]);
    assertMatch(
      slip.stderr,
      /WARNING this may end nothing: .* public\.order .*mean public\.orders\?/,
    );
    assertEquals(slip.stderr.split("may end nothing").length, 2);
    assertEquals((await messagesOf(db)).slice(1), [
      {
        ...{ kind: "request", slot: db.slot, id: wild.stdout.trim() },
        tables: ["public.*", "public.Odd"],
      },
      { kind: "stop", slot: db.slot, tables: ["public.orders"] },
      { kind: "stop", slot: db.slot, tables: ["public.order", "public.*"] },
    ]);

    // Without a run it is the one who asks whose rights count.
    const stranger = await ask(db, ["--table", "public.orders"], { user: `asker_${major}` });
    assertEquals([stranger.code, stranger.stdout], [1, ""]);
    assertMatch(
      stranger.stderr,
      /public\.orders cannot be backfilled: it may not be read by the role "asker_\d+" .*; run GRANT SELECT ON "public"\."orders" TO "asker_\d+";$/m,
    );
    await db.sql(`drop role asker_${major}`);
  });

  Deno.test(`backfill refuses in one line that says what mends it: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    await db.sql(
      `create table orders (id int primary key); create table late (id int primary key deferrable);
      create table parts (id int primary key) partition by range (id);
      create view seen as select 1`,
    );
    const refused = async (args: readonly string[], message: RegExp, choices?: Choices) => {
      const { code, stdout, stderr } = await ask(db, args, choices);
      assertEquals([code, stdout], [1, ""], stderr);
      assertMatch(stderr, message);
      assertEquals(stderr.trim().split("\n").length, 1, stderr);
    };
    await refused(
      ["--table", "public.order"],
      /there is no table public\.order .*did you mean public\.orders\?/,
    );
    await refused(
      ["--table", "sales.*"],
      /--table sales\.\* matches none of the database's tables/,
    );
    await refused(
      ["--table", "public.late"],
      /primary key that is DEFERRABLE.*; run ALTER TABLE "public"\."late" DROP CONSTRAINT "late_pkey", ADD/,
    );
    await refused(["--table", "public.seen"], /public\.seen cannot be backfilled: it is a view/);
    await refused(["--table", "public.parts"], /public\.parts has no partitions, and so no rows/);
    await refused(
      ["--table", "public.orders"],
      new RegExp(
        `there is no replication slot "nobodys" on .*--pg-slot-name \\(here are ${db.slot}\\)`,
      ),
      { slot: "nobodys" },
    );
    await using other = await freshDatabase(server);
    await refused(
      ["--status", "-d", other.database],
      new RegExp(
        `the slot "${db.slot}" is of the database "${db.database}", not of "${other.database}"`,
      ),
    );
    await db.sql("select pg_create_physical_replication_slot($1)", [`${db.slot}_p`]);
    await refused(["--status"], /is a physical one, which no run/, { slot: `${db.slot}_p` });
    await db.sql("select pg_drop_replication_slot($1)", [`${db.slot}_p`]);
    await db.sql("select pg_create_logical_replication_slot($1, 'pgoutput')", [`${db.slot}_o`]);
    const pgoutput = { slot: `${db.slot}_o` };
    await refused(
      ["--table", "public.orders"],
      /there is no publication "\w+_o" .*--pg-publication/,
      pgoutput,
    );
    await db.sql("create publication few for table late");
    await refused(
      ["--table", "public.orders", "--pg-publication", "few"],
      /is not in "few"; run ALTER PUBLICATION "few" ADD TABLE ONLY "public"\."orders";$/m,
      pgoutput,
    );
    assertEquals(await messagesOf(db), []);
  });

  Deno.test(`the rights of the role that follows the slot count: ${major}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const role = `run_${db.slot}`;
    await db.sql(`create role ${role} login replication; create table orders (id int primary key)`);
    await db.createSlot("test_decoding");
    await using program = await Pg2kinesis.start(
      [...flagsOf(db, { user: role }), "-k", freshStreamName(), "--create-stream"],
      { env: kinesis.env },
    );
    await program.waitForLog(/following slot/);
    const refused = await ask(db, ["--table", "public.orders"]);
    assertEquals(refused.code, 1, refused.stderr);
    assertMatch(refused.stderr, new RegExp(`run GRANT SELECT ON "public"."orders" TO "${role}";`));
    await db.sql(`grant select on orders to ${role}`);
    const [{ signature } = { signature: "" }] = await db.sql(
      "select oid::regprocedure::text as signature from pg_proc where proname = 'pg_logical_emit_message' and proargtypes[2] = 'text'::regtype",
    );
    await db.sql(`revoke execute on function ${signature} from public`);
    const mute = await ask(db, ["--table", "public.orders"]);
    assertEquals(mute.code, 1, mute.stderr);
    const grant = /may not write the messages.*; run (GRANT EXECUTE ON FUNCTION pg_catalog\..*;)$/m
      .exec(mute.stderr);
    await db.sql(grant?.[1] ?? mute.stderr);
    const asked = await ask(db, ["--table", "public.orders"]);
    assertEquals(asked.code, 0, asked.stderr);
    assert(!/no run follows/.test(asked.stderr), asked.stderr);
    const mine = await ask(db, ["--stop"], { user: role });
    assertEquals(mine.code, 0, mine.stderr);
    assertEquals(await program.stop(), 0, program.stderr);
    await db.sql(`grant execute on function ${signature} to public;
      drop owned by ${role}; drop role ${role}`);
  });

  Deno.test(`backfill --status tells from any host what a reader says: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    const idle = await ask(db, ["--status"]);
    assertEquals(
      idle.stdout,
      `no run follows the slot "${db.slot}"; a backfill that was asked for, or has begun, waits for one\n`,
    );
    await db.sql(`create role looker_${major} login`);
    const reader = await server.connect({ database: db.database });
    try {
      const name = printReaderName({
        ...{ percentage: 42, slot: db.slot, doing: "reading", table: "public.orders" },
      });
      await reader.query(`set application_name = '${name}'`);
      const status = await ask(db, ["--status"], { user: `looker_${major}` });
      assertEquals(status.code, 0, status.stderr);
      assertMatch(
        status.stdout,
        new RegExp(
          `^42 %: reading public.orders \\(slot "${db.slot}", the server's process \\d+\\)\n$`,
        ),
      );
      const json = JSON.parse((await ask(db, ["--status", "--json"])).stdout);
      assertEquals({
        ...json,
        readers: json.readers.map((each: { pid: number }) => ({ ...each, pid: 0 })),
      }, {
        slot: db.slot,
        followed: false,
        readers: [{ percentage: 42, doing: "reading", table: "public.orders", pid: 0 }],
      });
      await reader.query(`set application_name = '?% backfill ${db.slot} reading public.orders'`);
      assertMatch(
        (await ask(db, ["--status"])).stdout,
        /^how far is not known: reading public\.orders \(slot /,
      );
      const unknown = JSON.parse((await ask(db, ["--status", "--json"])).stdout);
      assertEquals(unknown.readers[0].percentage, null);
      await reader.query("set application_name = '7% backfill another_slot reading public.orders'");
      assertEquals((await ask(db, ["--status"])).stdout, idle.stdout);
    } finally {
      await reader.end();
    }
    await db.sql(`drop role looker_${major}`);
  });

  Deno.test(`backfill --wait follows what the run says, and ends with it: ${major}`, async (t) => {
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    await db.sql(
      "create table orders (id int primary key); create table items (id int primary key)",
    );
    const waiting = async () => {
      const program = await Pg2kinesis.start([
        "backfill",
        ...flagsOf(db),
        "--table",
        "public.*",
        "--wait",
      ]);
      await program.waitForLog(/asked the run/);
      const request = program.stdout.trim();
      const say = (news: Record<string, unknown>) =>
        db.sql("select pg_notify('pg2kinesis_backfill', $1)", [
          JSON.stringify({ slot: db.slot, request, ...news }),
        ]);
      return { program, say };
    };
    await t.step("all rows are stored", async () => {
      const { program, say } = await waiting();
      await using _ = program;
      await say({ news: "taken", tables: 2 });
      await say({ news: "done", request: "another" });
      await say({ news: "done", slot: "another" });
      await say({ news: "table", table: "public.orders", rows: 3 });
      await program.waitForLog(/public\.orders: all 3 rows are stored/);
      assertEquals(program.exitCode, undefined);
      await say({ news: "table", table: "public.items", rows: 0 });
      await say({ news: "done", tables: 0 });
      assertEquals(await program.waitForExit(), 0, program.stderr);
      assertMatch(program.stderr, /has taken the request \w+: 2 tables to read/);
    });
    await t.step("a table was given up", async () => {
      const { program, say } = await waiting();
      await using _ = program;
      await say({ news: "table", table: "public.orders", rows: 3, reason: "it was dropped" });
      await say({ news: "done", tables: 1 });
      assertEquals(await program.waitForExit(), 1, program.stderr);
      assertMatch(
        program.stderr,
        /WARNING public\.orders was given up after 3 rows: it was dropped/,
      );
    });
    await t.step("the connection is lost", async () => {
      const { program } = await waiting();
      await using _ = program;
      await waitFor(async () => {
        const rows = await db.sql(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg2kinesis' and datname = $1",
          [db.database],
        );
        return rows.length > 0;
      }, { what: "the connection that waits" });
      assertEquals(await program.waitForExit(), 1);
      assertMatch(
        program.stderr,
        /the connection by which the run tells .* was lost \(.*\); the backfill goes on/,
      );
    });
    await t.step("it is interrupted", async () => {
      const { program } = await waiting();
      await using _ = program;
      assertEquals(await program.stop(), 1);
      assertMatch(program.stderr, /no longer waiting for the request \w+: the backfill goes on/);
    });
  });
}
