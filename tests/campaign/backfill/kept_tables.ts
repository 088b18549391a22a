import type { OutputPlugin } from "../../../src/options.ts";
import type { FreshDatabase } from "../../support/shared_postgres.ts";

/** A table that is written to and read; its rows go by a number, from which their key is computed in SQL. */
export interface KeptTable {
  readonly name: string;
  readonly keyColumns: readonly string[];
  /** SQL of each key column for SQL that is a number; they sort as the numbers do, except uuid. */
  readonly key: (number: string) => readonly string[];
  /** What creates it, without rows. */
  readonly ddl: string;
  /** Names under which its rows are published, each with the relation that has them and a condition. */
  readonly published: (isViaRoot: boolean) => readonly PublishedName[];
  /** What follows `for table` in CREATE PUBLICATION. */
  readonly publication: string;
  readonly mayTruncate: boolean;
  /** Only pgoutput publishes it as it is expected. */
  readonly onlyPgoutput?: boolean;
}

export interface PublishedName {
  readonly name: string;
  readonly from: string;
}

const COLUMNS = "n int not null, v text, big text";
const STORAGE = (table: string) => `alter table ${table} alter big set storage external;`;
/** What values look like that are hard to print and to take apart. */
const ODD = `(array['', ' "q"', ', sz: ', '''é', E'\\\\n', E'a\\tb'])`;

function simple(
  name: string,
  type: string,
  key: (number: string) => string,
  more = "",
): KeptTable {
  return {
    name,
    keyColumns: ["k"],
    key: (number) => [key(number)],
    ddl: `create table ${name} (k ${type} primary key, ${COLUMNS}); ${STORAGE(name)} ${more}`,
    published: () => [{ name: `public.${name}`, from: name }],
    publication: name,
    mayTruncate: true,
  };
}

export const KEPT_TABLES: readonly KeptTable[] = [
  simple("by_int", "int", (number) => `(${number})`),
  simple(
    "by_int_full",
    "int",
    (number) => `(${number})`,
    "alter table by_int_full replica identity full;",
  ),
  simple(
    "by_text",
    "text",
    (number) =>
      `('k' || lpad(((${number}) + 20000)::text, 6, '0') || ${ODD}[1 + ((${number}) + 20000) % 6])`,
  ),
  simple("by_numeric", "numeric", (number) => `((${number}) * 0.125)`),
  simple("by_uuid", "uuid", (number) => `md5((${number})::text)::uuid`),
  {
    name: "by_two",
    keyColumns: ["a", "b"],
    key: (number) => [`(((${number}) + 20000) / 10)`, `('b' || ((${number}) + 20000) % 10)`],
    ddl: `create table by_two (b text, ${COLUMNS}, a int, primary key (a, b)); ${
      STORAGE("by_two")
    }`,
    published: () => [{ name: "public.by_two", from: "by_two" }],
    publication: "by_two",
    mayTruncate: true,
  },
  {
    name: "parts",
    keyColumns: ["k"],
    key: (number) => [`(${number})`],
    ddl: `create table parts (k int primary key, ${COLUMNS}) partition by range (k);
      ${STORAGE("parts")}
      create table parts_low partition of parts for values from (minvalue) to (60);
      create table parts_mid partition of parts for values from (60) to (150);
      create table parts_high partition of parts for values from (150) to (maxvalue);`,
    published: (isViaRoot) =>
      isViaRoot
        ? [{ name: "public.parts", from: "parts" }]
        : ["parts_low", "parts_mid", "parts_high"]
          .map((leaf) => ({ name: `public.${leaf}`, from: leaf })),
    publication: "parts",
    mayTruncate: false,
  },
  {
    name: "filtered",
    keyColumns: ["k"],
    key: (number) => [`(${number})`],
    ddl: `create table filtered (k int primary key, ${COLUMNS}, secret text default 'secret');
      ${STORAGE("filtered")}
      create unique index filtered_identity on filtered (k, n);
      alter table filtered replica identity using index filtered_identity;`,
    published: () => [{ name: "public.filtered", from: "filtered where n % 4 <> 0" }],
    publication: "filtered (k, n, v, big) where (n % 4 <> 0)",
    mayTruncate: false,
    onlyPgoutput: true,
  },
];

/** One row, read last: when its backfill has ended, all that was asked for before has. */
export const SENTINEL = "sentinel";

/** Where a row stands, in SQL. */
export function at({ keyColumns, key }: KeptTable, number: number | string): string {
  const values = key(String(number));
  return keyColumns.map((column, i) => `${column} = ${values[i]}`).join(" and ");
}

/** SQL of a large value that is left in TOAST. */
export function large(value: string): string {
  return `repeat('x', 2100) || ${value}`;
}

/** Creates and fills the tables, and the publication `published`. */
export async function createKeptTables(
  db: FreshDatabase,
  tables: readonly KeptTable[],
  options: { readonly plugin: OutputPlugin; readonly rows: number; readonly isViaRoot: boolean },
): Promise<void> {
  const { plugin, rows, isViaRoot } = options;
  for (const table of tables) {
    await db.sql(`${table.ddl}
      insert into ${table.name} (${table.keyColumns.join(", ")}, n, v, big)
        select ${table.key("i").join(", ")}, i % 5, 'old ' || i,
               case when i % 10 < ${rows > 500 ? 1 : 7} then ${large("i")} end
          from generate_series(1, ${rows}) i`);
    await db.sql(`analyze ${table.name}`);
  }
  await db.sql(`create table ${SENTINEL} (id int primary key); insert into ${SENTINEL} values (1)`);
  if (plugin !== "pgoutput") return;
  const names = [...tables.map(({ publication }) => publication), SENTINEL].join(", ");
  await db.sql(
    `create publication published for table ${names}` +
      (isViaRoot ? " with (publish_via_partition_root = true)" : ""),
  );
}

/** What consumers must have: rows as text by published name and key. */
export async function presentRows(
  db: FreshDatabase,
  tables: readonly KeptTable[],
  isViaRoot: boolean,
): Promise<Map<string, Map<string, string>>> {
  const present = new Map<string, Map<string, string>>();
  for (const { keyColumns, published } of tables) {
    for (const { name, from } of published(isViaRoot)) {
      const columns = [...keyColumns, "n", "v", "big"];
      const rows = await db.sql(
        `select ${columns.map((column) => `${column}::text`).join(", ")} from ${from}`,
      );
      present.set(
        name,
        new Map(rows.map((row) => [keyOf(keyColumns, row), rowText(columns, row)])),
      );
    }
  }
  return present;
}

export function keyOf(keyColumns: readonly string[], row: Readonly<Record<string, unknown>>) {
  return JSON.stringify(keyColumns.map((column) => String(row[column])));
}

/** A row as text, a large value without its filling; `(none)` for a value that is not there. */
export function rowText(
  columns: readonly string[],
  row: Readonly<Record<string, unknown>>,
): string {
  return columns.map((column) => {
    const value = row[column];
    return value === undefined ? "(none)" : String(value).replace(/^x{2100}/, "x");
  }).join("|");
}
