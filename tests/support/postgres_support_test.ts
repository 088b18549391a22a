import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import {
  findDebianPostgres,
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "./debian_postgres.ts";
import { startEmbeddedPostgres } from "./embedded_postgres.ts";
import { freshDatabase } from "./shared_postgres.ts";
import type { PostgresServerOptions, TestPostgres } from "./test_postgres.ts";
import { waitFor } from "./wait.ts";

const servers: [string, number, (options?: PostgresServerOptions) => Promise<TestPostgres>][] = [
  ["startEmbeddedPostgres", 18, startEmbeddedPostgres],
];
if (findDebianPostgres() === undefined) console.warn(NO_DEBIAN_POSTGRES);
else servers.push(["startDebianPostgres", 15, startDebianPostgres]);

for (const [name, major, start] of servers) {
  Deno.test(`${name} gives a server with logical decoding that survives kill, stop and restart`, async () => {
    let directory: string;
    {
      await using server = await start({ settings: { wal_sender_timeout: "3s" } });
      directory = server.socketDir;
      assertEquals(Math.floor(server.version / 10000), major);
      const [row] = await server.sql(
        "select current_setting('wal_sender_timeout') as timeout, current_setting('wal_level') as level",
      );
      assertEquals(row, { timeout: "3s", level: "logical" });

      await server.sql("create table t (id int primary key); insert into t values (1)");
      await server.kill9();
      await assertRejects(() => server.sql("select 1"));
      await server.start();
      await server.restart("immediate");
      await server.restart();
      assertEquals(await server.sql("select id from t"), [{ id: 1 }]);
      assertMatch(server.logs(), /database system is ready to accept connections/);
    }
    await assertRejects(() => Deno.stat(directory), Deno.errors.NotFound);
  });

  Deno.test(`${name} takes initdb arguments, hba lines and TLS`, async () => {
    const { cert, key } = await selfSigned();
    await using server = await start({
      initdbArgs: ["--encoding=LATIN1"],
      hba: ["host all all 127.0.0.1/32 reject"],
      tls: { cert, key },
    });
    await using template = await start();
    const identity = "select system_identifier as id from pg_control_system()";
    assertNotEquals(await server.sql(identity), await template.sql(identity));
    assertEquals(await server.sql("show server_encoding"), [{ server_encoding: "LATIN1" }]);
    assertEquals(await server.sql("show ssl"), [{ ssl: "on" }]);
    const { default: pg } = await import("pg");
    const refused = new pg.Client({
      host: server.host,
      port: server.port,
      user: "x",
      database: "x",
    });
    await assertRejects(() => refused.connect(), Error, "pg_hba.conf rejects");
  });

  Deno.test(`freshDatabase on ${name} drops a slot that is still in use`, async () => {
    await using server = await start();
    const plugin = major === 15 && hasWal2json() ? "wal2json" : "test_decoding";
    {
      await using fresh = await freshDatabase(server);
      await fresh.createSlot(plugin);
      await fresh.sql("create table t (id int primary key)");
      await fresh.sql("insert into t values (7)");
      const changes = await fresh.sql(
        "select data from pg_logical_slot_peek_changes($1, null, null)",
        [
          fresh.slot,
        ],
      );
      assert(changes.some(({ data }) => /7/.test(data)));
      await holdSlot(server, fresh.database, fresh.slot);
    }
    assertEquals(await server.sql("select * from pg_replication_slots"), []);
    const databases = await server.sql(
      "select datname from pg_database where datname like 't\\_%'",
    );
    assertEquals(databases, []);
  });
}

Deno.test("waitFor says what it waited for and what it found", async () => {
  await assertRejects(
    () => waitFor(() => false, { what: "rain", timeoutMs: 50, found: () => "sun" }),
    Error,
    "waited 50 ms in vain for rain; found sun",
  );
});

/** Leaves a walsender streaming from the slot. */
async function holdSlot(server: TestPostgres, database: string, slot: string): Promise<void> {
  const { default: pg } = await import("pg");
  // deno-lint-ignore no-explicit-any
  const options: any = { host: server.socketDir, port: server.port, user: "postgres", database };
  const client = new pg.Client({ ...options, replication: "database" });
  client.on("error", () => {});
  await client.connect();
  client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0`).catch(() => {});
  await waitFor(
    async () => (await server.sql("select active from pg_replication_slots"))[0]?.active,
    { what: "the slot to be active" },
  );
}

async function selfSigned(): Promise<{ cert: string; key: string }> {
  const directory = await Deno.makeTempDir();
  try {
    const output = await new Deno.Command("openssl", {
      // deno-fmt-ignore
      args: ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-keyout", `${directory}/key`, "-out",
        `${directory}/cert`],
      stderr: "piped",
    }).output();
    assert(output.success, new TextDecoder().decode(output.stderr));
    return {
      cert: await Deno.readTextFile(`${directory}/cert`),
      key: await Deno.readTextFile(`${directory}/key`),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
