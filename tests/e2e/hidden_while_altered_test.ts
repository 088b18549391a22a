import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import type { OutputPlugin } from "../../src/options.ts";
import {
  findDebianPostgres,
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import type { StoredRecord } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { Follower, followWithAll } from "../support/all_plugins.ts";
import { flagsFor } from "../support/following_program.ts";

const SALT = "pepper";
const ENV = { PG2KINESIS_MASK_SALT: SALT };

/** Tables that are made alike: a partitioned one, one that others may inherit from, and some apart. */
const TABLES = `
  create table parted (id int primary key, email text) partition by range (id);
  create table part_0 partition of parted for values from (0) to (10);
  create table middle (id int primary key, email text) partition by range (id);
  create table leaf partition of middle for values from (20) to (30);
  create table parent (id int primary key, email text);
  create table child () inherits (parent); alter table child add primary key (id);
  create table alone (id int primary key, email text);
  create table other (id int primary key, email text);
  create schema s; create table s.far (id int primary key, email text);
`;

interface Case {
  readonly what: string;
  readonly flags: readonly string[];
  readonly steps: readonly string[];
  /** Table, operation, and the email: in clear, `masked`, or `-` where there is none. */
  readonly published: readonly string[];
}

const MASK_PARTED = ["--mask-column", "public.parted.email"];
const MASK_PARENT = ["--mask-column", "public.parent.email"];
const ATTACH = "alter table parted attach partition alone for values from (10) to (20)";

const CASES: readonly Case[] = [
  {
    what: "a table that was made and filled is attached",
    flags: MASK_PARTED,
    steps: [
      "insert into parted values (1, 'a')",
      "insert into alone values (11, 'b')",
      ATTACH,
      "insert into parted values (12, 'c')",
      "update parted set email = 'd' where id = 11",
    ],
    published: [
      "part_0 insert masked",
      "alone insert b",
      "alone insert masked",
      "alone update masked",
    ],
  },
  {
    what: "a table is attached in the transaction of its rows",
    flags: ["--exclude-column", "public.parted.email"],
    steps: [
      "insert into alone values (11, 'b')",
      `begin; ${ATTACH}; insert into parted values (12, 'c'); commit`,
      "insert into alone values (13, 'd')",
    ],
    published: ["alone insert b", "alone insert -", "alone insert -"],
  },
  {
    what: "the parent of a partition is attached",
    flags: MASK_PARTED,
    steps: [
      "insert into leaf values (20, 'a')",
      "alter table parted attach partition middle for values from (20) to (30)",
      "insert into leaf values (21, 'b')",
      "insert into parted values (22, 'c')",
    ],
    published: ["leaf insert a", "leaf insert masked", "leaf insert masked"],
  },
  {
    what: "a table inherits, and another begins to",
    flags: MASK_PARENT,
    steps: [
      "insert into child values (1, 'a')",
      "insert into alone values (2, 'b')",
      "alter table alone inherit parent",
      "insert into alone values (3, 'c')",
      "create table grandchild () inherits (child); alter table grandchild add primary key (id)",
      "insert into grandchild values (4, 'd')",
      "insert into parent values (5, 'e')",
    ],
    published: [
      "child insert masked",
      "alone insert b",
      "alone insert masked",
      "grandchild insert masked",
      "parent insert masked",
    ],
  },
  {
    what: "a table begins to inherit in the transaction of its rows, behind one",
    flags: MASK_PARENT,
    steps: [
      "insert into alone values (2, 'b')",
      "begin; insert into other values (1, 'z'); alter table alone inherit parent; insert into alone values (3, 'c'); commit",
    ],
    published: ["alone insert b", "other insert z", "alone insert masked"],
  },
  {
    what: "tables and schemas with rules, and parents that have them, are renamed",
    flags: [...MASK_PARTED, ...MASK_PARENT, "--mask-column", "s.far.email"],
    steps: [
      "insert into parted values (1, 'a'); insert into child values (1, 'a')",
      "insert into s.far values (1, 'a')",
      "alter table parted rename to moved; alter table part_0 rename to moved_0",
      "insert into moved values (2, 'b')",
      "alter table parent rename to elder",
      "insert into child values (2, 'b')",
      "insert into elder values (3, 'c')",
      "alter table s.far rename to near",
      "insert into s.near values (2, 'b')",
      "alter table s.near set schema public",
      "insert into near values (3, 'c')",
    ],
    published: [
      "part_0 insert masked",
      "child insert masked",
      "far insert masked",
      "moved_0 insert masked",
      "child insert masked",
      "elder insert masked",
      "near insert masked",
      "near insert masked",
    ],
  },
  {
    what: "two tables are swapped by rename",
    flags: ["--mask-column", "public.alone.email"],
    steps: [
      "insert into alone values (1, 'a')",
      "insert into other values (1, 'b')",
      "begin; alter table alone rename to x; alter table other rename to alone; alter table x rename to other; commit",
      "insert into other values (2, 'c')",
      "insert into alone values (2, 'd')",
    ],
    published: [
      "alone insert masked",
      "other insert b",
      "other insert masked",
      "alone insert masked",
    ],
  },
  {
    what: "a partition is detached",
    flags: MASK_PARTED,
    steps: [
      "insert into parted values (1, 'a')",
      "begin; insert into parted values (2, 'b'); alter table parted detach partition part_0; commit",
      "insert into part_0 values (3, 'c')",
    ],
    published: ["part_0 insert masked", "part_0 insert masked", "part_0 insert masked"],
  },
  {
    what: "a column is dropped and added again, and has another type",
    flags: ["--mask-column", "public.alone.email"],
    steps: [
      "insert into alone values (1, 'a')",
      "alter table alone drop column email; alter table alone add column email text",
      "insert into alone values (2, 'b')",
      "alter table alone alter email type varchar(20)",
      "insert into alone values (3, 'c')",
    ],
    published: ["alone insert masked", "alone insert masked", "alone insert masked"],
  },
  {
    what: "--include-table with parents",
    flags: ["--include-table", "public.parted", "--include-table", "public.parent"],
    steps: [
      "insert into parted values (1, 'a')",
      "insert into alone values (11, 'b')",
      ATTACH,
      "insert into alone values (12, 'c')",
      "insert into child values (1, 'd')",
      "insert into other values (1, 'e')",
      "begin; insert into parted values (2, 'f'); alter table parted detach partition part_0; commit",
    ],
    published: [
      "part_0 insert a",
      "alone insert c",
      "child insert d",
      "part_0 insert f",
    ],
  },
  {
    what: "--exclude-table with parents",
    flags: ["--exclude-table", "public.parted", "--exclude-table", "public.parent"],
    steps: [
      "insert into parted values (1, 'a')",
      "insert into alone values (11, 'b')",
      ATTACH,
      "insert into alone values (12, 'c')",
      "insert into child values (1, 'd')",
      "insert into other values (1, 'e')",
    ],
    published: ["alone insert b", "other insert e"],
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

function describe({ text }: StoredRecord): string {
  const { op, table, after } = JSON.parse(text);
  const isMasked = /^[0-9a-f]{64}$/.test(after.email ?? "");
  return `${table} ${op} ${isMasked ? "masked" : after.email ?? "-"}`;
}

Deno.test("a masked value is the salted hash", () => {
  assertEquals(createHash("sha256").update(SALT + "a").digest("hex").length, 64);
});

for (const [name, server, plugins] of servers) {
  for (const { what, flags, steps, published } of CASES) {
    Deno.test(`hidden while it runs: ${what} (${name})`, async () => {
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql(`${TABLES} create publication published for all tables`);
      const stored = await followWithAll(
        { plugins, db, kinesis, flags: ["-f", "JSON", ...flags], env: ENV },
        async (catchUp) => {
          for (const step of steps) {
            await db.sql(step);
            if (/^(insert|update)/.test(step)) await catchUp();
          }
        },
      );
      for (const [plugin, records] of stored) {
        assertEquals(records.map(describe), published, plugin);
      }
    });
  }

  Deno.test(`hidden under publish_via_partition_root: what cannot apply is refused (${name})`, async (t) => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`${TABLES} create publication published for table parted, alone
      with (publish_via_partition_root = true)`);
    await using follower = await Follower.create("pgoutput", db, kinesis);
    for (
      const flags of [
        ["--mask-column", "public.part_0.email"],
        ["--exclude-column", "public.part_0.email", ...MASK_PARTED],
        ["--exclude-table", "public.part_0"],
        ["--include-table", "public.part_0"],
        ["--table-pat", "part_"],
      ]
    ) {
      await t.step(flags.join(" "), async () => {
        const { code, stderr } = await follower.run(["-f", "JSON", ...flags], ENV);
        assertEquals(code, 1, stderr);
        assertMatch(stderr, /ERROR --.*public\.part_0.*publish_via_partition_root/);
        const checked = await Pg2kinesis.run([
          "check",
          ...flagsFor(follower.db, follower.stream),
          ...["--pg-slot-output-plugin", "pgoutput", "--pg-publication", "published", "-f", "JSON"],
          ...flags,
        ], { env: { ...kinesis.env, ...ENV } });
        assertMatch(checked.stdout, /public\.part_0.*publish_via_partition_root/);
        assertEquals(await follower.records(), []);
      });
    }
    await t.step("a rule of the root", async () => {
      await follower.start(["-f", "JSON", ...MASK_PARTED], ENV);
      await db.sql("insert into parted values (1, 'a')");
      await follower.catchUp();
      assertEquals((await follower.records()).map(describe), ["parted insert masked"]);
    });
    for (
      const flags of [["--mask-column", "public.alone.email"], ["--exclude-table", "public.alone"]]
    ) {
      await t.step(`a table with ${flags[0]} is attached while it runs`, async () => {
        const program = await follower.start(["-f", "JSON", ...flags], ENV);
        await program.waitForLog(/following slot/, 60_000);
        await db.sql("insert into parted values (5, 'clear')");
        await follower.catchUp();
        await db.sql(ATTACH);
        await db.sql("insert into parted values (15, 'secret')");
        assertEquals(await program.waitForExit(), 1, program.stderr);
        assertMatch(program.stderr, /ERROR --.*public\.alone.*publish_via_partition_root/);
        const texts = (await follower.records()).map(({ text }) => text);
        assertEquals(texts.filter((text) => text.includes("secret")), []);
        await db.sql(
          "alter table parted detach partition alone; delete from parted; delete from alone",
        );
        await follower.start(["-f", "CSV", "--operations", "truncate"]);
        await follower.catchUp();
      });
    }
  });
}
