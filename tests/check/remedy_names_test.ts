import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/pg"
import pg from "pg";
import { quoteIdentifier, quoteLiteral } from "../../src/postgres/connection/sql_text.ts";
import { printable } from "../../src/base/printable.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { SETTINGS } from "./checked_world.ts";

/** What has a meaning to SQL, to psql, to a shell, to a URL, or to a terminal. */
const PIECES = [
  ...['"', "'", "\\", "\\u0041", "\n", "\r\n", "\t", "\x01", "\x1b[2J", "\x7f", "\x85", "\x9b"],
  ...["\u202e", "\u2066", "\u200d", "\u2028", "\u00a0", "\ufeff", "😀", "\u{10fffd}", "\u{e0001}"],
  ...[";", "--", "/*", "$$", "$1", ":x", "%I", "@", "&", " ", "  ", ".", "é", "a", "Z", "select"],
];

const random = randomFrom(randomSeed());

/** A name of a database's own kind: at most 63 bytes. */
function randomName(): string {
  let name = "";
  for (let count = 1 + Math.floor(random() * 12); count > 0; count--) {
    const longer = name + PIECES[Math.floor(random() * PIECES.length)];
    if (new TextEncoder().encode(longer).length > 63) break;
    name = longer;
  }
  return name;
}

/** Independent of what is tried. */
const identifier = pg.escapeIdentifier;

Deno.test("quoteIdentifier and quoteLiteral give one line that the server reads as what it was", async () => {
  await using server = await startEmbeddedPostgres();
  const client = await server.connect();
  try {
    for (let round = 0; round < 400; round++) {
      await client.query(`set standard_conforming_strings = ${round % 2 === 0 ? "on" : "off"}`);
      const name = randomName();
      const sql = `select ${quoteLiteral(name)} as ${quoteIdentifier(name)}`;
      assertEquals(printable(sql), sql);
      assertEquals((await client.query(sql)).rows, [{ [name]: name }], sql);
    }
  } finally {
    await client.end();
  }
});

Deno.test("the statements that check prints do what they say, whatever the names", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using kinesis = await startKinesalite();
  for (let round = 0; round < 5; round++) {
    const names = ["database", "role", "schema", "keyed", "keyless", "publication"].map((what) =>
      randomName().replace(/^-+/, "") + what[0]
    );
    const [database, role, schema, keyed, keyless] = names.map((name) => identifier(name));
    await server.sql(`create database ${database}`);
    await server.sql(`create role ${role} login`);
    const db = await server.connect({ database: names[0]! });
    const gid = randomName() || "g";
    try {
      await db.query(`create schema ${schema};
        create table ${schema}.${keyed} (id int primary key);
        create table ${schema}.${keyless} (id int);
        revoke execute on function pg_logical_emit_message(boolean, text, text, boolean) from public`);
      await db.query(
        `begin; insert into ${schema}.${keyed} values (1); prepare transaction ${
          pg.escapeLiteral(gid)
        }`,
      );
      const flags = [
        ...["-h", server.host, "-p", String(server.port), `--pg-dbname=${names[0]}`],
        ...[`--pg-user=${names[1]}`, "-s", "new", "--create-slot", "-k", "none", "-f", "JSON"],
        ...["--pg-slot-output-plugin", "pgoutput", `--pg-publication=${names[5]}`],
        ...["--heartbeat", "1m"],
      ];
      const check = async (...more: string[]) => {
        const { stdout, stderr } = await Pg2kinesis.run(["check", ...flags, ...more], {
          env: kinesis.env,
        });
        assert(stdout !== "", stderr);
        return stdout;
      };
      const { checks } = JSON.parse(await check("--json")) as { checks: Found[] };
      const text = await check();
      for (const line of text.trimEnd().split("\n")) {
        assert(/^[✓!✗] \w+: /.test(line) && printable(line) === line, text);
      }
      const statements = checks.filter(({ check }) => REMEDIED.includes(check))
        .flatMap(({ remedy }) => remedy?.kind === "sql" ? remedy.statements! : []);
      assertEquals(statements.length, 5, JSON.stringify(checks, null, 2));
      for (const statement of statements) {
        assert(text.includes(statement), `${statement}\n${text}`);
        await db.query(statement);
      }
      const { rows } = await db.query(
        `select (select rolreplication from pg_roles where rolname = $1) as role,
                (select count(*)::int from pg_publication where pubname = $2) as publication,
                (select relreplident from pg_class c join pg_namespace n on n.oid = relnamespace
                  where nspname = $3 and relname = $4) as identity,
                has_function_privilege($1::name, 'pg_logical_emit_message(boolean,text,text,boolean)',
                  'execute') as heartbeat,
                (select count(*)::int from pg_prepared_xacts where database = current_database())
                  as prepared`,
        [names[1], names[5], names[2], names[4]],
      );
      assertEquals(rows, [
        { role: true, publication: 1, identity: "f", heartbeat: true, prepared: 0 },
      ], JSON.stringify(names));
    } finally {
      await db.query(`rollback prepared ${pg.escapeLiteral(gid)}`).catch(() => {});
      await db.end();
      await server.sql(`drop database ${database} with (force)`);
    }
  }
});

Deno.test("the command that check prints for a failover slot takes any database's name", async (t) => {
  const psql = await new Deno.Command("sh", { args: ["-c", "command -v psql"] }).output();
  if (!psql.success) console.warn("skipped: psql is not installed");
  await t.step({ name: "psql", ignore: !psql.success, fn: failoverCommand });
});

async function failoverCommand() {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using kinesis = await startKinesalite();
  for (let round = 0; round < 3; round++) {
    const database = randomName() + "'d";
    await server.sql(`create database ${identifier(database)}`);
    await server.sql("select pg_create_logical_replication_slot('1_and', 'test_decoding')", {
      database,
    });
    const { stdout } = await Pg2kinesis.run([
      ...["check", "--json", "-h", server.host, "-p", String(server.port), "-u", server.superuser],
      ...[`--pg-dbname=${database}`, "-s", "1_and", "-k", "none", "--slot-failover"],
      "--create-slot",
    ], { env: kinesis.env });
    const { checks } = JSON.parse(stdout) as { checks: Found[] };
    const { command } = checks.find(({ check }) => check === "slot_failover")!.remedy!;
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", command!],
      env: { PGHOST: server.host, PGPORT: String(server.port), PGUSER: server.superuser },
    }).output();
    assert(success, `${command}: ${new TextDecoder().decode(stderr)}`);
    assertEquals(await server.sql("select failover from pg_replication_slots"), [{
      failover: true,
    }]);
    await server.sql("select pg_drop_replication_slot('1_and')");
    await server.sql(`drop database ${identifier(database)}`);
  }
}

const REMEDIED = ["role", "publication", "heartbeat", "transactions"];

interface Found {
  readonly check: string;
  readonly remedy?: {
    readonly kind: string;
    readonly statements?: readonly string[];
    readonly command?: string;
  };
}
