import { assert, assertEquals, assertMatch } from "@std/assert";
import { createTableFilter } from "../../../src/format/filter/table_filter.ts";
import {
  chooseTables,
  type PublishableTable,
} from "../../../src/postgres/catalog/publication_tables.ts";
import { prepareSlot } from "../../../src/postgres/slot/prepare_slot.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { logged, type LogLine } from "../../support/logs.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import {
  assertFails,
  postgresOptions,
  slotOptions,
  withConnection,
} from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

interface Prepared {
  readonly include?: string[];
  readonly exclude?: string[];
  readonly pattern?: RegExp;
  readonly create?: boolean;
  readonly recreate?: boolean;
  readonly createPublication?: boolean;
  readonly partitionRoot?: boolean;
  readonly publications?: string[];
  readonly user?: string;
}

/** The start of a run with pgoutput; gives what is logged. */
function prepare(db: FreshDatabase, choices: Prepared): Promise<LogLine[]> {
  const { include = [], exclude = [], pattern, user = db.server.superuser, ...slot } = choices;
  const wanted = createTableFilter({
    tablePattern: pattern,
    includeTables: include,
    excludeTables: exclude,
    routes: [],
  });
  const postgres = postgresOptions(db.server, { database: db.database, user });
  return logged(() =>
    withConnection(
      postgres,
      (connection) => prepareSlot(connection, slotOptions(db, "pgoutput", slot), wanted),
    )
  );
}

/** What the publication named like the slot was told to have, by `schema.table`. */
async function listed(db: FreshDatabase): Promise<string[]> {
  const rows = await db.sql(
    `select r.prrelid::regclass::text as name from pg_publication_rel r
       join pg_publication p on p.oid = r.prpubid where p.pubname = $1 order by 1`,
    [db.slot],
  );
  return rows.map(({ name }) => name);
}

const warnings = (lines: LogLine[]) =>
  lines.filter(({ level }) => level === "warning").map(({ text }) => text);

const TABLES = `
  create table keyed (id int primary key);
  create table keyless (n int);
  create table deferrable_key (id int primary key deferrable);
  create table full_row (n int);
  alter table full_row replica identity full;
  create table by_index (id int primary key, code int not null unique);
  alter table by_index replica identity using index by_index_code_key;
  create table by_no_index (id int primary key, code int not null unique);
  alter table by_no_index replica identity using index by_no_index_code_key;
  alter table by_no_index drop constraint by_no_index_code_key;
  create table nothing (id int primary key);
  alter table nothing replica identity nothing;
  create unlogged table unlogged (id int primary key);
  create view seen as select * from keyed;
  create materialized view kept as select * from keyed;
  create schema "My Schema";
  create table "My Schema"."a.b ""c""" (id int primary key);
  create table parent (id int primary key);
  create table child (note text) inherits (parent);
`;

