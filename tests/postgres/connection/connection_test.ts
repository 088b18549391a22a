import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { RunError } from "../../../src/base/errors.ts";
import type { PostgresOptions, SslMode } from "../../../src/options.ts";
import {
  connect,
  type Connection,
  type ConnectionKind,
} from "../../../src/postgres/connection/connection.ts";
import { isTlsComplete } from "../../../src/libpq/tls.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { Authority, hasOpenssl, NO_OPENSSL } from "../../support/certificates.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertFails, postgresOptions } from "../../support/postgres_options.ts";

const PASSWORD = "marked-secret-0815";

const plain = await startEmbeddedPostgres({
  hba: [
    "host all by_scram 127.0.0.1/32 scram-sha-256",
    "host all by_md5 127.0.0.1/32 md5",
    "host all by_text 127.0.0.1/32 password",
    "host all shut_out 127.0.0.1/32 reject",
    "host all all 127.0.0.1/32 trust",
  ],
  settings: { max_wal_senders: 1, max_connections: 14, superuser_reserved_connections: 3 },
});
await plain.sql(`
  create role by_scram login replication password '${PASSWORD}';
  create role by_text login password '${PASSWORD}';
  create role shut_out login;
  create role no_login;
  set password_encryption = 'md5';
  create role by_md5 login password '${PASSWORD}'`);

/** Connects, asks one question, and leaves. */
async function facts(options: PostgresOptions, kind: ConnectionKind = "ordinary") {
  const connection = await connect(options, kind);
  try {
    const [row] = await connection.query(
      "look around",
      `select ssl::text, client_dn, current_setting('application_name') as application,
              current_setting('work_mem') as work_mem
         from pg_stat_ssl where pid = pg_backend_pid()`,
    );
    return row!;
  } finally {
    connection.destroy();
  }
}

Deno.test("connect logs in by SCRAM, MD5, plain text and trust", async () => {
  for (const user of ["by_scram", "by_md5", "by_text", "postgres"]) {
    const row = await facts(postgresOptions(plain, { user, password: PASSWORD }));
    assertEquals([row.ssl, row.application], ["false", "pg2kinesis"], user);
  }
  assertEquals(
    (await facts(postgresOptions(plain, { user: "by_scram", password: PASSWORD }), "replication"))
      .ssl,
    "false",
  );
});

Deno.test("connect takes the user's session options, and sockets", async () => {
  const options = postgresOptions(plain, {
    hosts: [{ host: plain.socketDir, port: plain.port }],
    sessionOptions: "-c work_mem=3MB",
    sslMode: "require",
  });
  // A socket needs no TLS, whatever the mode.
  assertEquals((await facts(options)).work_mem, "3MB");
});

Deno.test("connect takes IPv6 addresses", { ignore: !hasIpv6() }, async () => {
  using proxy = new Proxy(plain, "::1");
  const options = (port: number) => postgresOptions(plain, { hosts: [{ host: "::1", port }] });
  assertEquals((await facts(options(proxy.port))).ssl, "false");
  await assertFails(connect(options(1), "ordinary"), ["[::1]:1", "refused"], true);
});

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    console.warn("skipped: this machine has no IPv6");
    return false;
  }
}

Deno.test("connect asks the password file when the server asks", async () => {
  const passwordFile = await Deno.makeTempFile();
  try {
    await Deno.chmod(passwordFile, 0o600);
    await Deno.writeTextFile(passwordFile, `${plain.host}:*:*:by_scram:${PASSWORD}\n`);
    await facts(postgresOptions(plain, { user: "by_scram", passwordFile }));
    await assertFails(
      facts(postgresOptions(plain, { user: "by_md5", passwordFile })),
      ["by_md5", "asks for a password", "PGPASSWORD", "pgpass"],
      false,
    );
  } finally {
    await Deno.remove(passwordFile);
  }
});

Deno.test("connect says in one line, without the password, why it failed", async () => {
  const place = `127.0.0.1:${plain.port}`;
  const cases: readonly [Partial<PostgresOptions>, string[], boolean][] = [
    [{ hosts: [{ host: "127.0.0.1", port: 1 }] }, ["127.0.0.1:1", "refused", "--pg-port"], true],
    [{ hosts: [{ host: "nowhere.invalid", port: 5432 }] }, ["nowhere.invalid", "--pg-host"], true],
    [{ hosts: [{ host: "/nowhere", port: 7 }] }, ["/nowhere/.s.PGSQL.7", "no such socket"], true],
    [{ database: "nonesuch" }, [place, '"nonesuch"', "--pg-dbname"], false],
    [{ user: "nonesuch" }, [place, '"nonesuch"', "--pg-user"], false],
    [{ user: "no_login" }, ["not permitted to log in"], false],
    [{ user: "by_scram", password: `${PASSWORD}x` }, ["wrong password", "PGPASSWORD"], false],
    [{ user: "by_md5", password: `${PASSWORD}x` }, ["wrong password", "pgpass"], false],
    [{ user: "by_text", password: `${PASSWORD}x` }, ["wrong password"], false],
    [{ user: "shut_out" }, ["pg_hba.conf", "reject"], false],
    [{ sslMode: "require" }, ["does not offer TLS", "--pg-sslmode require"], false],
    [{ sessionOptions: "-c nonesuch=1" }, ["nonesuch"], false],
    [{ targetSessionAttrs: "standby" }, [place, "primary", "standby"], true],
  ];
  for (const [changes, says, transient] of cases) {
    const options = postgresOptions(plain, { password: PASSWORD, ...changes });
    const error = await connect(options, "ordinary").catch((error) => error);
    assert(!Deno.inspect(error, { depth: 10 }).includes(PASSWORD), "the password in the error");
    await assertFails(connect(options, "ordinary"), says, transient);
    // `prefer` asks for nothing that a server without TLS would lack.
    if (changes.sslMode === undefined) {
      assertEquals(/TLS/.test(error.message), false, error.message);
    }
  }
});

