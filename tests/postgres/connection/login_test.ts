import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { SSL_MODES } from "../../../src/options.ts";
import { requireAuth } from "../../../src/libpq/require_auth.ts";
import { RunError, UsageError } from "../../../src/base/errors.ts";
import type { PostgresOptions, SslMode } from "../../../src/options.ts";
import { connect } from "../../../src/postgres/connection/connection.ts";
import { isTlsComplete } from "../../../src/libpq/tls.ts";
import { findLibpqs } from "../../support/real_libpq.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { logged } from "../../support/logs.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { Authority, hasOpenssl, NO_OPENSSL } from "../../support/certificates.ts";
import { Impostor } from "./impostor.ts";
import { assertFails, postgresOptions } from "../../support/postgres_options.ts";

const PASSWORD = "marked-secret-4711";

const ignore = !hasOpenssl();
if (ignore) console.warn(NO_OPENSSL);
const NO_BINDING = "skipped: an executable built before Deno 2.9 has no channel binding";

/** Servers with certificates by one authority, and the files of it and of another. */
async function startServers() {
  const dir = await Deno.makeTempDir({ prefix: "pg2k_login_" });
  addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
  const [right, other] = [await Authority.create("Right"), await Authority.create("Other")];
  const rightFile = join(dir, "right.crt");
  const otherFile = join(dir, "other.crt");
  await Deno.writeTextFile(rightFile, right.cert);
  await Deno.writeTextFile(otherFile, other.cert);
  const hba = [
    "host all trusted 127.0.0.1/32 trust",
    "host all scram 127.0.0.1/32 scram-sha-256",
    "host all md5 127.0.0.1/32 md5",
    "host all text 127.0.0.1/32 password",
    "hostnossl all only_plain 127.0.0.1/32 trust",
    "hostssl all only_tls 127.0.0.1/32 trust",
    "hostnossl all easy_plain 127.0.0.1/32 trust",
    "hostssl all easy_plain 127.0.0.1/32 scram-sha-256",
    "hostssl all easy_tls 127.0.0.1/32 trust",
    "hostnossl all easy_tls 127.0.0.1/32 scram-sha-256",
  ];
  const start = async (names?: string[]) => {
    const tls = names && { ...await right.sign("server", names), ca: right.cert };
    const server = await startEmbeddedPostgres(tls ? { tls, hba } : { hba });
    await server.sql(`
      create role trusted login; create role only_plain login; create role only_tls login;
      create role scram login password '${PASSWORD}';
      create role easy_plain login password '${PASSWORD}';
      create role easy_tls login password '${PASSWORD}';
      create role text login password '${PASSWORD}';
      set password_encryption = 'md5'; create role md5 login password '${PASSWORD}'`);
    return server;
  };
  const [server, wrongHost, plain] = await Promise.all([
    start(["DNS:localhost", "IP:127.0.0.1"]),
    start(["DNS:other.example"]),
    start(),
  ]);
  return { server, wrongHost, plain, right, rightFile, otherFile };
}

// They end with the test run.
const servers = ignore ? undefined : await startServers();

function optionsFor(
  server: Pick<TestPostgres, "port">,
  sslMode: SslMode,
  changes: Partial<PostgresOptions> = {},
): PostgresOptions {
  return postgresOptions({ host: "localhost", superuser: "", ...server }, {
    hosts: [{ host: "localhost", port: server.port }],
    user: "trusted",
    sslMode,
    password: PASSWORD,
    ...changes,
  });
}

/** What the log says of a login that succeeds: `with TLS, by SCRAM-SHA-256-PLUS`. */
async function howLoggedIn(options: PostgresOptions): Promise<string> {
  const lines = await logged(async () => (await connect(options, "ordinary")).destroy());
  const line = lines.find(({ text }) => text.startsWith("logged in"));
  return /(with(?:out)? TLS, by .*)$/.exec(line?.text ?? "")?.[1] ?? "";
}

