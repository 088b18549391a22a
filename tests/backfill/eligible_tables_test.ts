import { assertEquals, assertMatch } from "@std/assert";
import { hasRows } from "../../src/backfill/choose_tables.ts";
import {
  type Asking,
  chosenTables,
  type EligibleTable,
  readEligibleTables,
} from "../../src/backfill/eligible_tables.ts";
import { readPublications } from "../../src/backfill/publication_facts.ts";
import { isPlan, planRead } from "../../src/backfill/read_plan.ts";
import { keyIndexOf, quotedName } from "../../src/backfill/table_obstacles.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { postgresOptions, withConnection } from "../support/postgres_options.ts";

const servers = [await startEmbeddedPostgres()];
if (findDebianPostgres() === undefined) console.warn(NO_DEBIAN_POSTGRES);
else servers.push(await startDebianPostgres());

interface Asked extends Partial<Asking> {
  readonly oids?: readonly number[];
}

async function tablesOf(db: FreshDatabase, asked: Asked = {}): Promise<EligibleTable[]> {
  const { oids, ...asking } = asked;
  return await withConnection(
    postgresOptions(db.server, { database: db.database }),
    (connection) =>
      readEligibleTables(connection, {
        role: undefined,
        plugin: "test_decoding",
        publications: [],
        version: db.server.version,
        ...asking,
      }, oids),
  );
}

/** By name: the kinds of the obstacles; the key's columns where there are none. */
function judged(tables: readonly EligibleTable[]): Record<string, string> {
  return Object.fromEntries(
    tables.map(({ name, facts, obstacles }) => [
      name.replace("public.", ""),
      obstacles.length > 0
        ? obstacles.map(({ kind }) => kind).join(", ")
        : (keyIndexOf(facts)?.columns ?? []).map((column) => column.name).join(" "),
    ]),
  );
}

/** Does what the obstacles' remedies say. */
async function mend(db: FreshDatabase, tables: readonly EligibleTable[]): Promise<void> {
  for (const { remedy } of tables.flatMap(({ obstacles }) => obstacles)) {
    if (remedy.kind !== "sql") continue;
    for (const statement of remedy.statements) await db.sql(statement);
  }
}

const omit = (record: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));

