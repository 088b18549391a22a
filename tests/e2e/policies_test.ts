import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import {
  confirmedLsn,
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

/** Something that a run cannot publish, between two rows that it can. */
interface Obstacle {
  readonly what: string;
  readonly plugin: string;
  readonly tables: string;
  readonly obstacle: string;
  /** SQL after the obstacle, before the program starts. */
  readonly afterwards?: string;
  readonly flags: readonly string[];
  /** What the one line says that stops the run. */
  readonly says: readonly RegExp[];
  /** The flags by which the run goes on, and what is published then in the obstacle's place. */
  readonly goOn: readonly { readonly flags: readonly string[]; readonly published: string[] }[];
}

const LONG = 1_100_000;

const OBSTACLES: readonly Obstacle[] = [
  {
    what: "a change that wal2json left out",
    plugin: "wal2json",
    tables: "create table keyless (n int); insert into keyless values (1);",
    obstacle: "update keyless set n = 2",
    flags: ["-f", "CSV", "--pg-slot-output-plugin", "wal2json"],
    says: [
      /after LSN [0-9A-F]+\/[0-9A-F]+ \(xid \d+\): .*keyless/,
      /REPLICA IDENTITY/,
      /--on-plugin-skip warn/,
    ],
    goOn: [{ flags: ["--on-plugin-skip", "warn"], published: [] }],
  },
  {
    what: "a delete whose key PostgreSQL did not send",
    plugin: "test_decoding",
    tables: `create table hidden (id int primary key); alter table hidden replica identity nothing;
             insert into hidden values (1);`,
    obstacle: "delete from hidden",
    flags: ["-f", "CSV"],
    says: [/delete of public\.hidden/, /LSN [0-9A-F]+\/[0-9A-F]+ \(xid \d+\)/, /--on-plugin-skip/],
    goOn: [{ flags: ["--on-plugin-skip", "warn"], published: [] }],
  },
  {
    what: "a table without primary key",
    plugin: "test_decoding",
    tables: "create table keyless (n int);",
    obstacle: "insert into keyless values (1)",
    flags: ["-f", "CSV", "--on-missing-pkey", "stop"],
    says: [/insert of public\.keyless/, /primary key/, /--full-change/, /--on-missing-pkey skip/],
    goOn: [{ flags: ["--on-missing-pkey", "skip"], published: [] }],
  },
  {
    what: "a table that is gone",
    plugin: "test_decoding",
    tables: "create table gone (id int primary key);",
    obstacle: "insert into gone values (1)",
    afterwards: "drop table gone",
    flags: ["-f", "CSV"],
    says: [/insert of public\.gone/, /--on-unknown-table skip/],
    goOn: [{ flags: ["--on-unknown-table", "skip"], published: [] }],
  },
  {
    what: "a record that the stream can never take",
    plugin: "test_decoding",
    tables: "create table wide (id int primary key, doc text);",
    obstacle: `insert into wide values (7, repeat('x', ${LONG}))`,
    flags: ["--full-change"],
    says: [/insert of public\.wide/, /1100\d{3} bytes/, /1048576/, /--on-oversize/],
    goOn: [
      { flags: ["--on-oversize", "skip"], published: [] },
      { flags: ["--on-oversize", "key-only"], published: ["wide 7"] },
    ],
  },
];

Deno.test("pg2kinesis stops at what it cannot publish, and goes on by the policy that was chosen", async (t) => {
  await using embedded = await startEmbeddedPostgres();
  await using debian = hasWal2json() ? await startDebianPostgres() : null;
  for (const obstacle of OBSTACLES) {
    const server = obstacle.plugin === "wal2json" ? debian : embedded;
    if (server === null) console.warn(NO_DEBIAN_POSTGRES);
    await t.step({
      name: obstacle.what,
      ignore: server === null,
      fn: () => meet(obstacle, server!),
    });
  }
});

async function meet(obstacle: Obstacle, server: TestPostgres) {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await db.sql("create table plain (id int primary key);" + obstacle.tables);
  await db.createSlot(obstacle.plugin);
  await db.sql("insert into plain values (1)");
  await db.sql(obstacle.obstacle);
  const [after] = await db.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await db.sql("insert into plain values (2)");
  if (obstacle.afterwards !== undefined) await db.sql(obstacle.afterwards);

  const flags = [...flagsFor(db, stream), ...obstacle.flags];
  const { code, stderr } = await Pg2kinesis.run(flags, { env: kinesis.env });
  assertEquals(code, 1, stderr);
  const errors = stderr.trimEnd().split("\n").filter((line) => / ERROR /.test(line));
  assertEquals(errors.length, 1, stderr);
  for (const pattern of obstacle.says) assertMatch(errors[0]!, pattern);
  assertEquals(await summaries(kinesis, stream), ["plain 1"], "what came before is stored");
  assert(await isBehind(db, after!.lsn), "nothing is confirmed past the obstacle");

  for (const { flags, published } of obstacle.goOn) {
    // Each policy starts where the stopped run ended, with a copy of its slot.
    const copy = { ...db, slot: `${db.slot}_${flags.at(-1)!.replaceAll("-", "_")}` };
    await db.sql("select pg_copy_logical_replication_slot($1, $2)", [db.slot, copy.slot]);
    const stream = freshStreamName();
    await kinesis.createStream(stream, 1);
    const kept = obstacle.flags.filter((word, i, all) =>
      word !== flags[0] && all[i - 1] !== flags[0]
    );
    await using program = await Pg2kinesis.start(
      [...flagsFor(copy, stream), ...kept, ...flags],
      { env: kinesis.env },
    );
    await waitUntilConfirmed(copy, program);
    const stored = await summaries(kinesis, stream);
    assertEquals(stored.filter((text) => text !== "plain 1"), [...published, "plain 2"]);
    assertEquals(await program.stop(), 0, program.stderr);
    assertMatch(program.stderr, / WARNING /);
  }
}

async function isBehind(db: FreshDatabase, lsn: string): Promise<boolean> {
  const [row] = await db.sql("select $1::pg_lsn < $2::pg_lsn as behind", [
    await confirmedLsn(db),
    lsn,
  ]);
  return row!.behind;
}

/** "table key" of each record. */
async function summaries(kinesis: TestKinesis, stream: string): Promise<string[]> {
  return (await storedTexts(kinesis, stream)).map((text) => {
    const key = /^0,CDC,\d+,public\.(\w+),\w+,(\w+)$/.exec(text);
    if (key !== null) return `${key[1]} ${key[2]}`;
    const { change } = JSON.parse(text.slice("0,CDC,".length));
    return `${change.table} ${change.columnvalues[0]}`;
  });
}

Deno.test("pg2kinesis finds the key of tables that are made, renamed and altered while it runs", async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "1500ms" } });
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table early (id int primary key, note text)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await using program = await Pg2kinesis.start([...flagsFor(db, stream), "-f", "CSV"], {
    env: kinesis.env,
  });
  await program.waitForLog(/following slot/);
  const steps = [
    "insert into early values (1)",
    'create table "La Te" (a int, "the key" text primary key)',
    `insert into "La Te" values (1, 'k 1')`,
    "alter table early rename column id to number",
    "insert into early values (2)",
    "alter table early rename to renamed",
    "insert into renamed values (3)",
    "create schema other",
    "alter table renamed set schema other",
    "update other.renamed set note = 'x' where number = 3",
    "create table parts (id int, at int, primary key (at, id)) partition by range (at)",
    "create table part_1 partition of parts for values from (0) to (10)",
    "insert into parts values (1, 5)",
  ];
  for (const step of steps) {
    await db.sql(step);
    // A name that comes and goes before the catalog is read again could not be known.
    await waitUntilConfirmed(db, program);
  }
  const stored = (await storedTexts(kinesis, stream)).map((text) =>
    text.replace(/^0,CDC,\d+,/, "")
  );
  assertEquals(stored, [
    "public.early,INSERT,1",
    "public.La Te,INSERT,k 1",
    "public.early,INSERT,2",
    "public.renamed,INSERT,3",
    "other.renamed,UPDATE,3",
    'public.part_1,INSERT,"[""5"",""1""]"',
  ]);
  assertEquals(await program.stop(), 0, program.stderr);
});
