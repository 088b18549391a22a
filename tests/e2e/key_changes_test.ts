import { assertEquals, assertMatch } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import {
  findDebianPostgres,
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { Follower, followWithAll } from "../support/all_plugins.ts";

/** What is done while the run goes on, and what then is published. */
interface Case {
  readonly what: string;
  readonly before: string;
  readonly steps: readonly string[];
  /** As CSV without what is the same everywhere: `table,OPERATION,key`. */
  readonly published: readonly string[];
  /** By plugin, or by plugin and version. */
  readonly except?: Readonly<Record<string, readonly string[]>>;
}

const CASES: readonly Case[] = [
  {
    what: "a key is added after COPY, as pg_restore does",
    before: "",
    steps: [
      "create table t (id int, v text)",
      "insert into t values (1, 'a')",
      "alter table t add primary key (id)",
      "insert into t values (2, 'b')",
      "update t set id = 3 where id = 2",
      "delete from t where id = 1",
    ],
    published: ["t,INSERT,2", "t,UPDATE,2", "t,DELETE,1"],
    except: { wal2json: ["t,INSERT,2", "t,UPDATE,3", "t,DELETE,1"] },
  },
  {
    what: "a key is added in the transaction of the rows",
    before: "create table t (id int, v text);",
    steps: [
      "insert into t values (1, 'a')",
      "begin; alter table t add primary key (id); insert into t values (2, 'b'); commit",
      "insert into t values (3, 'c')",
    ],
    published: ["t,INSERT,2", "t,INSERT,3"],
  },
  {
    what: "a key is added with REPLICA IDENTITY FULL",
    before: "create table t (id int, v text); alter table t replica identity full;",
    steps: [
      "insert into t values (1, 'a')",
      "alter table t add primary key (id)",
      "insert into t values (2, 'b')",
      "update t set v = 'c' where id = 2",
      "delete from t where id = 1",
    ],
    published: ["t,INSERT,2", "t,UPDATE,2", "t,DELETE,1"],
  },
  {
    what: "a deferrable key is added",
    before: "create table t (id int, v text);",
    steps: [
      "insert into t values (1, 'a')",
      "alter table t add primary key (id) deferrable",
      "insert into t values (2, 'b')",
    ],
    published: ["t,INSERT,2"],
  },
  {
    what: "a table gets its key with ATTACH PARTITION",
    before: `create table parted (id int primary key, v text) partition by range (id);
      create table t (id int not null, v text);`,
    steps: [
      "insert into t values (1, 'a')",
      "alter table parted attach partition t for values from (0) to (100)",
      "insert into parted values (2, 'b')",
      "delete from parted where id = 1",
    ],
    published: ["t,INSERT,2", "t,DELETE,1"],
  },
  {
    what: "a key is widened",
    before: "create table t (tenant int not null, id int primary key, v text);",
    steps: [
      "insert into t values (1, 1, 'a'), (2, 2, 'b')",
      "alter table t drop constraint t_pkey, add primary key (tenant, id)",
      "insert into t values (2, 1, 'c')",
      "update t set v = 'd' where tenant = 2 and id = 1",
      "delete from t where tenant = 2 and id = 1",
    ],
    published: [
      "t,INSERT,1",
      "t,INSERT,2",
      't,INSERT,["2","1"]',
      't,UPDATE,["2","1"]',
      't,DELETE,["2","1"]',
    ],
  },
  {
    what: "a key is widened with REPLICA IDENTITY FULL",
    before: `create table t (tenant int not null, id int primary key, v text);
      alter table t replica identity full;`,
    steps: [
      "insert into t values (1, 1, 'a'), (2, 2, 'b')",
      "alter table t drop constraint t_pkey, add primary key (tenant, id)",
      "insert into t values (2, 1, 'c')",
      "delete from t where tenant = 2 and id = 1",
    ],
    published: ["t,INSERT,1", "t,INSERT,2", 't,INSERT,["2","1"]', 't,DELETE,["2","1"]'],
  },
  {
    what: "a key is widened by a migration that also writes what it did",
    before: `create table migrations (id int primary key);
      create table t (tenant int not null, id int primary key, v text);`,
    steps: [
      "insert into t values (1, 1, 'a')",
      `begin; alter table t drop constraint t_pkey, add primary key (tenant, id);
       insert into migrations values (7); commit`,
      "insert into t values (2, 1, 'c')",
      "delete from t where tenant = 2",
    ],
    published: ["t,INSERT,1", "migrations,INSERT,7", 't,INSERT,["2","1"]', 't,DELETE,["2","1"]'],
  },
  {
    what: "a key is narrowed",
    before: "create table t (tenant int, id int, v text, primary key (tenant, id));",
    steps: [
      "insert into t values (1, 1, 'a'), (1, 2, 'b')",
      "delete from t where id = 1",
      "alter table t drop constraint t_pkey, add primary key (id)",
      "insert into t values (2, 3, 'c')",
      "delete from t where id = 2",
    ],
    published: [
      't,INSERT,["1","1"]',
      't,INSERT,["1","2"]',
      't,DELETE,["1","1"]',
      "t,INSERT,3",
      "t,DELETE,2",
    ],
  },
  {
    what: "a key gets another order",
    before: "create table t (a int, b int, primary key (a, b));",
    steps: [
      "insert into t values (1, 2)",
      "alter table t drop constraint t_pkey, add primary key (b, a)",
      "insert into t values (1, 3)",
      "delete from t where b = 2",
    ],
    published: ['t,INSERT,["1","2"]', 't,INSERT,["3","1"]', 't,DELETE,["2","1"]'],
  },
  {
    what: "a key is replaced",
    before: "create table t (id int primary key, code text not null);",
    steps: [
      "insert into t values (1, 'a')",
      "alter table t drop constraint t_pkey, add primary key (code)",
      "insert into t values (2, 'b')",
      "delete from t where id = 1",
    ],
    published: ["t,INSERT,1", "t,INSERT,b", "t,DELETE,a"],
  },
  {
    what: "a key is dropped",
    before: "create table t (id int primary key, v text);",
    steps: [
      "insert into t values (1, 'a')",
      "alter table t drop constraint t_pkey",
      "insert into t values (1, 'b')",
    ],
    published: ["t,INSERT,1"],
  },
  {
    what: "a key's name is reused",
    before: "create table t (id int primary key, other int not null);",
    steps: [
      "insert into t values (1, 11)",
      "alter table t rename id to old; alter table t rename other to id",
      `alter table t drop constraint t_pkey; alter table t add primary key (id)`,
      "insert into t values (2, 22)",
      "delete from t where old = 1",
    ],
    published: ["t,INSERT,1", "t,INSERT,22", "t,DELETE,11"],
  },
  {
    what: "a table's name is reused",
    before: "create table t (id int primary key, code int not null);",
    steps: [
      "insert into t values (1, 11)",
      "drop table t; create table t (id int not null, code int primary key)",
      "insert into t values (2, 22)",
      "delete from t",
    ],
    published: ["t,INSERT,1", "t,INSERT,22", "t,DELETE,22"],
  },
  {
    what: "two tables are swapped by rename",
    before: `create table t (id int primary key, code int not null);
      create table u (id int not null, code int primary key);`,
    steps: [
      "insert into t values (1, 11); insert into u values (2, 22)",
      "begin; alter table t rename to x; alter table u rename to t; alter table x rename to u; commit",
      "insert into t values (3, 33); insert into u values (4, 44)",
      "delete from t; delete from u",
    ],
    published: [
      "t,INSERT,1",
      "u,INSERT,22",
      "t,INSERT,33",
      "u,INSERT,4",
      "t,DELETE,22",
      "t,DELETE,33",
      "u,DELETE,1",
      "u,DELETE,4",
    ],
  },
  {
    what: "two schemas are swapped by rename",
    before: `create schema one; create schema two;
      create table one.t (id int primary key, code int not null);
      create table two.t (id int not null, code int primary key);`,
    steps: [
      "insert into one.t values (1, 11); insert into two.t values (2, 22)",
      "begin; alter schema one rename to x; alter schema two rename to one; alter schema x rename to two; commit",
      "insert into one.t values (3, 33); insert into two.t values (4, 44)",
      "delete from one.t; delete from two.t",
    ],
    published: [
      "one.t,INSERT,1",
      "two.t,INSERT,22",
      "one.t,INSERT,33",
      "two.t,INSERT,4",
      "one.t,DELETE,22",
      "one.t,DELETE,33",
      "two.t,DELETE,1",
      "two.t,DELETE,4",
    ],
    except: {
      // Before 16 a walsender goes on with a schema's old name: the keys are the tables' all the same.
      "pgoutput 15": [
        "one.t,INSERT,1",
        "two.t,INSERT,22",
        "two.t,INSERT,33",
        "one.t,INSERT,4",
        "two.t,DELETE,22",
        "two.t,DELETE,33",
        "one.t,DELETE,1",
        "one.t,DELETE,4",
      ],
    },
  },
];

const servers: (readonly [name: string, TestPostgres, readonly OutputPlugin[]])[] = [
  ["18", await startEmbeddedPostgres(), ["test_decoding", "pgoutput"]],
];
if (findDebianPostgres() === undefined) console.log(`${NO_DEBIAN_POSTGRES}: goes on with 18 alone`);
else {
  const plugins: OutputPlugin[] = ["test_decoding", "pgoutput"];
  if (hasWal2json()) plugins.push("wal2json");
  servers.push(["15", await startDebianPostgres(), plugins]);
}

/** `public.t,INSERT,1` of a record; its operation in capitals, its key without CSV's quotes. */
function describe(text: string): string {
  const [, table, operation, key] = /^0,CDC,\d+,([^,]*),([^,]*),(.*)$/.exec(text)!;
  const unquoted = key!.startsWith('"') ? key!.slice(1, -1).replaceAll('""', '"') : key;
  return `${table!.replace("public.", "")},${operation!.toUpperCase()},${unquoted}`;
}

for (const [name, server, plugins] of servers) {
  for (const { what, before, steps, published, except } of CASES) {
    Deno.test(`keys while it runs: ${what} (${name})`, async () => {
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql(`${before} create publication published for all tables`);
      const stored = await followWithAll(
        { plugins, db, kinesis, flags: ["-f", "CSV"] },
        async (catchUp) => {
          for (const step of steps) {
            await db.sql(step);
            // Behind DDL there is nothing that could have been read: the next change follows at once.
            if (/^(insert|update|delete)/.test(step)) await catchUp();
          }
        },
      );
      for (const [plugin, records] of stored) {
        const seen = records.map(({ text }) => describe(text));
        assertEquals(seen, except?.[plugin] ?? except?.[`${plugin} ${name}`] ?? published, plugin);
      }
    });
  }
}

for (const [name, server, plugins] of servers) {
  for (const plugin of plugins) {
    Deno.test(`keys while it runs: --on-missing-pkey stop stops for a true reason only (${name}, ${plugin})`, async () => {
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql(`create table t (id int, v text); alter table t replica identity full;
        create publication published for all tables`);
      await using follower = await Follower.create(plugin, db, kinesis);
      const program = await follower.start(["-f", "CSV", "--on-missing-pkey", "stop"]);
      await program.waitForLog(/following slot/, 60_000);
      await db.sql("alter table t add primary key (id)");
      await db.sql("insert into t values (1)");
      await follower.catchUp();
      await db.sql("alter table t drop constraint t_pkey");
      await db.sql("insert into t values (1)");
      assertEquals(await program.waitForExit(), 1, program.stderr);
      assertMatch(program.stderr, /ERROR cannot publish the insert of public\.t .*no primary key/);
      assertEquals((await follower.records()).map(({ text }) => describe(text)), ["t,INSERT,1"]);
    });
  }

  Deno.test(`keys while it stands: a delete shows a key that was changed since, and stops the run (${name})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql("create table t (tenant int, id int, primary key (tenant, id))");
    await using follower = await Follower.create("test_decoding", db, kinesis);
    await db.sql("insert into t values (2, 1)");
    await db.sql("delete from t");
    await db.sql("alter table t drop constraint t_pkey, add primary key (id)");
    const { code, stderr } = await follower.run(["-f", "CSV"]);
    assertEquals(code, 1, stderr);
    assertMatch(
      stderr,
      /ERROR cannot publish the delete of public\.t .* columns \(tenant, id\), .* now \(id\), .*--on-unknown-table/,
    );
  });

  Deno.test(`keys while it runs: changes that were read before a key was replaced keep theirs (${name})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(
      "create table t (tenant int not null, id int primary key); create table u (id int)",
    );
    await using follower = await Follower.create("test_decoding", db, kinesis);
    const program = await follower.start(["-f", "CSV"]);
    await program.waitForLog(/following slot/, 60_000);
    // In one transaction, so that what is read for its first change is ahead of its last.
    await db.sql("begin; insert into u values (1); insert into t values (7, 1); commit");
    await db.sql("alter table t drop constraint t_pkey, add primary key (tenant, id)");
    await db.sql("insert into t values (7, 2)");
    await follower.catchUp();
    assertEquals((await follower.records()).map(({ text }) => describe(text)), [
      "t,INSERT,1",
      't,INSERT,["7","2"]',
    ]);
  });
}
