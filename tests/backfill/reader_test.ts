import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { FetchTooLarge, NotLarge } from "../../src/backfill/large_row.ts";
import { openReader } from "../../src/backfill/open_reader.ts";
import type { ChunkRead, Reader } from "../../src/backfill/reader.ts";
import { isPlan } from "../../src/backfill/read_plan.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import { systemClock } from "../../src/base/clock.ts";
import { TooLargeError } from "../../src/base/errors.ts";
import { PostgresError } from "../../src/postgres/connection/postgres_error.ts";
import { findDebianPostgres, startDebianPostgres } from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { postgresOptions } from "../support/postgres_options.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";

const servers = [await startEmbeddedPostgres()];
if (findDebianPostgres() !== undefined) servers.push(await startDebianPostgres());

async function withReader(db: FreshDatabase, use: (reader: Reader) => Promise<void>) {
  const controller = new AbortController();
  const reader = await openReader(postgresOptions(db.server, { database: db.database }), {
    plugin: "test_decoding",
    publications: [],
    needsPrimaryKey: false,
    excludedOf: () => new Set(),
    clock: systemClock,
  }, controller.signal);
  try {
    await use(reader);
  } finally {
    reader.connection.destroy();
  }
}

/** Types of a key's columns, with values in the order in which the server has them. */
const KEYS: readonly (readonly [type: string, ...values: string[]])[] = [
  ["numeric", "'-Infinity'", "-1.50", "0", "1e30", "'Infinity'", "'NaN'"],
  ["float8", "'-Infinity'", "'-0'", "5e-324", "0.1", "'Infinity'", "'NaN'"],
  ["float4", "'-Infinity'", "0", "1.1", "'NaN'"],
  [
    "timestamp",
    "'-infinity'",
    "'0044-03-15 12:00 BC'",
    "'2026-11-29 01:02:03.456789'",
    "'infinity'",
  ],
  ["timestamptz", "'-infinity'", "'4713-01-01 BC'", "'2026-11-29 01:02:03+05:30'", "'infinity'"],
  ["date", "'-infinity'", "'0001-01-01 BC'", "'2026-11-29'", "'infinity'"],
  ["timetz", "'08:00+02'", "'08:00-02'", "'24:00'"],
  ["interval", "'-1 year'", "'1 day 02:00'", "'1 mon'"],
  ["bool", "false", "true"],
  ['"char"', "'a'", "'b'"],
  ["name", "'a'", "'b c'"],
  ["char(4)", "''", "'a'", "'ab'"],
  ["varchar(5)", "''", "'a '", "'b'"],
  ["text", "''", "'''\\'", "E'a\\nb'", "'b'", "'é'"],
  ['text collate "C"', "''", "'B'", "'a'", "'é'"],
  ['text collate "en-x-icu"', "'a'", "'B'", "'c'"],
  ["k.ci", "'a'", "'B'", "'c'"],
  ["bytea", "''", "'\\x00'", "'\\x5c27'", "'\\xff'"],
  ["jsonb", "'null'", "'\"a\"'", "'1.50'", "'[1]'", "'{\"a\": 1}'"],
  ["uuid", "'00000000-0000-0000-0000-000000000000'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  ["inet", "'10.0.0.0/8'", "'10.0.0.1'", "'::1'"],
  ["cidr", "'10.0.0.0/8'", "'10.1.0.0/16'"],
  ["macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'"],
  ["bit(3)", "B'001'", "B'100'"],
  ["varbit", "B''", "B'0'", "B'101'"],
  ["oid", "1", "4000000000"],
  ["pg_lsn", "'0/1'", "'FFFFFFFF/1'"],
  ["xid8", "'1'", "'18446744073709551615'"],
  ["money", "-1", "12.3"],
  ["tid", "'(0,1)'", "'(1,1)'"],
  ["int[]", "'{}'", "'{1,2}'", "array[null]::int[]"],
  ["text[]", "'{}'", '\'{"a,b","\\""}\'', "'{b}'", "array[null]::text[]"],
  ["int4range", "'empty'", "'(,1)'", "'[1,5)'"],
  ["tstzrange", "'(,)'", "'[2026-01-01,)'"],
  ["int4multirange", "'{}'", "'{[1,2),[4,5)}'"],
  ["tsvector", "''", "'a cat'"],
  ["k.mood", "'sad'", "'happy'"],
  ["k.mood[]", "'{}'", "'{sad,happy}'"],
  ["k.pair", "'(1,)'", "'(1,\"a b\")'", "'(2,)'"],
  ["k.pair[]", "'{}'", "'{\"(1,a)\"}'"],
  ['k."Odd Type"', "'x.y'", "'z'"],
  ["k.positive", "1", "2"],
  ["k.agreed", "false", "true"],
  ["k.pairs", "'(1,a)'", "'(2,a)'"],
];

const TYPES = `
  create schema k; create type k.mood as enum ('sad', 'happy'); create type k.pair as (a int, b text);
  create domain k.positive as int check (value > 0); create domain k.agreed as boolean;
  create domain k.ci as text collate "en-x-icu";
  create domain k.pairs as k.pair; create type k."Odd Type" as enum ('x.y', 'z')`;

/** Reads a table one row after the other; gives the keys as the server prints them. */
async function keysRowByRow(reader: Reader, table: TableRead): Promise<string[][]> {
  const keys: string[][] = [];
  while (!table.isScanned) {
    const [part] = (await readOnce(reader, table)).parts;
    keys.push(...part!.rows.map(({ keyValues }) => [...keyValues]));
    table.after = keys.at(-1);
    table.isScanned = part!.isScanned;
  }
  return keys;
}

async function readOnce(reader: Reader, table: TableRead, keys?: readonly string[][]) {
  let found: ChunkRead | undefined;
  const again = keys?.map((values) =>
    [values.join(), { values, xid: 3, bound: undefined, step: undefined }] as const
  );
  await reader.read(
    [{ table, again }],
    { maxBytes: 1_000_000, maxRows: 1, timeoutMs: 5_000 },
    (read) => {
      found = read;
      return "{}";
    },
  );
  return found!;
}

async function planned(reader: Reader, name: string): Promise<TableRead> {
  const rows = await reader.query("find", "select to_regclass($1)::oid::text as oid", [name]);
  const table = new TableRead(Number(rows[0]!.oid), name, undefined);
  const plan = (await reader.plan([table.oid])).get(table.oid);
  if (plan === undefined || !isPlan(plan)) throw new Error(`${name}: ${plan?.reason}`);
  table.plan = plan;
  return table;
}

for (const server of servers) {
  const major = Math.floor(server.version / 10000);

  Deno.test(`Reader reads behind a key of every type: ${major}`, async (t) => {
    await using db = await freshDatabase(server);
    await db.sql(`${TYPES}; alter database ${db.database} set array_nulls = off`);
    await withReader(db, async (reader) => {
      for (const [index, [type, ...values]] of KEYS.entries()) {
        await t.step(type, async () => {
          const name = `k.t${index}`;
          const inserts = values.map((value, place) =>
            `insert into ${name} values (${value}, ${place}); insert into ${name}_2 values (1, ${value})`
          );
          await db.sql(`create table ${name} (id ${type} primary key, place int);
            create table ${name}_2 (one int, id ${type}, primary key (one, id)); ${
            inserts.join("; ")
          }`);
          const wanted =
            (await db.sql(`select format('%s', id) as id from ${name} order by ${name}.id`))
              .map(({ id }) => id);
          const table = await planned(reader, name);
          const keys = await keysRowByRow(reader, table);
          assertEquals(keys.length, values.length);
          if (type !== "bool" && type !== "k.agreed") assertEquals(keys.map(([id]) => id), wanted);
          const again = await readOnce(reader, table, keys);
          assertEquals(again.parts[0]!.rows.map(({ keyValues }) => keyValues), keys);
          const both = await planned(reader, `${name}_2`);
          assertEquals(await keysRowByRow(reader, both), keys.map(([id]) => ["1", id!]));
        });
      }
    });
  });

  Deno.test(`Reader reads of a row that is too large its key and its size: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`create table t (id int primary key, a text, b text, c int);
      alter table t alter a set storage external; alter table t alter b set storage external;
      insert into t values (1, 'a', 'b', null),
        (2, repeat('x', 30 * 1024 * 1024), repeat('y', 30 * 1024 * 1024), null), (3, 'c', 'd', 5)`);
    await withReader(db, async (reader) => {
      const table = await planned(reader, "public.t");
      table.after = ["1"];
      const error = await assertRejects(() => readOnce(reader, table), FetchTooLarge);
      assertEquals(error.rows, 0);
    });
    await withReader(db, async (reader) => {
      const again = await planned(reader, "public.t");
      const assertLarge = ({ parts: [part] }: ChunkRead) => {
        const [row] = part!.rows;
        assertEquals([row!.key, row!.find("id", "test_decoding")!.value], ["2", "2"]);
        const large = assertThrows(() => row!.find("c", "test_decoding")!.value, TooLargeError);
        assertEquals(large.bytes, 60 * 1024 * 1024);
      };
      for (const place of ["1", "2"]) {
        again.after = [place];
        again.largeRow = "next";
        if (place === "1") assertLarge(await readOnce(reader, again));
        else await assertRejects(() => readOnce(reader, again), NotLarge);
        const key = String(Number(place) + 1);
        again.largeRow = "again";
        if (place === "1") assertLarge(await readOnce(reader, again, [[key]]));
        else await assertRejects(() => readOnce(reader, again, [[key]]), NotLarge);
      }
      // What is not for that one is read as ever.
      const [row] = (await readOnce(reader, again)).parts[0]!.rows;
      assertEquals(row!.values, ["3", "c", "d", "5"]);
    });
  });

  Deno.test(`Reader reads behind names, whatever takes them: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create schema k; create table a (); create table k."B b" (); create table c ();
      create domain dom as regclass; create table named (id dom primary key, place int);
      insert into named values ('a', 1), ('k."B b"', 2), ('c', 3), ('pg_class', 0);
      create table typed (id regtype primary key);
      insert into typed values ('int4'), ('a'), ('k."B b"')`);
    await withReader(db, async (reader) => {
      const shown = async (table: TableRead, keys?: readonly string[][]) =>
        (await readOnce(reader, table, keys)).parts[0]!.rows.map(({ key }) => key);
      const table = await planned(reader, "public.named");
      const found: string[] = [];
      while (found.length < 4) {
        const [row] = (await readOnce(reader, table)).parts[0]!.rows;
        found.push(row!.key);
        table.after = row!.keyValues;
        // Behind which nothing would lie.
        if (found.length === 2) {
          await db.sql("alter table a rename to d; alter table c rename to a");
        }
      }
      assertEquals(found, ["pg_class", "a", 'k."B b"', "a"]);
      // As a change tells them.
      assertEquals(await shown(table, [["d"], ['k."B b"']]), ["d", 'k."B b"']);
      assertEquals(await keysRowByRow(reader, await planned(reader, "public.typed")), [
        ["23"],
        ...await db.sql(
          "select id::oid::text as id from typed where id <> 'int4'::regtype order by typed.id",
        )
          .then((rows) => rows.map(({ id }) => [id])),
      ]);
    });
  });

  Deno.test(`a read runs nothing of the table's owner: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create function trap(anyelement) returns boolean language plpgsql as
        'begin raise log ''trap sprung''; return true; end';
      create domain d as int check (trap(value)); create type c as (d d); create type cc as (c c);
      create type r as range (subtype = d); create domain dd as d; create domain da as d[];
      create table by_domain (id dd primary key); insert into by_domain values (1), (2);
      create table t0 (id d[] primary key); create table t1 (id c primary key);
      create table t2 (id cc primary key); create table t3 (id r primary key);
      create table t4 (id da primary key); create table t5 (id c[] primary key); create table t6 (id r_multirange primary key)`);
    const before = server.logs().length;
    await withReader(db, async (reader) => {
      for (let index = 0; index <= 6; index++) {
        const error = await planned(reader, `public.t${index}`).catch((error) => error);
        assertMatch(error.message, /whose type contains a domain/);
      }
      const table = await planned(reader, "public.by_domain");
      assertEquals(await keysRowByRow(reader, table), [["1"], ["2"]]);

      // Whoever owns the schema may put a view in the place of a table that is locked already.
      await db.sql("create view impostor as select 1 as id, trap(1)");
      const [{ can }] = await reader.query(
        "ask",
        "select count(*)::text as can from pg_settings where name = 'restrict_nonsystem_relation_kind'",
      ) as [{ can: string }];
      const read = reader.query("read a view", 'SELECT * FROM ONLY "public"."impostor" AS t');
      if (can === "1") await assertRejects(() => read, PostgresError, "non-system view");
    });
    assert(!server.logs().slice(before).includes("trap sprung"), server.logs().slice(before));
  });
}
