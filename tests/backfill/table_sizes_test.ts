import { assert, assertEquals } from "@std/assert";
import { openReader } from "../../src/backfill/open_reader.ts";
import { isPlan } from "../../src/backfill/read_plan.ts";
import type { Reader } from "../../src/backfill/reader.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import {
  estimateRows,
  expectedOf,
  expectedOfAll,
  sizeUp,
  type TableSize,
} from "../../src/backfill/table_sizes.ts";
import { findDebianPostgres, startDebianPostgres } from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { postgresOptions } from "../support/postgres_options.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { waitFor } from "../support/wait.ts";

const servers = [await startEmbeddedPostgres()];
if (findDebianPostgres() !== undefined) servers.push(await startDebianPostgres());

const SIZE: TableSize = {
  bytes: 100 * 8192,
  blockBytes: 8192,
  analyzedRows: -1,
  analyzedPages: 0,
  liveRows: 0,
  rowBytes: 36,
};

Deno.test("estimateRows takes the density of the last ANALYZE, else what was counted, else the columns' width", () => {
  assertEquals(estimateRows({ ...SIZE, analyzedRows: 500, analyzedPages: 50 }), 1000);
  assertEquals(estimateRows({ ...SIZE, analyzedRows: 0, analyzedPages: 50, liveRows: 9000 }), 0);
  assertEquals(estimateRows({ ...SIZE, liveRows: 12_345 }), 12_345);
  // Those since a crash.
  assertEquals(estimateRows({ ...SIZE, liveRows: 5 }), 12_000);
  // Before 14.
  assertEquals(estimateRows({ ...SIZE, analyzedRows: 0 }), 12_000);
  assertEquals(estimateRows({ ...SIZE, bytes: 0, analyzedRows: 500, analyzedPages: 50 }), 0);
});

function table(rows: number, expected: number | undefined): TableRead {
  const read = new TableRead(16384, "public.t", undefined);
  read.rows = rows;
  if (expected !== undefined) read.expect(expected);
  return read;
}

Deno.test("what is expected is not known where one table's size is not, or it turns out to have more", () => {
  assertEquals(expectedOfAll([table(5, 100), table(0, 50)]), 150);
  assertEquals(expectedOfAll([table(5, 100), table(0, undefined)]), undefined);
  assertEquals(expectedOfAll([table(130, 100)]), undefined);
  assertEquals(expectedOf(table(130, 100)), undefined);
  // A small table in a large backfill.
  assertEquals(expectedOfAll([table(130, 100), table(0, 100_000)]), 100_130);
  const ended = table(130, 100);
  ended.end(true);
  assertEquals([expectedOf(ended), expectedOfAll([ended])], [130, 130]);
  const again = table(130, 100);
  again.readAgain = 40;
  assertEquals(expectedOf(again), 100);
  // From the beginning: what was published before stays counted.
  again.beginAnew();
  assertEquals(expectedOf(again), undefined);
  again.expect(200);
  assertEquals(expectedOf(again), 330);
});

async function withReader(db: FreshDatabase, use: (reader: Reader) => Promise<void>) {
  const controller = new AbortController();
  const reader = await openReader(postgresOptions(db.server, { database: db.database }), {
    plugin: "pgoutput",
    publications: ["published"],
    needsPrimaryKey: false,
    excludedOf: () => new Set(),
    clock: new VirtualClock(),
  }, controller.signal);
  try {
    await use(reader);
  } finally {
    reader.connection.destroy();
  }
}

async function planned(reader: Reader, name: string): Promise<TableRead> {
  const [{ oid }] = await reader.query("find", "select $1::regclass::oid::text as oid", [
    `public.${name}`,
  ]) as [
    { oid: string },
  ];
  const read = new TableRead(Number(oid), `public.${name}`, undefined);
  const plan = (await reader.plan([read.oid])).get(read.oid);
  if (plan === undefined || !isPlan(plan)) throw new Error(plan?.reason ?? "no table");
  read.plan = plan;
  return read;
}

for (const server of servers) {
  const major = Math.floor(server.version / 10000);

  Deno.test(`sizeUp estimates tables that were never analyzed, without waiting for anybody: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create table fresh (id int primary key, n int) with (autovacuum_enabled = false);
      create table refilled (id int primary key, n int) with (autovacuum_enabled = false);
      create table grown (id int primary key, n int) with (autovacuum_enabled = false);
      create table empty (id int primary key);
      create table filtered (id int primary key, n int);
      create table parts (id int primary key) partition by range (id);
      create table part partition of parts for values from (0) to (100000) with (autovacuum_enabled = false);
      create table locked (id int primary key);
      create publication published for table fresh, refilled, grown, empty, parts, locked,
        filtered where (n > 5)`);
    await db.sql("insert into fresh select n, n from generate_series(1, 20000) n");
    await db.sql("insert into part select n from generate_series(1, 20000) n");
    await db.sql("insert into refilled select n, n from generate_series(1, 100000) n");
    await db.sql("analyze refilled");
    await db.sql("truncate refilled");
    await db.sql("insert into refilled select n, n from generate_series(1, 20000) n");
    await db.sql("insert into grown select n, n from generate_series(1, 2000) n");
    await db.sql("analyze grown");
    await db.sql("insert into grown select n, n from generate_series(2001, 20000) n");
    await withReader(db, async (reader) => {
      const names = ["fresh", "part", "refilled", "grown", "empty"];
      const tables = await Promise.all(names.map((name) => planned(reader, name)));
      const [filtered, locked] = [
        await planned(reader, "filtered"),
        await planned(reader, "locked"),
      ];
      const isNear = (read: TableRead) => Math.abs(read.expected! - 20_000) < 2_000;
      const anew = async () => {
        for (const each of tables) each.expected = undefined;
        await sizeUp(reader, [...tables, filtered, locked]);
      };
      // A session's statistics may come late.
      await waitFor(async () => {
        await anew();
        return tables.slice(0, 4).every(isNear);
      }, { what: "estimates" });
      assertEquals(tables[4]!.expected, 0);
      // Nobody knows how many a row filter lets pass.
      assertEquals([filtered.expected, locked.expected], [undefined, 0]);

      // By the columns' width.
      await db.sql("select pg_stat_reset()");
      await anew();
      assert(tables.slice(0, 4).every(isNear), String(tables.map((each) => each.expected)));

      const owner = await server.connect({ database: db.database });
      await owner.query("begin; lock table locked; lock table parts");
      locked.expected = undefined;
      await anew();
      assertEquals([locked.expected, tables[1]!.expected], [undefined, undefined]);
      assert(isNear(tables[0]!));
      await owner.end();
      await waitFor(async () => {
        await anew();
        return locked.expected === 0 && isNear(tables[1]!);
      }, { what: "the estimate of a table that was locked" });
    });
  });
}
