import { assert, assertEquals } from "@std/assert";
import type { OutputPlugin } from "../../../src/options.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import { Following, textOf } from "../../support/following_source.ts";

const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);
const embedded = await startEmbeddedPostgres();

/** What ends a run that follows the slot. */
async function endOf(db: FreshDatabase, plugin: OutputPlugin): Promise<PostgresError> {
  await using following = await Following.start(db, plugin);
  const error = await following.until(() => false).catch((error) => error);
  assert(error instanceof PostgresError, String(error));
  assertEquals(error.transient, false, error.message);
  assert(!error.message.includes("\n"), error.message);
  return error;
}

function assertSays(message: string, ...all: RegExp[]): void {
  for (const what of all) assert(what.test(message), `${what}: ${message}`);
}

/** None of it drops, makes or moves anything that has changes still to be read. */
const DROPS = /--recreate-slot|--create-slot|pg_drop_replication_slot|--create-publication/;

Deno.test(
  "a publication that was dropped and made again is named, and nothing is given up for it",
  {
    ignore: debian === undefined,
  },
  async () => {
    await using db = await freshDatabase(debian!);
    // A name with the word in it decides nothing.
    const name = `slot_${db.slot}`;
    await db.sql("create table t (id int primary key)");
    await db.sql(`create publication ${name} for table t`);
    await db.createSlot("pgoutput");
    await db.sql(`drop publication ${name}`);
    await db.sql("insert into t values (1)");
    await db.sql(`create publication ${name} for table t`);
    await using following = await Following.start(db, "pgoutput", {
      slot: { publications: [name] },
    });
    const { message } = await following.until(() => false).catch((error) => error);
    assertSays(
      message,
      new RegExp(`publication "${name}" does not exist \\(42704\\)`),
      /associated LSN [0-9A-F]+\/[0-9A-F]+/,
      /when this change was made that publication was not there/,
      /Nothing is lost while the slot is there/,
      /pg_copy_logical_replication_slot/,
    );
    assert(!DROPS.test(message), message);

    // The statement that it gives reads on, and loses nothing.
    const statement =
      /run (SELECT pg_catalog\.pg_copy_logical_replication_slot\(.*?'test_decoding'\))/.exec(
        message,
      )![1]!;
    await db.sql(statement);
    await using copy = await Following.start(
      { ...db, slot: `${db.slot}_copy` },
      "test_decoding",
    );
    await copy.untilText("table public.t: INSERT: id[integer]:1");
    // Past the new publication, it can go back to pgoutput.
    await copy.until((each) => {
      if (each.kind !== "keepalive") return false;
      copy.flushLsn = each.walEnd;
      return true;
    });
    await copy[Symbol.asyncDispose]();
    await db.sql("select pg_copy_logical_replication_slot($1, $2, false, 'pgoutput')", [
      `${db.slot}_copy`,
      `${db.slot}_back`,
    ]);
    await using back = await Following.start(
      { ...db, slot: `${db.slot}_back` },
      "pgoutput",
      { slot: { publications: [name] } },
    );
    await db.sql("insert into t values (2)");
    await back.until((each) => each.kind === "xlogdata" && textOf(each).startsWith("I"));
  },
);

Deno.test("a slot that is gone when it is to be followed is the slot's error", async () => {
  await using db = await freshDatabase(embedded);
  const error = await Following.start(db, "test_decoding").catch((error) => error);
  assertSays(
    error.message,
    /cannot follow the slot .* does not exist \(42704\); create it with --create-slot/,
  );
});

for (const [version, server] of [["15", debian], ["18", embedded]] as const) {
  Deno.test(`bytes that cannot be converted are told with their place (${version})`, {
    ignore: server === undefined,
  }, async () => {
    await using db = await freshDatabase(
      server!,
      "encoding 'SQL_ASCII' locale 'C' template template0",
    );
    await db.sql("create table t (id int primary key, v text)");
    await db.sql(`create publication ${db.slot} for table t`);
    await db.createSlot("pgoutput");
    await db.sql("insert into t values (1, E'caf\\xe9')");
    const { message } = await endOf(db, "pgoutput");
    assertSays(
      message,
      /cannot decode the next change of the slot/,
      /\(22021\), in: .*associated LSN [0-9A-F]+\/[0-9A-F]+/,
      /cannot be converted from the database's encoding to UTF8/,
      /correct the row by an UPDATE/,
      /A change that cannot be decoded/,
    );
    assert(!/connection .* is lost/.test(message), message);
    assert(!DROPS.test(message), message);
  });
}

Deno.test(
  "a value that the server cannot print is told with its place, and one transaction can be left out",
  {
    ignore: debian === undefined,
  },
  async () => {
    await using db = await freshDatabase(debian!);
    await db.sql("create table t (id int primary key, b bytea)");
    await db.sql("alter table t alter b set storage external");
    await db.sql("create extension pg_walinspect");
    await db.createSlot("test_decoding");
    await db.sql("insert into t values (1, convert_to(repeat('x', 600 * 1024 * 1024), 'UTF8'))");
    await db.sql("insert into t values (2, 'after')");
    const { message } = await endOf(db, "test_decoding");
    assertSays(
      message,
      /invalid memory alloc request size \d+ \(XX000\), in: .*associated LSN ([0-9A-F]+\/[0-9A-F]+)/,
      /a value that the server cannot print/,
      /A change that cannot be decoded/,
    );
    assert(!DROPS.test(message), message);

    // As docs/operating.md has it.
    const lsn = /associated LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(message)![1]!;
    const [{ xid, table }] = await sqlOfDocs(db, "pg_filenode_relation", { "0/297749E0": lsn });
    assertEquals(table, "t");
    const [{ end_lsn }] = await sqlOfDocs(db, "record_type", { "0/297749E0": lsn, "730": xid! });
    await db.sql("select pg_replication_slot_advance($1, $2)", [db.slot, end_lsn]);
    await using following = await Following.start(db, "test_decoding");
    await following.untilText("table public.t: INSERT: id[integer]:2");
  },
);

/** Runs the statement of docs/operating.md that has a word, with other values. */
async function sqlOfDocs(db: FreshDatabase, word: string, values: Record<string, string>) {
  const docs = await Deno.readTextFile(new URL("../../../docs/operating.md", import.meta.url));
  const section = docs.slice(docs.indexOf("## A change that cannot be decoded"));
  let statement = section.split("\n\n").find((block) =>
    block.includes(word) && /^ {4}/.test(block)
  )!;
  for (const [example, value] of Object.entries(values)) {
    assert(statement.includes(example), statement);
    statement = statement.replaceAll(example, value);
  }
  return (await db.sql(statement.split(";")[0]!)) as Record<string, string>[] as [
    Record<string, string>,
  ];
}
