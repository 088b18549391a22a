/**
 * Runs Debezium's engine beside a slot of our own on the same PostgreSQL and statements, and writes to
 * `tests/fixtures/debezium/` what both were given: Debezium's records, and pgoutput's messages.
 *
 *     deno run -A scripts/debezium/capture.ts
 *
 * Needs Java 17 and Maven. The test tests/format/debezium_capture_test.ts compares ours with it.
 */
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { SETUP, STATEMENTS } from "../../tests/fixtures/debezium/scenario.ts";
import { readTypes } from "../../tests/fixtures/normalize.ts";
import { parseLsn } from "../../src/base/lsn.ts";
import { DOMAINS_QUERY } from "../../src/postgres/catalog/catalog_queries.ts";
import { startEmbeddedPostgres } from "../../tests/support/embedded_postgres.ts";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/debezium/", import.meta.url));

const RUNS: readonly { name: string; properties: Readonly<Record<string, string>> }[] = [
  // It stops at a NaN.
  {
    name: "precise",
    properties: {
      "snapshot.mode": "initial",
      "table.exclude.list": "public.specials",
      "provide.transaction.metadata": "true",
    },
  },
  { name: "string", properties: { "decimal.handling.mode": "string" } },
  { name: "double", properties: { "decimal.handling.mode": "double" } },
];

await run("mvn", [
  "-q",
  "-B",
  "compile",
  "dependency:build-classpath",
  "-Dmdep.outputFile=target/classpath",
]);
await using server = await startEmbeddedPostgres({
  settings: { autovacuum: "off", timezone: "UTC", wal_level: "logical" },
  hba: ["host all debezium 127.0.0.1/32 trust"],
});
const database = await server.createDatabase();
await server.sql("create role debezium superuser login");
await server.sql(SETUP, { database });
for (const slot of ["ours", ...RUNS.slice(1).map(({ name }) => `debezium_${name}`)]) {
  await server.sql("select pg_create_logical_replication_slot($1, 'pgoutput')", {
    database,
    values: [slot],
  });
}
const first = capture(RUNS[0]!);
await untilActive(server, database, "debezium_precise");
for (const sql of STATEMENTS) {
  await server.sql(sql, { database });
}
await write("precise", await first);
for (const each of RUNS.slice(1)) await write(each.name, await capture(each));
await writeMessages();

async function capture(
  { name, properties }: typeof RUNS[number],
): Promise<readonly (readonly [string, string | null, string | null])[]> {
  const file = await Deno.makeTempFile({ suffix: ".properties" });
  const all = {
    name: "capture",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
    "database.hostname": "127.0.0.1",
    "database.port": String(server.port),
    "database.user": "debezium",
    "database.dbname": database,
    "topic.prefix": "app",
    "plugin.name": "pgoutput",
    "slot.name": `debezium_${name}`,
    "publication.name": "everything",
    "publication.autocreate.mode": "disabled",
    "snapshot.mode": "no_data",
    "tombstones.on.delete": "true",
    "skipped.operations": "none",
    "converter.schemas.enable": "false",
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "debezium.format.value.schemas.enable": "false",
    "poll.interval.ms": "50",
    // What it cannot convert would stop it: left out here, so that the rest can be seen.
    "event.processing.failure.handling.mode": "warn",
    ...properties,
  };
  await Deno.writeTextFile(
    file,
    Object.entries(all).map(([key, value]) => `${key}=${value}\n`).join(""),
  );
  const classpath = await Deno.readTextFile(`${HERE}target/classpath`);
  const text = await run("java", [
    "-Duser.timezone=UTC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-cp",
    `target/classes:${classpath.trim()}`,
    "Capture",
    file,
  ]);
  await Deno.remove(file);
  const decode = (base64: string) =>
    base64 === "-" ? null : Buffer.from(base64, "base64").toString();
  return text.split("\n").filter((line) => line.startsWith("RECORD ")).map((line) => {
    const [, destination, key, value] = line.split(" ");
    return [decode(destination!)!, decode(key!), decode(value!)] as const;
  });
}

/** A line a record: stream, key and value as Debezium's sink has them. */
async function write(
  name: string,
  records: readonly (readonly [string, string | null, string | null])[],
): Promise<void> {
  const path = `${FIXTURES}${name}.jsonl`;
  await Deno.writeTextFile(path, records.map((record) => JSON.stringify(record) + "\n").join(""));
  console.log(`${path}: ${records.length} records`);
}

/** What pgoutput gives of the same WAL, in the form of the other fixtures, but as it came. */
async function writeMessages(): Promise<void> {
  const client = await server.connect({ database });
  await client.query(
    `set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 1;
    set bytea_output = 'hex'; set timezone = 'UTC'; set search_path = pg_catalog, public`,
  );
  const { rows } = await client.query(
    `select lsn, encode(data, 'hex') as hex from pg_logical_slot_peek_binary_changes('ours', null, null,
     'proto_version', '1', 'publication_names', 'everything', 'messages', 'true')`,
  );
  const messages = rows.map(({ lsn, hex }) => ({ lsn, hex }));
  const types: [number, number, string | null][] = [];
  for (
    const [oid, typmod] of readTypes(
      messages.map(({ lsn, hex }) => ({
        lsn: parseLsn(lsn),
        data: Uint8Array.from(Buffer.from(hex, "hex")),
      })),
    )
  ) {
    const { rows: [row] } = await client.query("select format_type($1, $2) as name", [oid, typmod]);
    types.push([oid, typmod, row.name]);
  }
  const { rows: keys } = await client.query(
    `select n.nspname || '.' || c.relname as name, c.relreplident as identity,
            coalesce((select json_agg(a.attname order by k.place)
               from pg_index i, unnest(i.indkey::int2[]) with ordinality k (attnum, place), pg_attribute a
              where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.attnum), '[]') as key
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname in ('public', 'shop') order by c.oid`,
  );
  const { rows: domains } = await client.query(DOMAINS_QUERY);
  const [version] = await server.sql("select version()");
  const head = {
    plugin: "pgoutput",
    major: Math.floor(server.version / 10_000),
    server: version!.version.split(" on ")[0],
    options: {},
    types,
    database,
    tables: keys.map(({ name, identity, key }) => [name, identity, key]),
    domains: domains.map(({ name, base }) => [name, base]),
  };
  await client.end();
  const path = `${FIXTURES}pgoutput.jsonl`;
  await Deno.writeTextFile(
    path,
    [head, ...messages].map((line) => JSON.stringify(line) + "\n").join(""),
  );
  console.log(`${path}: ${messages.length} messages`);
}

async function untilActive(server: TestPostgres, database: string, slot: string): Promise<void> {
  for (;;) {
    const [row] = await server.sql(
      "select 1 as found from pg_replication_slots where slot_name = $1 and active",
      { database, values: [slot] },
    );
    if (row !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Gives what it prints; its errors go to the terminal. */
async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, {
    args,
    cwd: HERE,
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} failed`);
  return new TextDecoder().decode(stdout);
}