for (const each of [server, debian]) {
  const version = each === server ? "18" : "15";
  const test = (name: string, fn: (db: FreshDatabase) => Promise<void>) =>
    Deno.test(`${name} (${version})`, { ignore: each === undefined }, async () => {
      await using db = await freshDatabase(each!);
      await fn(db);
    });

  test("createPublication lists the tables with a replica identity and names the others", async (db) => {
    await db.sql(TABLES);
    const lines = await prepare(db, { create: true, createPublication: true });
    assertEquals(await listed(db), [
      '"My Schema"."a.b ""c"""',
      "by_index",
      "full_row",
      "keyed",
      "parent",
    ]);
    const [warning, ...more] = warnings(lines);
    assertEquals(more, []);
    const named = /replica identity: ([^;]*);/.exec(warning!)![1]!.split(", ");
    assertEquals(named, [
      "public.by_no_index",
      "public.child",
      "public.deferrable_key",
      "public.keyless",
      "public.nothing",
    ]);
    const [publication] = await db.sql("select * from pg_publication");
    assertEquals([publication!.puballtables, publication!.pubviaroot], [false, false]);

    // The application goes on as before.
    for (const table of [...named, "keyed", "parent", "full_row", "unlogged"]) {
      await db.sql(`delete from ${table}`);
    }
    // The publication is older than its slot.
    await db.sql("insert into keyed values (1)");
    const messages = await db.sql(
      `select data from pg_logical_slot_get_binary_changes($1, null, null,
         'proto_version', '1', 'publication_names', $2)`,
      [db.slot, `"${db.slot}"`],
    );
    assert(messages.length > 0);

    // What was left out is told at every start.
    const [again] = warnings(await prepare(db, {}));
    assertMatch(
      again!,
      /^the flags ask for 5 tables not in the publication s_\w+, .*: public\.by_no_index, public/,
    );
  });

  test("createPublication obeys the table filters", async (db) => {
    await db.sql(
      `create table orders (id int primary key); create table order_items (id int primary key);
      create table order_drafts (id int primary key); create table order_log (n int);
      create table customers (id int primary key)`,
    );
    const filters = { include: ["public.order*"], exclude: ["*.*_drafts"], pattern: /order/u };
    const lines = await prepare(db, { ...filters, recreate: true, createPublication: true });
    assertEquals(await listed(db), ["order_items", "orders"]);
    assertMatch(warnings(lines).join(), /replica identity: public\.order_log;/);
    assertEquals(warnings(await prepare(db, { ...filters, exclude: ["*.order_*"] })), []);
    assertMatch(
      warnings(await prepare(db, { include: ["public.*"], exclude: ["*.order_log"] })).join(),
      /^the flags ask for 2 tables not in .*: public\.customers, public\.order_drafts$/,
    );
  });

  test("createPublication lists a partitioned table when all its partitions qualify, else those that do", async (db) => {
    const partitioned = (name: string, key: string) =>
      `create table ${name} (id int, at int ${key}) partition by range (at);
       create table ${name}_1 partition of ${name} for values from (1) to (2);
       create table ${name}_2 partition of ${name} for values from (2) to (3);`;
    await db.sql(
      partitioned("whole", ", primary key (at)") + partitioned("partial", ", primary key (at)") +
        "alter table partial_2 replica identity nothing;" +
        partitioned("keyless", "") + "alter table keyless_1 replica identity full;" +
        partitioned("chosen", ", primary key (at)") +
        // Nothing makes sure that a later partition can be updated.
        partitioned("loose", "") +
        "alter table loose_1 replica identity full; alter table loose_2 replica identity full;" +
        `create table deep (at int primary key) partition by range (at);
         create table deep_1 partition of deep for values from (1) to (5) partition by range (at);
         create table deep_1_1 partition of deep_1 for values from (1) to (2);
         create table deep_2 partition of deep for values from (5) to (6);
         alter table deep_2 replica identity nothing;`,
    );
    const lines = await prepare(db, {
      exclude: ["public.chosen_2"],
      create: true,
      createPublication: true,
    });
    assertEquals(await listed(db), [
      "chosen_1",
      "deep_1",
      "keyless_1",
      "loose_1",
      "loose_2",
      "partial_1",
      "whole",
    ]);
    assertMatch(
      warnings(lines).join(),
      /: public\.deep_2, public\.keyless_2, public\.partial_2;/,
    );
    // A partition that comes later is in it, and its changes carry its own name.
    await db.sql("create table whole_3 partition of whole for values from (3) to (4)");
    const told = await db.sql(
      "select tablename from pg_publication_tables where tablename like 'whole%' order by 1",
    );
    assertEquals(told.map(({ tablename }) => tablename), ["whole_1", "whole_2", "whole_3"]);
    assertEquals(warnings(await prepare(db, { include: ["*.whole*"] })), []);
  });

  test("createPublication publishes partitions under their root's name when that is asked for", async (db) => {
    const roots = () =>
      db.sql(
        `select p.pubviaroot as via, string_agg(t.tablename, ' ' order by t.tablename) as names
           from pg_publication p join pg_publication_tables t using (pubname)
          where p.pubname = $1 group by 1`,
        [db.slot],
      );
    await db.sql(`create table whole (at int primary key) partition by range (at);
      create table whole_1 partition of whole for values from (1) to (2);
      create table plain (id int primary key)`);
    await prepare(db, { create: true, createPublication: true, partitionRoot: true });
    assertEquals(await roots(), [{ via: true, names: "plain whole" }]);
    await db.sql(`drop publication ${db.slot}`);
    await prepare(db, { recreate: true, createPublication: true });
    assertEquals(await roots(), [{ via: false, names: "plain whole_1" }]);
  });

  test("createPublication says that there is nothing to publish", async (db) => {
    const create = { create: true, createPublication: true };
    await assertFails(prepare(db, create), [db.slot, "no table matches"], false);
    await db.sql("create table keyless (n int)");
    await assertFails(prepare(db, create), ["(public.keyless)", "REPLICA IDENTITY FULL"], false);
    assertEquals(await db.sql("select 1 from pg_publication"), []);
    assertEquals(
      await db.sql("select 1 from pg_replication_slots where slot_name = $1", [db.slot]),
      [],
    );
  });

  test("createPublication uses a publication that exists, and makes none behind a slot", async (db) => {
    await db.sql("create table a (id int primary key); create table b (id int primary key)");
    await db.sql(`create publication ${db.slot} for table a`);
    const create = { create: true, createPublication: true };
    const lines = await prepare(db, create);
    assertEquals(await listed(db), ["a"]);
    assertMatch(lines.map(({ text }) => text).join("\n"), /publication s_\w+ exists and is left/);
    assertMatch(warnings(lines).join(), /^the flags ask for 1 table not .*: public\.b$/);
    // A second start with the same flags.
    await prepare(db, create);
    await db.sql(`drop publication ${db.slot}`);
    await assertFails(
      prepare(db, create),
      [db.slot, "--recreate-slot --create-publication"],
      false,
    );
    assertEquals(await db.sql("select 1 from pg_publication"), []);
    await prepare(db, { recreate: true, createPublication: true });
    assertEquals(await listed(db), ["a", "b"]);
  });

  test("createPublication gives the statement to somebody who may run it", async (db) => {
    const role = db.slot.replace("s_", "r_");
    await db.sql(`create role ${role} login replication; create table "A b" (id int primary key);
      create table mine (id int primary key); alter table mine owner to ${role}`);
    const create = { create: true, createPublication: true };
    try {
      const statement =
        `CREATE PUBLICATION "${db.slot}" FOR TABLE ONLY public."A b", ONLY public.mine`;
      for (const grant of ["select 1", `grant create on database ${db.database} to ${role}`]) {
        await db.sql(grant);
        await assertFails(
          prepare(db, { ...create, user: role }),
          ["permission denied|must be owner", "CREATE on the database", statement].map((text) =>
            text.includes("|") ? new RegExp(text) : text
          ),
          false,
        );
      }
      await prepare(db, { ...create, include: ["*.mine"], user: role });
      assertEquals(await listed(db), ["mine"]);
      const other = { ...db, slot: `${db.slot}_2` };
      await db.sql(statement.replace(db.slot, other.slot));
      await prepare(other, { ...create, user: role });
      assertEquals(await listed(other), ['"A b"', "mine"]);
      await db.sql("select pg_drop_replication_slot($1)", [other.slot]);
    } finally {
      await db.sql(
        `reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`,
      );
    }
  });

  test("checkPublications says what a publication leaves out", async (db) => {
    await db.sql(`create publication ${db.slot} with (publish = 'insert, delete')`);
    assertEquals(warnings(await prepare(db, { create: true })), [
      `the publication ${db.slot} leaves out updates, truncates`,
      `no table is in the publication ${db.slot}, so there is nothing to follow yet`,
    ]);
    const names = Array.from({ length: 12 }, (_, n) => `t_${String(n).padStart(2, "0")}`);
    await db.sql(names.map((name) => `create table ${name} (id int primary key);`).join(""));
    await db.sql(`create table parted (at int primary key) partition by range (at);
      create table parted_1 partition of parted for values from (1) to (2);
      create publication rooted for table parted with (publish_via_partition_root = true);
      create publication others for table t_11`);
    const publications = ["rooted", "others"];
    const [warning, ...more] = warnings(await prepare(db, { publications }));
    assertEquals(more, []);
    assertMatch(
      warning!,
      /^the flags ask for 11 tables not in the publication rooted, others,.*: public\.t_00, .*, public\.t_09 and 1 more$/,
    );
    // Their changes carry the root's name, which the flags must ask for.
    const partition = { publications, include: ["public.parted_1"] };
    assertMatch(warnings(await prepare(db, partition)).join(), /: public\.parted_1$/);
    const both = { publications, include: ["public.parted*"] };
    assertEquals(warnings(await prepare(db, both)), []);
    await db.sql(`create publication every for all tables`);
    assertEquals(warnings(await prepare(db, { publications: ["every"] })), []);
  });
}

Deno.test("chooseTables lists partitions one by one before 13, which knows partitioned tables in no publication", () => {
  const table = (oid: string, parent?: string): PublishableTable => ({
    oid,
    parent,
    name: `public.${oid}`,
    quoted: `public.${oid}`,
    isPartitioned: parent === undefined,
    hasIdentity: true,
    hasKey: true,
  });
  const tables = [table("root"), table("leaf_1", "root"), table("leaf_2", "root")];
  const choose = (version: number) => chooseTables(tables, () => true, version).listed;
  assertEquals(choose(130000), ["public.root"]);
  assertEquals(choose(120099), ["public.leaf_1", "public.leaf_2"]);
});
