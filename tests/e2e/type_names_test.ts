import { assertEquals } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { followWithAll } from "../support/all_plugins.ts";

const servers = [{
  name: "18",
  start: startEmbeddedPostgres,
  plugins: ["test_decoding", "pgoutput"] as const,
}, {
  name: "15",
  start: startDebianPostgres,
  plugins: ["test_decoding", "wal2json", "pgoutput"] as const,
}];

/** Types of users that are called like built-in ones, with a value that would be another thing in those. */
const NAMES: readonly (readonly [name: string, value: string])[] = [
  ["jsonb", "{}"],
  ["json", "[1]"],
  ["oid", "7"],
  ["bytea", "\\x00"],
  ["int8", "8"],
  ["bool", "t"],
  ["numeric", "1.5"],
  ["boolean", "true"],
  ["integer", "4"],
  ["double precision", "NaN"],
  ["numeric(10,2)", "2.50"],
  ["bigint", "{"],
];

for (const { name, start, plugins } of servers) {
  const ignore = name === "15" && !hasWal2json();
  if (ignore) console.log(NO_DEBIAN_POSTGRES);
  Deno.test(`a user's type is not taken for the built-in one of its name: ${name}`, {
    ignore,
  }, async () => {
    await using server = await start();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      create schema mal; create schema app;
      create type public.mood as enum ('fine'); create type app.mood as enum ('fine');
      alter database ${db.database} set search_path = mal, app, pg_catalog`);
    const columns: string[] = [];
    const values: string[] = [];
    const after: Record<string, unknown> = {};
    for (const schema of ["public", "mal"]) {
      for (const [index, [type, value]] of NAMES.entries()) {
        const quoted = `${schema}."${type}"`;
        // An enum and a domain are printed by other ways.
        await db.sql(
          index % 2 === 0
            ? `create type ${quoted} as enum ('${value}')`
            : `create domain ${quoted} as pg_catalog.text`,
        );
        columns.push(`${schema[0]}${index} ${quoted}`);
        values.push(`'${value}'`);
        after[`${schema[0]}${index}`] = value;
      }
    }
    await db.sql(`
      create table public.t (id pg_catalog.int4 primary key, ${columns.join(", ")},
        doc pg_catalog.jsonb, o pg_catalog.oid, b pg_catalog.bytea, i pg_catalog.int8,
        ok pg_catalog.bool, n pg_catalog.numeric, m public.mood, a app.mood);
      create publication published for table public.t`);
    const row = `${values.join(", ")}, '{"a": 1}', 7, '\\x00', 8, true, 1.50, 'fine', 'fine'`;
    const builtIn = { doc: { a: 1 }, o: 7, b: "\\x00", i: 8, ok: true, n: "1.50" };
    const work = async () => {
      await db.sql(`insert into public.t values (1, ${row})`);
      await db.sql("insert into public.t (id) values (2)");
      await db.sql(`insert into public.t values (3, ${row})`);
    };
    const json = await followWithAll(
      { plugins, db, kinesis, flags: ["-f", "JSON"] },
      work,
    );
    for (const [plugin, records] of json) {
      const [first, , third] = records.map(({ text }) => JSON.parse(text).after);
      const expected = { ...after, ...builtIn, m: "fine", a: "fine" };
      assertEquals(first, { id: 1, ...expected }, plugin);
      assertEquals(third, { id: 3, ...expected }, plugin);
    }

    await db.sql("truncate public.t");
    const other = { ...db, slot: `${db.slot}_full` };
    const full = await followWithAll(
      { plugins, db: other, kinesis, flags: ["--full-change"] },
      work,
    );
    const types = (plugin: string) =>
      full.get(plugin as "pgoutput")!.map(({ text }) =>
        JSON.parse(text.slice("0,CDC,".length)).change.columntypes
      );
    // What the catalog says of a type is what the plugin prints.
    assertEquals(types("pgoutput"), types("test_decoding"));
    assertEquals(types("pgoutput")[0].slice(-8), [
      ...["jsonb", "oid", "bytea", "bigint", "boolean", "numeric", "mood", "app.mood"],
    ]);
    const names = types("pgoutput")[0] as string[];
    assertEquals(names.slice(1, 4).map((each) => each.replaceAll('"', "")), [
      ...["public.jsonb", "public.json", "public.oid"],
    ]);
    assertEquals(names[8], '"boolean"');
  });
}
