import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { loadCatalog, type PgCatalog } from "../../../src/postgres/catalog/catalog.ts";
import type { KnownTable } from "../../../src/postgres/catalog/known_table.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { logged } from "../../support/logs.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { postgresOptions } from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

type ClosingCatalog = PgCatalog & Disposable;

/** A catalog seen by a role that may do nothing with any table. */
async function load(db: FreshDatabase): Promise<ClosingCatalog> {
  const role = db.database.replace("t_", "least_");
  await db.sql(`create role ${role} login replication`);
  const catalog = await loadCatalog(
    postgresOptions(db.server, { database: db.database, user: role }),
    systemClock,
    Math.random,
  );
  return Object.assign(catalog, { [Symbol.dispose]: () => catalog.close() });
}

function known(table: string, changes: Partial<KnownTable> = {}): KnownTable {
  return {
    schema: "public",
    table,
    keys: [[]],
    replicaIdentity: "d",
    identityColumns: undefined,
    virtualColumns: undefined,
    isPartitioned: false,
    formerKeys: [],
    keySince: undefined,
    hadOtherIdentity: false,
    parents: [],
    formerParents: [],
    formerNames: [],
    ...changes,
  };
}

for (const each of [server, debian]) {
  const name = each === server ? "18" : "15";
  const ignore = each === undefined;

  Deno.test(`loadCatalog sees every kind of table and key (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`
      revoke all on schema public from public;
      create table simple (id int primary key, v text);
      create table bare (v text);
      create table composite (a int, b int, c int, primary key (c, a) include (b));
      create table full_identity (id int primary key); alter table full_identity replica identity full;
      create table no_identity (id int primary key); alter table no_identity replica identity nothing;
      create table by_index (id int primary key, x int not null, y int not null, z int, unique (y, x) include (z));
      alter table by_index replica identity using index by_index_y_x_z_key;
      create table deferred (id int primary key deferrable);
      create table parted (id int, region text, primary key (region, id)) partition by list (region);
      create table parted_eu partition of parted for values in ('eu') partition by range (id);
      create table "parted eu 1" partition of parted_eu for values from (0) to (100);
      create table inheriting () inherits (simple);
      create materialized view mat as select 1 as one;
      create view looked_at as select 1 as one;
      create unlogged table unlogged_one (id int primary key);
      create temporary table temporary_one (id int primary key);
      create schema "My.Schema ""x"", y";
      create table "My.Schema ""x"", y"."Tä b'le" ("Id, ""1""" int, "{b}" int, primary key ("{b}", "Id, ""1"""))`);
    using catalog = await load(db);
    const found = new Map(
      [...catalog.tables()].map((table) => [`${table.schema}.${table.table}`, table]),
    );
    const expected: KnownTable[] = [
      known("simple", { keys: [["id"]], identityColumns: ["id"] }),
      known("bare"),
      known("composite", { keys: [["c", "a"]], identityColumns: ["c", "a"] }),
      known("full_identity", { keys: [["id"]], replicaIdentity: "f" }),
      known("no_identity", { keys: [["id"]], replicaIdentity: "n" }),
      known("by_index", { keys: [["id"]], replicaIdentity: "i", identityColumns: ["y", "x"] }),
      known("deferred", { keys: [["id"]] }),
      known("parted", {
        keys: [["region", "id"]],
        identityColumns: ["region", "id"],
        isPartitioned: true,
      }),
      known("parted_eu", {
        keys: [["region", "id"]],
        identityColumns: ["region", "id"],
        isPartitioned: true,
        parents: ["public.parted"],
      }),
      known("parted eu 1", {
        keys: [["region", "id"]],
        identityColumns: ["region", "id"],
        parents: ["public.parted_eu"],
      }),
      known("inheriting", { parents: ["public.simple"] }),
      known("mat"),
      known("Tä b'le", {
        schema: 'My.Schema "x", y',
        keys: [["{b}", 'Id, "1"']],
        identityColumns: ["{b}", 'Id, "1"'],
      }),
    ];
    for (const table of expected) {
      const qualified = `${table.schema}.${table.table}`;
      assertEquals(found.get(qualified), table, qualified);
      assertEquals(catalog.table(qualified), table);
      found.delete(qualified);
    }
    assertEquals([...found.keys()], []);
    assertEquals(catalog.table("public.nonesuch"), undefined);
  });

  Deno.test(`refresh sees what is new and keeps what went (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql("create table t (id int primary key, other int not null)");
    using catalog = await load(db);
    const version = catalog.version;

    await db.sql("alter table t rename id to ident");
    assertEquals(catalog.table("public.t")!.keys, [["id"]]);
    await catalog.refresh();
    assert(catalog.version > version);
    assertEquals(catalog.table("public.t")!.keys, [["ident"], ["id"]]);

    await db.sql(
      "alter table t drop constraint t_pkey; alter table t add primary key (other, ident)",
    );
    await catalog.refresh();
    assertEquals(catalog.table("public.t")!.keys, [["other", "ident"], ["ident"], ["id"]]);

    await db.sql("alter table t drop constraint t_pkey");
    await catalog.refresh();
    assertEquals(catalog.table("public.t")!.keys[0], []);
    await db.sql("alter table t add primary key (ident)");
    await catalog.refresh();
    const keys = [["ident"], [], ["other", "ident"], ["id"]];
    assertEquals(catalog.table("public.t")!.keys, keys);

    await db.sql(
      "create schema s; alter table t set schema s; create table u (id int primary key)",
    );
    await catalog.refresh();
    assertEquals(catalog.table("public.t")!.keys, keys);
    assertEquals(catalog.table("s.t")!.keys, [["ident"]]);
    assertEquals([...catalog.tables()].map(({ schema, table }) => `${schema}.${table}`).sort(), [
      "public.u",
      "s.t",
    ]);
    await db.sql("drop table u; create table t (id bigint primary key)");
    await catalog.refresh();
    assertEquals(catalog.table("public.u")!.keys, [["id"]]);
    assertEquals(catalog.table("public.t")!.keys, [["id"], ...keys.slice(0, 3)]);
  });

  Deno.test(`typeName gives format_type's names (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`
      create schema "Odd ""one""";
      create type "Odd ""one"""."Mood, ""x""" as enum ('ok');
      create domain short as varchar(10);
      create table t (id int primary key, n numeric(10,2), l numeric(5,-2), v varchar(20), c char(3)[],
        ts timestamptz(3), i interval day to second(2), b bit(5), m "Odd ""one"""."Mood, ""x""",
        d short, ms "Odd ""one"""."Mood, ""x"""[], r int4range, gone int)`);
    using catalog = await load(db);
    const columns = await db.sql(`select attname, atttypid::int as oid, atttypmod as typmod,
      format_type(atttypid, atttypmod) as name from pg_attribute where attrelid = 't'::regclass and attnum > 0`);
    assertEquals(columns.length, 13);
    // Types without a modifier are there; others once they were asked for.
    assertEquals(catalog.typeName(1700, -1), "numeric");
    assertEquals(catalog.typeName(1009, -1), "text[]");
    for (const { oid, typmod, name } of columns) {
      assertEquals(catalog.typeName(oid, typmod), typmod === -1 ? name : undefined);
    }
    await catalog.loadTypes();
    for (const { oid, typmod, name } of columns) assertEquals(catalog.typeName(oid, typmod), name);

    // The WAL may have types that no column has now.
    const [{ typmod }] = columns.filter(({ attname }) => attname === "v") as [{ typmod: number }];
    assertEquals(catalog.typeName(1043, typmod + 1), undefined);
    await db.sql('drop table t; drop type "Odd ""one"""."Mood, ""x"""');
    await catalog.refresh();
    assertEquals(catalog.typeName(1043, typmod + 1), "character varying(21)");
    for (const { oid, typmod, name } of columns) assertEquals(catalog.typeName(oid, typmod), name);
  });
}

Deno.test("the catalog tells virtual generated columns from stored ones (18)", async () => {
  await using db = await freshDatabase(server);
  using catalog = await load(db);
  assertEquals(catalog.hasVirtualColumns, false);
  await db.sql(`create table plain (id int primary key, d int default 1);
    create table made (id int primary key, w int generated always as (id * 3) virtual,
      s int generated always as (id + 1) stored, v int generated always as (id * 2) virtual)`);
  await catalog.refresh();
  assertEquals(catalog.hasVirtualColumns, true);
  assertEquals(catalog.table("public.made")?.virtualColumns, ["w", "v"]);
  assertEquals(catalog.table("public.plain")?.virtualColumns, undefined);
});

Deno.test("refresh gives a table's old name the key that it has under its new one", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table early (id int primary key); create table other (x int primary key)");
  using catalog = await load(db);
  await db.sql(`
    alter table early rename column id to number;
    alter table early rename to late;
    alter table other rename to other_late;
    create table other (y int primary key);`);
  await catalog.refresh();
  assertEquals(catalog.table("public.early")?.keys, [["id"], ["number"]]);
  assertEquals(catalog.table("public.late")?.keys, [["number"]]);
  assertEquals(catalog.table("public.other")?.keys, [["y"], ["x"]]);
});

Deno.test("refresh shared by callers begins after each of their calls", async () => {
  await using db = await freshDatabase(server);
  using catalog = await load(db);
  const version = catalog.version;
  const eleven = Array.from({ length: 11 }, () => catalog.refresh());
  await Promise.all(eleven);
  assertEquals(catalog.version, version + 2);

  const first = catalog.refresh();
  await db.sql("create table late (id int primary key)");
  await Promise.all([first, catalog.refresh()]);
  assertEquals(catalog.table("public.late")?.keys, [["id"]]);
});

Deno.test("refresh tells of a server that lets it in no more, and goes on when it is let in", async () => {
  await using db = await freshDatabase(server);
  using catalog = await load(db);
  const role = db.database.replace("t_", "least_");
  await db.sql(`alter role ${role} connection limit 0`);
  await db.sql(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1",
    [role],
  );
  await db.sql("create table fresh (id int primary key)");
  await logged(async (lines) => {
    const refreshing = catalog.refresh();
    const line = await waitFor(() => lines.find(({ level }) => level === "warning"), {
      what: "a warning",
    });
    assertMatch(line.text, /^cannot read the tables and their keys since .*too many conn/);
    await db.sql(`alter role ${role} connection limit -1`);
    await refreshing;
  });
  assertEquals(catalog.table("public.fresh")?.keys, [["id"]]);
});

Deno.test("refresh opens a new connection for one that was lost", async () => {
  await using db = await freshDatabase(server);
  using catalog = await load(db);
  const ended = await db.sql(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and application_name = 'pg2kinesis'",
    [db.database],
  );
  assertEquals(ended.length, 1);
  await db.sql("create table late (id int primary key)");
  await catalog.refresh();
  assertEquals(catalog.table("public.late")?.keys, [["id"]]);
});

Deno.test("refresh waits for a server that is away", async () => {
  await using own = await startEmbeddedPostgres();
  await using db = await freshDatabase(own);
  using catalog = await load(db);
  await db.sql("create table late (id int primary key)");
  await own.stop("fast");
  const refreshed = catalog.refresh();
  await own.start();
  await refreshed;
  assertEquals(catalog.table("public.late")?.keys, [["id"]]);

  await own.stop("fast");
  const given = catalog.refresh();
  catalog.close();
  await assertRejects(() => given);
  await own.start();
});

Deno.test("typeName wanted during a refresh is asked for by the next", async () => {
  await using db = await freshDatabase(server);
  using catalog = await load(db);
  const running = catalog.refresh();
  assertEquals(catalog.typeName(1043, 29), undefined);
  await Promise.all([running, catalog.refresh()]);
  assertEquals(catalog.typeName(1043, 29), "character varying(25)");
});

Deno.test("the catalog knows the base type of domains, of domains over them, and of those made later", async () => {
  await using db = await freshDatabase(server);
  await db.sql(`
    create schema shop;
    create domain price as numeric(10,2); create domain shop.price as price;
    create domain tags as text[]; create domain "Odd "" one" as varchar(20);
    create type mood as enum ('a')`);
  using catalog = await load(db);
  const names = ["price", "shop.price", "tags", '"Odd "" one"', "mood", "numeric", "nowhere.none"];
  // Nobody asked before: it is read when somebody does.
  assertEquals(names.map((name) => catalog.domainBase(name)), names.map(() => undefined));
  await catalog.refresh();
  assertEquals(names.map((name) => catalog.domainBase(name)), [
    "numeric(10,2)",
    "numeric(10,2)",
    "text[]",
    "character varying(20)",
    null,
    null,
    null,
  ]);
  await db.sql("create domain late as price; drop domain tags");
  assertEquals(catalog.domainBase("late"), undefined);
  await catalog.refresh();
  // What is gone may be in WAL that is still to be read.
  assertEquals(["late", "tags"].map((name) => catalog.domainBase(name)), [
    "numeric(10,2)",
    "text[]",
  ]);
});