for (const server of servers) {
  const major = Math.floor(server.version / 10000);

  Deno.test(`a table is read by a key that its changes tell: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create table plain (id int primary key, note text);
      create table two (b text, a int, primary key (a, b) include (b));
      create table whole (id uuid primary key, note text); alter table whole replica identity full;
      create table none (id int);
      create table full_only (id int); alter table full_only replica identity full;
      create table late (id int primary key deferrable initially deferred);
      create table nothing (id int primary key); alter table nothing replica identity nothing;
      create table other_identity (id int primary key, n int not null unique);
      alter table other_identity replica identity using index other_identity_n_key;
      create table wide_identity (id int primary key, n int not null, unique (n, id));
      alter table wide_identity replica identity using index wide_identity_n_id_key;
      create table by_index (n int not null unique, note text);
      alter table by_index replica identity using index by_index_n_key;
      create table backwards (a int not null, b int not null);
      create unique index backwards_i on backwards (a desc, b desc);
      alter table backwards replica identity using index backwards_i;
      create table mixed (a int not null, b int not null);
      create unique index mixed_i on mixed (a, b desc);
      alter table mixed replica identity using index mixed_i;
      create table nulls_first (a int not null);
      create unique index nulls_first_i on nulls_first (a nulls first);
      alter table nulls_first replica identity using index nulls_first_i;
      create table pattern (a text not null);
      create unique index pattern_i on pattern (a text_pattern_ops);
      alter table pattern replica identity using index pattern_i;
      create table collated (a text not null);
      create unique index collated_i on collated (a collate "POSIX");
      alter table collated replica identity using index collated_i;
      create unlogged table memory (id int primary key);
      create view seen as select * from plain;
      create materialized view sums as select 1 as id;
      create schema "Odd"; create table "Odd"."Ta ""ble" ("I d" int primary key);
      create table generated (n int, id int generated always as (n * 2) stored primary key)`);
    if (major >= 18) {
      await db.sql(`
        create table spans (id int4range, valid tstzrange, primary key (id, valid without overlaps));
        create table virtual (id int primary key, v int generated always as (id * 2))`);
    }
    const tables = await tablesOf(db);
    assertEquals(judged(tables), {
      plain: "id",
      two: "a b",
      whole: "id",
      none: "key",
      full_only: "key",
      late: "key",
      nothing: "replica identity",
      other_identity: "replica identity",
      wide_identity: "id",
      by_index: "n",
      backwards: "a b",
      mixed: "key",
      nulls_first: "key",
      pattern: "key",
      collated: "key",
      memory: "unlogged",
      seen: "not a table",
      sums: "not a table",
      'Odd.Ta "ble': "I d",
      generated: "id",
      ...major >= 18 ? { spans: "key", virtual: "id" } : {},
    });
    const oids = tables.map(({ facts }) => facts.oid);
    assertEquals(oids, oids.toSorted((a, b) => a - b));
    const two = tables.find(({ name }) => name === "public.two")!;
    assertEquals((await tablesOf(db, { oids: [two.facts.oid] })).map(({ name }) => name), [
      "public.two",
    ]);

    await mend(db, tables);
    const mended = judged(await tablesOf(db));
    for (const name of ["nothing", "other_identity", "late", "memory"]) {
      assertEquals(mended[name], "id");
    }
  });

  Deno.test(`a table is read by a role that sees all of it: ${major}`, async () => {
    await using db = await freshDatabase(server);
    const role = `"Reader of ${db.slot}"`;
    const owner = `owner_of_${db.slot}`;
    await db.sql(`
      create role ${role} login replication; create role ${owner};
      create schema hidden; grant create, usage on schema hidden to ${owner};
      create table open (id int primary key); grant select on open to ${role};
      create table closed (id int primary key);
      create table by_column (id int primary key, a int); grant select (id, a) on by_column to ${role};
      create table hidden.t (id int primary key); grant select on hidden.t to ${role};
      create table secured (id int primary key); grant select on secured to ${role};
      alter table secured enable row level security;
      create table own (id int primary key); alter table own enable row level security;
      create table forced (id int primary key); alter table forced enable row level security,
        force row level security;
      alter table own owner to ${role}; alter table forced owner to ${role};
      set role ${owner};
      create table hidden.parts (id int primary key) partition by range (id);
      create table hidden.parts_1 partition of hidden.parts for values from (1) to (2);
      reset role; grant select on hidden.parts to ${role}`);
    const asked = { role: `Reader of ${db.slot}` };
    const tables = await tablesOf(db, asked);
    assertEquals(judged(tables), {
      open: "id",
      closed: "table right",
      by_column: "table right",
      "hidden.t": "schema right",
      secured: "row security",
      own: "id",
      forced: "row security",
      "hidden.parts": "id",
      "hidden.parts_1": "schema right, table right",
    });
    await mend(db, tables);
    // A partition that is made afterwards is readable too.
    await db.sql(`set role ${owner};
      create table hidden.parts_2 partition of hidden.parts for values from (2) to (3)`);
    assertEquals((await tablesOf(db, asked)).flatMap(({ obstacles }) => obstacles), []);
    const reader = await db.server.connect({ database: db.database, user: asked.role });
    try {
      await reader.query("set row_security = off");
      for (const { facts } of tables) {
        if (!hasRows(facts)) continue;
        const quoted = quotedName(facts);
        await reader.query(
          `begin; lock table only ${quoted} in access share mode; select * from only ${quoted}; commit`,
        );
      }
    } finally {
      await reader.end();
    }
    assertEquals(await tablesOf(db, { role: "nobody of that name" }), []);
    await db.sql(`drop owned by ${role} cascade; drop role ${role};
      drop owned by ${owner} cascade; drop role ${owner}`);
  });

  Deno.test(`pgoutput must send every change of a table, and says by which name: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create table listed (id int primary key, n int);
      create table absent (id int primary key);
      create table inserts (id int primary key);
      create table shared (id int primary key);
      create table filtered (id int primary key, n int, secret text);
      create table unfiltered (id int primary key, n int);
      create schema s; create table s.t (id int primary key);
      create table parts (id int, n int, primary key (id, n)) partition by range (id);
      create table parts_1 partition of parts for values from (1) to (10) partition by range (n);
      create table parts_1_1 partition of parts_1 for values from (1) to (10);
      create table bare (id int) partition by range (id);
      create table bare_1 partition of bare (primary key (id)) for values from (1) to (10);
      create table leaves (id int primary key) partition by range (id);
      create table leaves_1 partition of leaves for values from (1) to (10);
      create table generated (n int, id int generated always as (n * 2) stored primary key);
      create publication a for table listed, shared, leaves, generated,
        unfiltered where (id > 3), filtered (id, n) where (id > 3 and n is null);
      create publication schemas for tables in schema s;
      create publication b for table unfiltered, filtered (id, n) where (id > 7)
        with (publish = 'insert, update, delete');
      create publication c for table inserts, shared with (publish = 'insert');
      create publication root for table parts, bare with (publish_via_partition_root);
      create publication leaf for table parts_1_1`);
    const asked = {
      plugin: "pgoutput",
      publications: ["a", "b", "c", "root", "leaf", "schemas"],
    } as const;
    const tables = await tablesOf(db, asked);
    const judgedTables = judged(tables);
    assertEquals(judgedTables, {
      listed: "id",
      absent: "not published",
      inserts: "not published",
      shared: "id",
      filtered: "id",
      unfiltered: "id",
      "s.t": "id",
      parts: "id n",
      parts_1: "id n",
      parts_1_1: "id n",
      bare: "",
      bare_1: "not published",
      leaves: "id",
      leaves_1: "id",
      generated: "key",
    });
    const byName = new Map(tables.map((table) => [table.name, table]));
    const names = ["public.parts_1_1", "public.leaves_1", "s.t"];
    assertEquals(names.map((name) => byName.get(name)!.publishedAs), [
      "public.parts",
      "public.leaves_1",
      "s.t",
    ]);
    assertEquals(byName.get("public.parts_1_1")!.facts.ancestors.map(({ name }) => name), [
      "public.parts_1",
      "public.parts",
    ]);
    const planOf = (name: string) =>
      withConnection(postgresOptions(server, { database: db.database }), async (connection) => {
        const { facts } = byName.get(name)!;
        const { plugin, publications } = asked;
        const found = await readPublications(connection, publications, [facts.oid], server.version);
        const follows = { plugin, publications, version: server.version };
        const plan = planRead(facts, found.get(facts.oid)!, follows);
        if (!isPlan(plan)) throw new Error(plan.reason);
        return plan;
      });
    const filtered = await planOf("public.filtered");
    assertEquals(filtered.columns.map(({ name }) => name), ["id", "n"]);
    assertMatch(filtered.filter!, /^\(\(\(id > 3\) AND \(n IS NULL\)\)\) OR \(\(id > 7\)\)$/);
    assertEquals((await planOf("public.unfiltered")).filter, undefined);
    assertEquals((await planOf("public.parts_1_1")).relation.qualifiedName, "public.parts");

    await mend(db, tables);
    const { generated, ...others } = judged(await tablesOf(db, asked));
    assertEquals(others, {
      ...omit(judgedTables, "generated"),
      absent: "id",
      inserts: "id",
      bare_1: "id",
      bare: "id",
    });
    assertEquals(generated, "key");
    await db.sql("create publication everything for all tables");
    const all = await tablesOf(db, { plugin: "pgoutput", publications: ["everything"] });
    assertEquals(
      new Set(all.map(({ name, publishedAs }) => name === publishedAs)),
      new Set([true]),
    );
    assertEquals(all.filter(({ obstacles }) => obstacles.length > 0).map(({ name }) => name), [
      "public.generated",
    ]);
    if (major >= 18) {
      await db.sql("alter publication everything set (publish_generated_columns = stored)");
      const [again] = await tablesOf(db, {
        ...{ plugin: "pgoutput", publications: ["everything"] },
        oids: [byName.get("public.generated")!.facts.oid],
      });
      assertEquals(again!.obstacles, []);
    }
  });

  Deno.test(`a pattern chooses tables and the partitions below: ${major}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql(`
      create table orders (id int primary key) partition by range (id);
      create table orders_1 partition of orders for values from (1) to (10);
      create table child (id int primary key); create table grandchild () inherits (child);
      create view seen as select 1`);
    const tables = await tablesOf(db);
    const chosen = (isExact: boolean, pattern: RegExp) =>
      chosenTables(tables, { isExact, matches: (name) => pattern.test(name) })
        .map(({ name }) => name);
    assertEquals(chosen(true, /^public\.orders$/), ["public.orders_1"]);
    assertEquals(chosen(true, /^public\.child$/), ["public.child"]);
    assertEquals(chosen(true, /^public\.seen$/), ["public.seen"]);
    assertEquals(chosen(false, /^public\./), [
      "public.orders_1",
      "public.child",
      "public.grandchild",
    ]);
  });
}
