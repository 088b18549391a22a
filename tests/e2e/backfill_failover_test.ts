import { assert, assertEquals, assertMatch } from "@std/assert";
import { consumed, parsed } from "../support/backfilled.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { createFailoverSlots } from "../support/failover_slots.ts";
import { freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { waitFor } from "../support/wait.ts";

const ROWS = 3_000;

/** What of the backfill's marks the standby never gets. */
for (const lost of ["no mark", "a mark on its way", "marks that were confirmed"] as const) {
  Deno.test(`a backfill goes on against a promoted standby that lost ${lost}, and the slot moves on`, async () => {
    await using parts = new AsyncDisposableStack();
    const primary = parts.use(await startEmbeddedPostgres());
    await using kinesis = await startKinesalite();
    // It goes with its server.
    const db = await freshDatabase(primary);
    await db.sql(`
      create table orders (id int primary key, note text);
      create publication published for table orders;
      insert into orders select n, repeat('x', 50) || n from generate_series(1, ${ROWS}) n`);
    const standby = parts.use(await primary.startStandby({ sync_replication_slots: "on" }));
    await createFailoverSlots(primary, standby, db.database, [[db.slot, "pgoutput"]]);
    if (lost === "no mark") {
      const { code, stderr } = await Pg2kinesis.run([
        ...["backfill", "-h", standby.host, "-p", String(standby.port), "-u", standby.superuser],
        ...["-d", db.database, "-s", db.slot, "--status"],
      ]);
      assertEquals([code, stderr.trim().split("\n").length], [1, 1], stderr);
      assertMatch(
        stderr,
        /ERROR the server at [^ ]+ is a standby; .*primary: name it in --pg-host/,
      );
    }
    if (lost !== "marks that were confirmed") {
      // No mark comes back before the standby has it.
      await db.sql("alter system set synchronized_standby_slots = 'standby'");
      await db.sql("select pg_reload_conf()");
    }
    const stream = freshStreamName();
    await kinesis.createStream(stream, 1);
    const hosts = [primary, standby].map(({ host, port }) => `${host}:${port}`).join();
    const url = `postgresql://postgres@${hosts}/${db.database}?target_session_attrs=primary`;
    const flags = [
      ...["--pg-url", url, "-s", db.slot, "-k", stream, "-f", "JSON"],
      ...["--pg-slot-output-plugin", "pgoutput", "--pg-publication", "published"],
    ];
    // The table would take half a minute.
    const slowly = async () => {
      const program = await Pg2kinesis.start([...flags, "--backfill-rate", "100"], {
        env: kinesis.env,
      });
      await program.waitForLog(/following slot/);
      return program;
    };
    await using first = await slowly();

    const records = async () => (await readBack(kinesis.client, stream)).records;
    const untilMore = async (count: number) => {
      const before = (await records()).length;
      await waitFor(async () => (await records()).length >= before + count, {
        ...{ what: `${count} more records`, found: () => first.stderr },
      });
    };
    await db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
      JSON.stringify({ slot: db.slot, id: "r", tables: ["public.orders"] }),
    ]);
    await untilMore(100);
    await db.sql("update orders set note = 'before' where id % 7 = 0");
    await waitUntilConfirmed(db, first);
    if (lost !== "no mark") {
      await standby.stop();
      const what = lost === "a mark on its way"
        ? "pg_current_wal_flush_lsn()"
        : "confirmed_flush_lsn";
      const [{ lsn }] = await db.sql("select pg_current_wal_flush_lsn()::text as lsn") as [Row];
      await waitFor(async () => {
        const [row] = await db.sql(
          `select ${what} > $1::pg_lsn as done from pg_replication_slots where slot_name = $2`,
          [lsn, db.slot],
        );
        return row!.done;
      }, { what: lost, found: () => first.stderr });
    }
    await primary.kill9();
    if (lost !== "no mark") await standby.start();
    await standby.sql("select pg_promote()");
    if (lost === "marks that were confirmed") {
      assertEquals(await first.waitForExit(60_000), 1, first.stderr);
      assertMatch(first.stderr, /lost its WAL from \S+ to \S+ in the failover/);
    }
    const program = lost === "marks that were confirmed" ? parts.use(await slowly()) : first;
    const there = {
      ...db,
      sql: (text: string, values?: unknown[]) =>
        standby.sql(text, { database: db.database, values }),
    };
    if (program === first) await program.waitForLog(/went from timeline 1 to 2/);
    await there.sql("update orders set note = 'after' where id % 5 = 0");
    await waitUntilConfirmed(there, program);
    assert(!program.stderr.includes("backfill r has ended"), program.stderr);
    // It lasted no minute.
    assert(!program.stderr.includes("a backfill cannot go on"), program.stderr);
    await program.kill9();

    // What it wrote on the new timeline is enough to go on.
    await using next = await Pg2kinesis.start(flags, { env: kinesis.env });
    await next.waitForLog(/backfill r has ended: 1 tables, 0 of them given up/);
    await there.sql("delete from orders where id % 11 = 0");
    await waitUntilConfirmed(there, next);
    assertEquals(await next.stop(), 0, next.stderr);

    const stored = await records();
    const [end] = stored.map(parsed).filter(({ op }) => op === "backfill");
    assertEquals([end?.complete, end?.request], [true, "r"]);
    const table = await there.sql("select id::text as id, note from orders order by id");
    for (const by of ["last", "position"] as const) {
      const copy = consumed(stored, by);
      assertEquals(copy.size, table.length);
      for (const { id, note } of table) {
        assertEquals(copy.get(`public.orders:{"id":"${id}"}`), { id, note }, `${id} by ${by}`);
      }
    }
  });
}