Deno.test("connect tells a server without walsenders left from one without connections", async () => {
  const options = postgresOptions(plain);
  const first = await connect(options, "replication");
  await assertFails(connect(options, "replication"), ["max_wal_senders"], true);
  const others: Connection[] = [];
  try {
    const limited = postgresOptions(plain, { user: "by_scram", password: PASSWORD });
    const failure = await (async () => {
      while (true) others.push(await connect(limited, "ordinary"));
    })().catch((error) => error);
    await assertFails(Promise.reject(failure), ["no connection left", "max_connections"], true);
  } finally {
    first.destroy();
    for (const other of others) other.destroy();
  }
});

Deno.test("connect gives up on a silent host after the timeout, or when it shall stop", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = silent.addr.port;
  const options = postgresOptions({ host: "127.0.0.1", port, superuser: "postgres" }, {
    connectTimeoutMs: 300,
    sslMode: "prefer",
  });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for (let count = 0; count < 2; count++) accepted.push(await silent.accept());
  })();
  await assertFails(connect(options, "ordinary"), [`127.0.0.1:${port}`, "0.3 s"], true);

  const stop = new AbortController();
  const reason = new Error("stop");
  const connecting = connect({ ...options, connectTimeoutMs: 0 }, "ordinary", stop.signal);
  await accepting;
  stop.abort(reason);
  assertEquals(await connecting.catch((error) => error), reason);
  for (const connection of accepted) connection.close();
});

Deno.test("connect tries hosts in order, and takes no other when the login is refused", async () => {
  const dead = { host: "127.0.0.1", port: 1 };
  const alive = { host: plain.host, port: plain.port };
  await facts(postgresOptions(plain, { hosts: [dead, alive] }));
  await assertFails(
    connect(postgresOptions(plain, { hosts: [dead, { host: "127.0.0.1", port: 2 }] }), "ordinary"),
    ["127.0.0.1:1", "127.0.0.1:2"],
    true,
  );
  const refused = postgresOptions(plain, { hosts: [alive, dead], database: "nonesuch" });
  const error = await connect(refused, "ordinary").catch((error) => error);
  assert(!error.message.includes("127.0.0.1:1 "), error.message);
});

Deno.test("connect chooses by target_session_attrs", async () => {
  await using readOnly = await startEmbeddedPostgres({
    settings: { default_transaction_read_only: "on" },
  });
  const hosts = [readOnly, plain].map(({ host, port }) => ({ host, port }));
  const chosen: Record<string, string> = {};
  for (const attrs of ["any", "read-write", "read-only", "primary", "prefer-standby"] as const) {
    const options = postgresOptions(plain, { hosts, targetSessionAttrs: attrs });
    for (const kind of ["ordinary", "replication"] as const) {
      const connection = await connect(options, kind);
      chosen[`${attrs} ${kind}`] = connection.attempt.port === plain.port ? "second" : "first";
      connection.destroy();
    }
  }
  assertEquals(chosen, {
    "any ordinary": "first",
    "any replication": "first",
    "read-write ordinary": "second",
    "read-write replication": "second",
    "read-only ordinary": "first",
    "read-only replication": "first",
    "primary ordinary": "first",
    "primary replication": "first",
    "prefer-standby ordinary": "first",
    "prefer-standby replication": "first",
  });
});

Deno.test("prefer and allow do without TLS where the server has none", async () => {
  for (const sslMode of ["prefer", "allow", "disable"] as const) {
    assertEquals((await facts(postgresOptions(plain, { sslMode }))).ssl, "false");
  }
});

const ignore = !hasOpenssl();
if (ignore) console.warn(NO_OPENSSL);

