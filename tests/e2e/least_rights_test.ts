import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { freshStreamName, storedTexts, waitUntilConfirmed } from "../support/following_program.ts";

const PASSWORD = "from the README";
const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

/** The statements of the README's quick start, as they are for a server that is not RDS. */
function statementsOfReadme(database: string): string[] {
  const block = /^ +CREATE ROLE pg2kinesis .*\n(?: +\S.*\n)*/m.exec(README)?.[0];
  if (block === undefined) throw new Error("the README no longer makes a role");
  return block.trim().split("\n").map((line) => {
    const elsewhere = /--.*elsewhere: (.*)$/.exec(line)?.[1];
    return (elsewhere ?? line.trim()).replace("'…'", `'${PASSWORD}'`)
      .replace("DATABASE shop", `DATABASE ${database}`);
  });
}

/** Each plugin, and each format that reads the catalog in its own way. */
const servers = [{
  name: "18",
  start: startEmbeddedPostgres,
  runs: [["test_decoding", "-f", "JSON"], ["pgoutput", "--full-change"]],
}];
if (hasWal2json()) {
  servers.push({
    name: "15",
    start: startDebianPostgres,
    runs: [
      ["test_decoding", "--full-change"],
      ["wal2json", "-f", "CSV"],
      ["pgoutput", "-f", "JSON"],
    ],
  });
} else console.log(NO_DEBIAN_POSTGRES);

for (const { name, start, runs } of servers) {
  Deno.test(`the README's grants are enough, and no others are used: ${name}`, async () => {
    await using server = await start({ hba: ["host all pg2kinesis 127.0.0.1/32 scram-sha-256"] });
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      revoke all on database ${db.database} from public;
      revoke all on schema public from public;
      create schema shop; revoke all on schema shop from public;
      create table shop.orders (id int primary key, "A note" text, price numeric);
      create type shop.mood as enum ('fine');
      create table shop.parts (a int, b shop.mood, primary key (a, b)) partition by list (b);
      create table shop.parts_fine partition of shop.parts for values in ('fine');
      create publication pg2kinesis for table shop.orders, shop.parts`);
    for (const statement of statementsOfReadme(db.database)) await db.sql(statement);
    const [rights] = await db.sql(`
      select rolsuper or rolcreatedb or rolcreaterole or rolbypassrls as much,
             has_schema_privilege('pg2kinesis', 'shop', 'usage') as usage,
             has_table_privilege('pg2kinesis', 'shop.orders', 'select') as reads
        from pg_roles where rolname = 'pg2kinesis'`);
    assertEquals(rights, { much: false, usage: false, reads: false });

    for (const [plugin, ...format] of runs) {
      const stream = freshStreamName();
      const slot = `${db.slot}_${plugin}`;
      await using program = await Pg2kinesis.start([
        ...["-h", server.host, "-p", String(server.port), "-u", "pg2kinesis", "-d", db.database],
        ...["-s", slot, "--create-slot", "-k", stream, "--create-stream"],
        ...["--pg-slot-output-plugin", plugin!, "--heartbeat", "200ms", ...format],
        ...(plugin === "pgoutput" ? ["--pg-publication", "pg2kinesis"] : []),
      ], { env: { ...kinesis.env, PGPASSWORD: PASSWORD } });
      await program.waitForLog(/following slot/);
      await db.sql(`
          insert into shop.orders values (1, 'a', 1.50); update shop.orders set price = 2.50;
          insert into shop.parts values (1, 'fine'); delete from shop.parts; truncate shop.orders`);
      await waitUntilConfirmed({ ...db, slot }, program);
      assertEquals((await storedTexts(kinesis, stream)).length, 5, program.stderr);
      program.signal("SIGHUP");
      assertEquals(await program.stop(), 0, program.stderr);
      assert(!/ (WARNING|ERROR) /.test(program.stderr), program.stderr);
    }

    const check = await Pg2kinesis.run([
      ...["check", "-h", server.host, "-p", String(server.port), "-u", "pg2kinesis"],
      ...["-d", db.database, "-s", "new", "--create-slot", "-k", "new", "--create-stream"],
    ], { env: { ...kinesis.env, PGPASSWORD: PASSWORD } });
    assertMatch(check.stdout, /✓/);
    assert(!/✗.*(right|role|privilege|permission)/.test(check.stdout), check.stdout);
  });
}