Deno.test("a login may be bound to its TLS channel, which an impostor cannot bear", {
  ignore,
}, async (t) => {
  const { server, plain, right, rightFile } = servers!;
  const ask = (changes: Partial<PostgresOptions>, at: Pick<TestPostgres, "port"> = server) =>
    optionsFor(at, "verify-full", { user: "scram", sslRootCert: rightFile, ...changes });
  const bound = isTlsComplete() ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";

  await t.step("by default where the server offers it, and never when disabled", async () => {
    assertEquals(await howLoggedIn(ask({})), `with TLS, by ${bound}`);
    assertEquals(
      await howLoggedIn(ask({ channelBinding: "disable" })),
      "with TLS, by SCRAM-SHA-256",
    );
  });

  if (!isTlsComplete()) {
    console.warn(NO_BINDING);
    const error = await connect(ask({ channelBinding: "require" }), "ordinary").catch((e) => e);
    assert(error instanceof RunError && /Deno 2\.9/.test(error.message), String(error));
    return;
  }

  await t.step("require: with PLUS or not at all", async () => {
    const required = { channelBinding: "require" } as const;
    assertEquals(await howLoggedIn(ask(required)), "with TLS, by SCRAM-SHA-256-PLUS");
    for (
      const [user, asks] of [
        ["trusted", "asks for no password"],
        ["text", "asks for the password itself"],
        ["md5", "asks for an MD5"],
      ] as const
    ) {
      await assertFails(
        connect(ask({ ...required, user }), "ordinary"),
        ["channel_binding=require", asks],
        false,
      );
    }
    await assertFails(
      connect(optionsFor(plain, "prefer", { ...required, user: "scram" }), "ordinary"),
      ["does not offer TLS", "no TLS"],
      false,
    );
  });

  await t.step("an impostor with a certificate that is trusted", async () => {
    const certificate = await right.sign("server", ["DNS:localhost"]);
    using impostor = new Impostor(certificate, server, right.cert);
    const direct = { sslNegotiation: "direct" } as const;
    // Without binding he hears everything.
    assertEquals(
      await howLoggedIn(ask({ ...direct, channelBinding: "disable" }, impostor)),
      "with TLS, by SCRAM-SHA-256",
    );
    for (const channelBinding of ["prefer", "require"] as const) {
      await assertFails(
        connect(ask({ ...direct, channelBinding }, impostor), "ordinary"),
        ["channel binding"],
        false,
      );
    }
  });
});

Deno.test("sslnegotiation=direct begins with TLS, and only with PostgreSQL", {
  ignore,
}, async () => {
  const { server, plain, right, rightFile } = servers!;
  const changes = { sslRootCert: rightFile, sslNegotiation: "direct" } as const;
  assertEquals(await howLoggedIn(optionsFor(server, "verify-full", changes)), "with TLS, by none");
  const certificate = await right.sign("server", ["DNS:localhost"]);
  using webServer = new Impostor(certificate, server, right.cert, ["http/1.1"]);
  for (const not of [plain, webServer]) {
    const error = await connect(optionsFor(not, "verify-full", changes), "ordinary")
      .catch((error) => error);
    assert(error instanceof RunError, String(error));
  }
});

Deno.test("a login by name and address asks no name service, and checks the name", {
  ignore,
}, async () => {
  const { server, wrongHost, rightFile } = servers!;
  const at = (host: string, { port }: TestPostgres) =>
    optionsFor({ port }, "verify-full", {
      hosts: [{ host, port, address: "127.0.0.1" }],
      sslRootCert: rightFile,
    });
  assertEquals(await howLoggedIn(at("other.example", wrongHost)), "with TLS, by none");
  await assertFails(connect(at("other.example", server), "ordinary"), ["another host"], false);
  const byAddress = optionsFor(server, "verify-full", {
    hosts: [{ host: "127.0.0.1", port: server.port }],
    sslRootCert: rightFile,
  });
  assertEquals(await howLoggedIn(byAddress), "with TLS, by none");
});

const oracles = isTlsComplete() ? await findLibpqs() : [];
if (oracles.length === 0) {
  console.warn("skipped: comparison with libpq, which is not on this machine, or Deno before 2.9");
}

Deno.test("connect gets in where libpq gets in, and with TLS where libpq has it", {
  ignore: ignore || oracles.length === 0,
}, async () => {
  const { server, wrongHost, plain, rightFile, otherFile } = servers!;
  const users = ["trusted", "scram", "text", "md5", "only_plain", "only_tls"];
  users.push("easy_plain", "easy_tls");
  const cases: [TestPostgres, SslMode, Partial<PostgresOptions>][] = [];
  for (const sslMode of SSL_MODES) {
    for (const sslRootCert of [undefined, rightFile, otherFile]) {
      // Without roots these are refused before anything is connected to.
      if (sslRootCert === undefined && sslMode.startsWith("verify")) continue;
      for (const user of users) {
        for (const password of [PASSWORD, "wrong"]) {
          cases.push([server, sslMode, { user, password, sslRootCert }]);
        }
      }
      for (const each of [wrongHost, plain]) {
        for (const user of ["trusted", "scram"]) cases.push([each, sslMode, { user, sslRootCert }]);
      }
      cases.push([server, sslMode, { database: "nonesuch", sslRootCert, user: "trusted" }]);
    }
    for (const channelBinding of ["disable", "require"] as const) {
      for (const user of users) {
        cases.push([server, sslMode, { user, sslRootCert: rightFile, channelBinding }]);
      }
      cases.push([plain, sslMode, { user: "scram", sslRootCert: rightFile, channelBinding }]);
    }
  }
  const findings: string[] = [];
  const outcomes = new Set<unknown>();
  for (const [at, sslMode, changes] of cases) {
    const options = optionsFor(at, sslMode, changes);
    const ours = await connectsLike(options);
    outcomes.add(ours);
    for (const { path, connect } of oracles) {
      const theirs = connect({
        host: "localhost",
        hostaddr: "127.0.0.1",
        port: String(at.port),
        user: options.user,
        dbname: options.database,
        password: options.password!,
        sslmode: sslMode,
        // What libpq would look for in the home folder.
        sslrootcert: options.sslRootCert ?? `${rightFile}.absent`,
        sslcert: `${rightFile}.absent`,
        channel_binding: options.channelBinding,
        gssencmode: "disable",
      });
      if (typeof theirs === "string" ? ours !== theirs : !ours.startsWith("cannot connect")) {
        findings.push(`${sslMode} ${JSON.stringify(changes)}: ${ours}; ${path} ${theirs}`);
      }
    }
  }
  assertEquals(findings, []);
  assert(outcomes.has("TLS") && outcomes.has("no TLS") && outcomes.size > 10);
});