Deno.test("sslmodes mean what libpq means by them", { ignore }, async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "pg2k_tls_" });
  try {
    const [right, other] = [await Authority.create("Right"), await Authority.create("Other")];
    const rightFile = await writeKey(dir, "right.crt", right.cert);
    const otherFile = await writeKey(dir, "other.crt", other.cert);
    const start = async (names: string[], days = 2) =>
      await startEmbeddedPostgres({
        tls: { ...await right.sign("server", names, days), ca: right.cert },
        hba: [
          "hostnossl all only_plain 127.0.0.1/32 trust",
          "hostssl all only_tls 127.0.0.1/32 trust",
          "hostssl all by_cert 127.0.0.1/32 cert",
          "hostssl all by_scram 127.0.0.1/32 scram-sha-256",
          "host all postgres 127.0.0.1/32 trust",
        ],
      });
    await using server = await start(["DNS:localhost", "IP:127.0.0.1"]);
    await using wrongHost = await start(["DNS:other.example"]);
    await using expired = await start(["DNS:localhost"], -1);
    await server.sql(`create role only_plain login; create role only_tls login;
      create role by_cert login; create role by_scram login password '${PASSWORD}'`);

    const tls = (
      server: TestPostgres,
      sslMode: SslMode,
      changes: Partial<PostgresOptions> = {},
    ): PostgresOptions =>
      postgresOptions(server, {
        hosts: [{ host: "localhost", port: server.port }],
        sslMode,
        ...changes,
      });

    await t.step("without roots: encrypted where it can be, never verified", async () => {
      for (const each of [server, wrongHost, expired]) {
        for (const sslMode of ["prefer", "require"] as const) {
          assertEquals((await facts(tls(each, sslMode))).ssl, "true", sslMode);
        }
      }
      assertEquals((await facts(tls(server, "disable"))).ssl, "false");
      assertEquals((await facts(tls(server, "allow"))).ssl, "false");
    });

    await t.step("prefer and allow take the other way when the server refuses", async () => {
      const ssl = async (sslMode: SslMode, user: string) =>
        (await facts(tls(server, sslMode, { user }))).ssl;
      assertEquals(await ssl("prefer", "only_plain"), "false");
      assertEquals(await ssl("prefer", "only_tls"), "true");
      assertEquals(await ssl("allow", "only_tls"), "true");
      assertEquals(await ssl("allow", "only_plain"), "false");
      await assertFails(ssl("require", "only_plain"), ["pg_hba.conf"], false);
      await assertFails(ssl("disable", "only_tls"), ["pg_hba.conf", "--pg-sslmode"], false);
    });

    await t.step("verify-full checks authority, host and time", async () => {
      const full = (each: TestPostgres, sslRootCert: string) =>
        facts(tls(each, "verify-full", { sslRootCert }));
      assertEquals((await full(server, rightFile)).ssl, "true");
      await assertFails(full(server, otherFile), ["authority", "--pg-sslrootcert"], false);
      await assertFails(full(wrongHost, rightFile), ["another host"], false);
      await assertFails(full(expired, rightFile), ["expired"], false);
      await assertFails(full(server, "system"), ["authority"], false);
      await assertFails(
        facts(tls(plain, "verify-full", { sslRootCert: rightFile })),
        ["TLS"],
        false,
      );
    });

    await t.step("verify-ca, and any mode with roots, checks the authority only", async () => {
      for (const sslMode of ["require", "verify-ca"] as const) {
        const ca = (each: TestPostgres, sslRootCert: string) =>
          facts(tls(each, sslMode, { sslRootCert }));
        if (!isTlsComplete()) {
          const error = await ca(server, rightFile).catch((error) => error);
          assert(error instanceof RunError && error.message.includes("verify-full"), String(error));
          continue;
        }
        assertEquals((await ca(server, rightFile)).ssl, "true");
        assertEquals((await ca(wrongHost, rightFile)).ssl, "true");
        await assertFails(ca(server, otherFile), ["authority"], false);
        await assertFails(ca(expired, rightFile), ["expired"], false);
      }
      if (!isTlsComplete()) return;
      // As libpq: what cannot be verified is not TLS, and prefer does without.
      assertEquals((await facts(tls(server, "prefer", { sslRootCert: otherFile }))).ssl, "false");
    });

    await t.step("client certificates", async () => {
      const client = await right.sign("by_cert");
      const changes = {
        user: "by_cert",
        sslRootCert: rightFile,
        sslCert: await writeKey(dir, "client.crt", client.cert),
        sslKey: await writeKey(dir, "client.key", client.key),
      };
      if (!isTlsComplete()) {
        const error = await facts(tls(server, "verify-full", changes)).catch((error) => error);
        assert(error instanceof RunError && /Deno 2\.9/.test(error.message), String(error));
        return;
      }
      assertEquals((await facts(tls(server, "verify-full", changes))).client_dn, "/CN=by_cert");
      await Deno.chmod(changes.sslKey, 0o644);
      const open = await facts(tls(server, "verify-full", changes)).catch((error) => error);
      assert(open instanceof RunError && /chmod 0600/.test(open.message), String(open));
      const { sslCert: _cert, sslKey: _key, ...without } = changes;
      await assertFails(facts(tls(server, "verify-full", without)), ["certificate"], false);
    });

    await t.step("SCRAM over TLS, with channel binding where Deno can", async () => {
      const changes = { user: "by_scram", sslRootCert: rightFile };
      const ask = (password: string) =>
        facts(tls(server, "verify-full", { ...changes, password }), "ordinary");
      assertEquals((await ask(PASSWORD)).ssl, "true");
      await assertFails(ask(`${PASSWORD}x`), ["wrong password"], false);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function writeKey(dir: string, name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  return path;
}
