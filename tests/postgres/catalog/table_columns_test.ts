import { assertEquals } from "@std/assert";
import { readTableColumns } from "../../../src/postgres/catalog/table_columns.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import { postgresOptions, withConnection } from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

/** As a role that may do nothing with any table sees them. */
async function read(db: FreshDatabase, tables: readonly string[], recreate = false) {
  const role = db.database.replace("t_", "least_");
  await db.sql(`do $$ begin if to_regrole('${role}') is null then
    create role ${role} login replication; end if; end $$`);
  const options = postgresOptions(db.server, { database: db.database, user: role });
  const columns = await withConnection(
    options,
    (connection) => readTableColumns(connection, tables, { name: db.slot, recreate }),
  );
  return Object.fromEntries(columns);
}

for (const each of [server, debian]) {
  const version = each === server ? "18" : "15";
  const ignore = each === undefined;

  Deno.test(`readTableColumns gives columns in order, without dropped ones (${version})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`
      create table t (id int primary key, gone text, "Card, ""No""" text);
      alter table t drop column gone;
      create table unasked (id int);
      create schema "a.b"; create table "a.b"."c.d" (x int) partition by list (x)`);
    assertEquals(await read(db, ["public.t", "a.b.c.d", "public.nonesuch"]), {
      "public.t": { names: ["id", 'Card, "No"'], mayHaveHadOthers: false },
      "a.b.c.d": { names: ["x"], mayHaveHadOthers: false },
    });
  });

  Deno.test(`readTableColumns sees which tables are younger than the slot's changes (${version})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    const tables = ["dropping", "renaming", "adding", "analyzed", "quiet", "fresh"];
    for (const table of tables.slice(0, -1)) {
      await db.sql(`create table ${table} (id int primary key, card text)`);
    }
    await db.createSlot("test_decoding");
    await db.sql("insert into dropping values (1, 'x'); insert into quiet values (1, 'x')");
    const others = async (recreate = false) => {
      const found = await read(db, tables.map((table) => `public.${table}`), recreate);
      return tables.filter((table) => found[`public.${table}`]?.mayHaveHadOthers);
    };
    assertEquals(await others(), []);
    await db.sql(`
      alter table dropping drop column card;
      alter table renaming rename column card to card_no;
      alter table adding add column note text;
      analyze analyzed;
      create table fresh (id int)`);
    assertEquals(await others(), ["dropping", "renaming", "adding", "fresh"]);
    assertEquals(await others(true), []);
  });
}