const knowing = oracles.filter((oracle) => oracle.keywords().has("require_auth"));
if (knowing.length === 0) {
  console.warn("skipped: comparison of require_auth with libpq, which needs libpq 16 or newer");
}

Deno.test("require_auth lets in, refuses and is misspelt as in libpq", {
  ignore: ignore || knowing.length === 0,
}, async () => {
  const { server, rightFile } = servers!;
  const methods = ["password", "md5", "scram-sha-256", "none", "gss", "sspi"];
  const values = [
    ...methods,
    ...methods.map((method) => `!${method}`),
    "password,md5,scram-sha-256",
    "!password,!md5",
    "!password,!md5,!none",
    "none,scram-sha-256",
    "gss,sspi",
    "!gss,!sspi",
    "!password,!none",
    "oauth",
    "!oauth,!password",
    "password,!md5",
    "!password,md5",
    "none,!md5",
    "password,password",
    "none,none",
    "!none,!none",
    "!md5,!md5",
    "password,",
    ",password",
    ",",
    "!",
    "!password,",
    " password",
    "Password",
    "scram",
    "SCRAM-SHA-256",
    "!!password",
    "password, md5",
    "kerberos",
  ];
  const findings: string[] = [];
  const outcomes = new Set<string>();
  for (const value of values) {
    for (const user of ["trusted", "scram", "text", "md5"]) {
      for (const sslMode of ["disable", "verify-full"] as const) {
        let ours: string;
        try {
          ours = await connectsLike(
            optionsFor(server, sslMode, {
              user,
              sslRootCert: rightFile,
              requireAuth: requireAuth(value),
            }),
          );
          if (ours.startsWith("cannot")) {
            assertMatch(
              ours,
              /require_auth=.* does not allow this login: the server .*; check that it is the right/,
            );
            ours = "refused";
          }
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          ours = "misspelt";
        }
        outcomes.add(ours);
        for (const { path, connect } of knowing) {
          const answer = connect({
            host: "localhost",
            hostaddr: "127.0.0.1",
            port: String(server.port),
            user,
            dbname: "postgres",
            password: PASSWORD,
            sslmode: sslMode,
            sslrootcert: rightFile,
            gssencmode: "disable",
            require_auth: value,
          });
          const theirs = typeof answer === "string"
            ? answer
            : /authentication method requirement/.test(answer.said)
            ? "refused"
            : /require_auth/.test(answer.said)
            ? "misspelt"
            : answer.said;
          if (ours !== theirs) findings.push(`${value} ${user}: ${ours}; ${path} ${theirs}`);
        }
      }
    }
  }
  assertEquals(findings, []);
  assertEquals([...outcomes].sort(), ["TLS", "misspelt", "no TLS", "refused"]);
});

async function connectsLike(options: PostgresOptions): Promise<string> {
  try {
    const connection = await connect(options, "ordinary");
    connection.destroy();
    return connection.attempt.encrypted ? "TLS" : "no TLS";
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return error.message;
  }
}

Deno.test("connect refuses a server that skips its own proof in SCRAM", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using connection = await listener.accept();
    const buffer = new Uint8Array(4096);
    const hear = async () => {
      const size = await connection.read(buffer) ?? 0;
      return new TextDecoder().decode(buffer.subarray(0, size));
    };
    /** `R`, with the request's number and its text. */
    const ask = async (request: number, text: string) => {
      const body = new TextEncoder().encode(text);
      const message = new Uint8Array(9 + body.length);
      message[0] = "R".charCodeAt(0);
      new DataView(message.buffer).setUint32(1, 8 + body.length);
      new DataView(message.buffer).setUint32(5, request);
      message.set(body, 9);
      await connection.write(message);
    };
    await hear();
    await ask(10, "SCRAM-SHA-256\0\0");
    const nonce = /r=(.*)$/.exec(await hear())![1];
    await ask(11, `r=${nonce}more,s=${btoa("salt")},i=4096`);
    await hear();
    await ask(0, "");
    // ReadyForQuery, for a client that believes it.
    await connection.write(new Uint8Array([0x5a, 0, 0, 0, 5, 0x49])).catch(() => {});
    await connection.read(buffer).catch(() => {});
  })();
  await assertFails(
    connect(optionsFor({ port: listener.addr.port }, "disable"), "ordinary"),
    ["did not prove that it knows the password"],
    false,
  );
  await serving;
});
