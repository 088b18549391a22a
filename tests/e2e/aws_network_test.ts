/**
 * The ways to AWS, by the real program: from source, or the executable that PG2KINESIS_BIN names, which
 * runs on another version of Deno.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { answer, serveRaw, STORED } from "../support/raw_server.ts";
import { startAwsGate } from "../support/aws_gate.ts";
import { Authority, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { kinesisEnv } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { hasTinyproxy, NO_TINYPROXY, startTinyproxy } from "../support/tinyproxy.ts";
import { serveTls } from "../support/tls_front.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

Deno.test("no command follows a redirect: neither record nor token leaves for another host", async () => {
  await using elsewhere = serveRaw(async (connection) => {
    while (await connection.next()) await connection.write(STORED);
  });
  await using server = serveRaw(async (connection) => {
    const location = `http://127.0.0.1:${elsewhere.port}/`;
    while (await connection.next()) await connection.write(answer(307, "", { location }));
  });
  const env = {
    ...kinesisEnv(server.endpoint),
    AWS_SESSION_TOKEN: "a-session-token",
    AWS_ENDPOINT_URL_STS: server.endpoint,
  };
  for (
    const command of [["tail"], ["check", "-d", "none", "-u", "none", "-h", "127.0.0.1", "-p", "1"]]
  ) {
    const { code, stdout, stderr } = await Pg2kinesis.run([...command, "-k", "changes"], { env });
    assertEquals(code, 1, stderr);
    assertStringIncludes(
      stdout + stderr,
      `HTTP status 307 from ${server.endpoint}, a redirect to http://127.0.0.1:${elsewhere.port}, ` +
        "which is not followed",
    );
  }
  assert(server.seen.length > 0);
  assertEquals(elsewhere.seen, []);
});

const missing = !hasTinyproxy() ? NO_TINYPROXY : !hasOpenssl() ? NO_OPENSSL : undefined;
if (missing !== undefined) console.warn(missing);

Deno.test(
  "run, check and tail reach AWS through the proxy and by the authority that the environment names",
  {
    ignore: missing !== undefined,
  },
  async () => {
    const login = { user: "me", password: "proxy-s3cret" };
    await using proxy = await startTinyproxy(login);
    await using gate = await startAwsGate();
    const authority = await Authority.create("Private");
    const certificate = await authority.sign("localhost", ["DNS:localhost"]);
    await using front = serveTls(
      certificate,
      Number(new URL(gate.env.AWS_ENDPOINT_URL_KINESIS!).port),
    );
    const dir = await Deno.makeTempDir({ prefix: "pg2k_ca_" });
    await using server = await startEmbeddedPostgres();
    try {
      const ca = join(dir, "ca.pem");
      await Deno.writeTextFile(ca, authority.cert);
      const endpoint = `https://localhost:${front.port}`;
      const aws = {
        ...gate.env,
        AWS_ENDPOINT_URL_KINESIS: endpoint,
        AWS_ENDPOINT_URL_STS: endpoint,
      };
      const url = `http://${login.user}:${login.password}@${proxy.address}`;
      for (
        const [trust, env] of [
          ["AWS_CA_BUNDLE", { HTTPS_PROXY: url, AWS_CA_BUNDLE: ca }],
          ["SSL_CERT_FILE", { https_proxy: url, SSL_CERT_FILE: ca }],
          ["ca_bundle", { all_proxy: url, AWS_CONFIG_FILE: join(dir, "config") }],
        ] as const
      ) {
        await Deno.writeTextFile(join(dir, "config"), `[default]\nca_bundle = ${ca}\n`);
        await using db = await freshDatabase(server);
        await db.sql("create table t (id int primary key)");
        const stream = freshStreamName();
        await gate.kinesis.createStream(stream);
        await db.createSlot("test_decoding");
        const options = { env: { ...aws, ...env } };
        const before = (await proxy.requests()).length;

        const check = await Pg2kinesis.run(["check", ...flagsFor(db, stream)], options);
        assertMatch(check.stdout, /✓ aws_identity: .*123456789012/, trust + check.stdout);
        assertMatch(check.stdout, /✓ permissions/, trust + check.stdout);

        await using program = await Pg2kinesis.start(flagsFor(db, stream), options);
        await program.waitForLog(/following slot/);
        await db.sql("insert into t values (1)");
        await waitUntilConfirmed(db, program);
        assertEquals(await program.stop(), 0, program.stderr);
        const stored = await storedTexts(gate.kinesis, stream);
        assertEquals(stored.length, 1);

        const tail = await Pg2kinesis.run(["tail", "-k", stream, "--from", "oldest"], options);
        assertEquals(tail.code, 0, tail.stderr);
        assertStringIncludes(tail.stdout, stored[0]!);

        const asked = (await proxy.requests()).slice(before);
        // Three commands, and the token service.
        assert(asked.length >= 4, asked.join());
        assertEquals(new Set(asked), new Set([`CONNECT localhost:${front.port}`]));
        for (const text of [check.stdout, check.stderr, program.stderr, tail.stderr]) {
          assertEquals(text.includes(login.password), false);
        }
      }

      const exempt = {
        HTTPS_PROXY: url,
        NO_PROXY: "*.example.com *.localhost localhost:*, localhost",
      };
      const before = (await proxy.requests()).length;
      const direct = await Pg2kinesis.run(["tail", "-k", "changes"], {
        env: { ...aws, ...exempt, AWS_CA_BUNDLE: ca },
      });
      assertStringIncludes(direct.stderr, "there is no such stream");
      assertEquals((await proxy.requests()).slice(before), []);

      const untrusted = await Pg2kinesis.run(["tail", "-k", "changes"], {
        env: { ...aws, HTTPS_PROXY: url },
      });
      assertEquals(untrusted.code, 1);
      assertMatch(untrusted.stderr, /UnknownIssuer.* through the proxy http:\/\/127/);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

Deno.test("a proxy or a file of authorities that cannot be one is named before anything is asked", async () => {
  const env = kinesisEnv("http://127.0.0.1:1");
  const said: [Record<string, string>, RegExp][] = [
    [{ HTTPS_PROXY: "ftp://me:s3cret@proxy" }, /HTTPS_PROXY names no proxy; write it like/],
    [
      { AWS_CA_BUNDLE: "/no/such.pem" },
      /AWS_CA_BUNDLE \(\/no\/such\.pem\) cannot be read: there is/,
    ],
    [{ AWS_CA_BUNDLE: "/etc/hostname" }, /AWS_CA_BUNDLE .* holds no certificate in PEM form/],
    [
      { SSL_CERT_FILE: "/no/such.pem" },
      /SSL_CERT_FILE \(\/no\/such\.pem\) cannot be read: there is/,
    ],
  ];
  for (const [more, line] of said) {
    const { code, stderr } = await Pg2kinesis.run(["tail"], { env: { ...env, ...more } });
    assertEquals(code, 1);
    assertMatch(stderr, line);
    assertEquals(stderr.trim().split("\n").length, 1, stderr);
    assertEquals(stderr.includes("s3cret"), false);
  }
});

Deno.test("the hosts that are asked are those that docs/aws.md names", async () => {
  await using proxy = serveRaw(async (connection) => {
    while (await connection.next()) await connection.write(answer(403, ""));
  });
  const keys = {
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "AKIATESTTESTTESTTEST",
    AWS_SECRET_ACCESS_KEY: "secret",
    HTTPS_PROXY: proxy.endpoint,
  };
  const account = { ...keys, AWS_ACCOUNT_ID: "123456789012" };
  const config = await Deno.makeTempFile({ prefix: "pg2k_aws_" });
  await Deno.writeTextFile(config, "[default]\nuse_fips_endpoint = True\n");
  const profile = { ...keys, AWS_CONFIG_FILE: config };
  const arn = "arn:aws:kinesis:eu-west-1:210987654321:stream/changes";
  const asked: [Record<string, string>, string, string][] = [
    [keys, "changes", "kinesis.us-east-1.amazonaws.com"],
    [account, "changes", "123456789012.control-kinesis.us-east-1.amazonaws.com"],
    [
      { ...account, AWS_ACCOUNT_ID_ENDPOINT_MODE: "disabled" },
      "changes",
      "kinesis.us-east-1.amazonaws.com",
    ],
    [keys, arn, "210987654321.control-kinesis.eu-west-1.amazonaws.com"],
    [
      { ...keys, AWS_ENDPOINT_URL_KINESIS: "https://kinesis.eu-west-1.amazonaws.com" },
      arn,
      "kinesis.eu-west-1.amazonaws.com",
    ],
    [{ ...keys, AWS_USE_FIPS_ENDPOINT: "TRUE" }, "changes", "kinesis-fips.us-east-1.amazonaws.com"],
    [{ ...keys, AWS_USE_DUALSTACK_ENDPOINT: "True" }, "changes", "kinesis.us-east-1.api.aws"],
    [profile, "changes", "kinesis-fips.us-east-1.amazonaws.com"],
    [{ ...profile, AWS_USE_FIPS_ENDPOINT: "false" }, "changes", "kinesis.us-east-1.amazonaws.com"],
  ];
  const flags = "-d none -u none -h 127.0.0.1 -p 1 -k".split(" ");
  for (const [env, stream, host] of asked) {
    proxy.seen.length = 0;
    const { stdout } = await Pg2kinesis.run(["check", ...flags, stream], { env });
    const hosts = new Set(proxy.seen.map((line) => /CONNECT (\S+):443/.exec(line)![1]!));
    const kinesis = [...hosts].filter((host) => host.includes("kinesis"));
    assertEquals(kinesis, [host], stdout);
  }
  await Deno.remove(config);
});
