import { assert, assertEquals, assertMatch } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { StoredRecord } from "../support/read_back.ts";
import { Follower, followWithAll, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

const TABLES = `
  create table t (id int primary key, a text, b int);
  create schema other;
  create table parted (at int primary key, v text) partition by range (at);
  create table part_1 partition of parted for values from (0) to (10);
  create table part_2 (at int primary key, v text);
  create publication published for table t, parted, part_2;
`;

/** What is done, and what then must be published: table, columns with types, values. */
const STEPS: readonly (readonly [sql: string, ...changes: readonly string[]])[] = [
  ["insert into t values (1, 'a', 1)", "public.t id[integer]=1 a[text]=a b[integer]=1"],
  ["alter table t add c text default 'new'"],
  [
    "update t set b = 2",
    "public.t id[integer]=1 a[text]=a b[integer]=2 c[text]=new",
  ],
  ["alter table t drop a"],
  ["update t set b = 3", "public.t id[integer]=1 b[integer]=3 c[text]=new"],
  // A name that another column had before.
  ["alter table t rename c to a"],
  ["update t set b = 4", "public.t id[integer]=1 b[integer]=4 a[text]=new"],
  ["alter table t alter b type numeric(10,2)"],
  ["update t set b = 5", "public.t id[integer]=1 b[numeric]=5.00 a[text]=new"],
  ["create type mood as enum ('sad', 'ok'); alter table t add m mood default 'ok'"],
  ["update t set b = 6", "public.t id[integer]=1 b[numeric]=6.00 a[text]=new m[mood]=ok"],
  // In one transaction.
  [
    "begin; update t set b = 7; alter table t drop m; update t set b = 8; alter table t add z int; " +
    "update t set z = 9; commit",
    "public.t id[integer]=1 b[numeric]=7.00 a[text]=new m[mood]=ok",
    "public.t id[integer]=1 b[numeric]=8.00 a[text]=new",
    "public.t id[integer]=1 b[numeric]=8.00 a[text]=new z[integer]=9",
  ],
  ["drop type mood"],
  ["alter table t rename to renamed"],
  [
    "update renamed set z = 10",
    "public.renamed id[integer]=1 b[numeric]=8.00 a[text]=new z[integer]=10",
  ],
  ["alter table renamed set schema other"],
  [
    "update other.renamed set z = 11",
    "other.renamed id[integer]=1 b[numeric]=8.00 a[text]=new z[integer]=11",
  ],
  ["insert into parted values (1, 'one')", "public.part_1 at[integer]=1 v[text]=one"],
  ["insert into part_2 values (11, 'alone')", "public.part_2 at[integer]=11 v[text]=alone"],
  ["alter table parted attach partition part_2 for values from (10) to (20)"],
  ["insert into parted values (12, 'attached')", "public.part_2 at[integer]=12 v[text]=attached"],
  ["create table part_3 partition of parted for values from (20) to (30)"],
  ["insert into parted values (21, 'made')", "public.part_3 at[integer]=21 v[text]=made"],
  ["alter table parted detach partition part_3"],
];

const EXPECTED = STEPS.flatMap(([, ...changes]) => changes);

function describe({ text }: StoredRecord): string {
  const { change } = JSON.parse(text.slice("0,CDC,".length));
  const columns = change.columnnames.map((name: string, i: number) => {
    const value = change.columnvalues[i];
    return `${name}[${withoutModifier(change.columntypes[i])}]=${
      // Numbers lose their zeros in JSON.parse.
      change.columntypes[i].startsWith("numeric") ? value.toFixed(2) : value}`;
  });
  return [`${change.schema}.${change.table}`, ...columns].join(" ");
}

/** test_decoding names types without. */
function withoutModifier(type: string): string {
  return type.replace(/\(.*\)/, "");
}

Deno.test("DDL while the program follows: every change has the names, types and columns it was made with", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  const stored = await followWithAll(
    { plugins, db, kinesis, flags: ["--full-change"] },
    async (catchUp) => {
      for (const [sql] of STEPS) {
        // Before the catalog is another one: a key is known by what pg_catalog says.
        if (/^alter table (t rename to|renamed)/.test(sql)) await catchUp();
        await db.sql(sql);
      }
    },
  );
  for (const [plugin, records] of stored) assertEquals(records.map(describe), EXPECTED, plugin);
});

Deno.test("DDL before the program starts: a change has its own names, or the run stops with one clear error", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  const followers = new Map<OutputPlugin, Follower>();
  await using stack = new AsyncDisposableStack();
  for (const plugin of plugins) {
    followers.set(plugin, stack.use(await Follower.create(plugin, db, kinesis)));
  }
  for (const [sql] of STEPS) await db.sql(sql);
  // The key by another name, and one that a new column took over.
  await db.sql(`alter table other.renamed rename id to number;
    alter table other.renamed add id int default 7`);
  await db.sql("update other.renamed set z = 12");
  const last =
    "other.renamed number[integer]=1 b[numeric]=8.00 a[text]=new z[integer]=12 id[integer]=7";

  for (const [plugin, follower] of followers) {
    const flags = ["--full-change"];
    if (plugin === "test_decoding") {
      // It does not name the key, and pg_catalog knows neither the table's old name nor its key.
      const { code, stderr } = await follower.run(flags);
      assertEquals(code, 1, stderr);
      assertMatch(
        stderr,
        / ERROR cannot publish the insert of public\.t at LSN .*--on-unknown-table/,
      );
      assertEquals(await follower.records(), []);
      continue;
    }
    await follower.start(flags);
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);
    const records = await follower.records();
    // The type that was dropped has the name that pgoutput gives it.
    const described = records.map((record) => describe(record).replace("[public.mood]", "[mood]"));
    assertEquals(described, [...EXPECTED, last], plugin);
    assert(records.every(({ partitionKey }) => /:\d+$/.test(partitionKey)), "each has its key");
    assertEquals(records.at(-1)!.partitionKey, "other.renamed:1");
  }
});
