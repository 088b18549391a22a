import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { Authority, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { IamLdap } from "../support/iam_ldap.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { freshStreamName, storedTexts, waitUntilConfirmed } from "../support/following_program.ts";

/** PostgreSQL asks by LDAP, which Debian's can and the embedded one cannot. */
const ignore = findDebianPostgres() === undefined || !hasOpenssl();
if (ignore) console.warn(hasOpenssl() ? NO_DEBIAN_POSTGRES : NO_OPENSSL);

const SECRET = "marked-secret-aws-0815";
const KEYS = { accessKeyId: "AKIAMARKED", secretAccessKey: SECRET, region: "eu-central-1" };

/** A server that lets `iam_user` in by a token of IAM's over TLS only. */
async function startRds() {
  const authority = await Authority.create("RDS");
  let port = 0;
  const iam = new IamLdap({ ...KEYS, user: "iam_user", endpoint: () => `localhost:${port}` });
  const server = await startDebianPostgres({
    tls: await authority.sign("server", ["DNS:localhost"]),
    hba: [
      `hostssl all iam_user 127.0.0.1/32 ${iam.method}`,
      "host all scram_user 127.0.0.1/32 scram-sha-256",
    ],
  });
  port = server.port;
  await server.sql(
    "create role iam_user login replication; create role scram_user login password 'x'",
  );
  const dir = await Deno.makeTempDir({ prefix: "pg2k_rds_" });
  const rootCert = join(dir, "bundle.pem");
  await Deno.writeTextFile(rootCert, authority.cert);
  return {
    ...{ server, iam, rootCert },
    async [Symbol.asyncDispose]() {
      iam[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

Deno.test({
  name: "--pg-auth rds-iam logs in by a new token at every connect, and tells nobody",
  ignore,
  fn: async () => {
    await using rds = await startRds();
    const { server, iam } = rds;
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await db.sql("create table t (id integer primary key)");
    await db.createSlot("test_decoding");
    const flags = (user: string) => [
      ...["-h", "localhost", "-p", String(server.port), "-u", user, "-d", db.database],
      ...["--pg-auth", "rds-iam", "--pg-sslmode", "verify-full", "--pg-sslrootcert", rds.rootCert],
      ...["-s", db.slot, "-k", stream, "--log-level", "debug"],
    ];
    const env = {
      ...kinesis.env,
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_REGION: KEYS.region,
      // Never asked for.
      PGPASSWORD: "marked-secret-password",
    };
    await using program = await Pg2kinesis.start(flags("iam_user"), { env });
    await program.waitForLog(/following slot/);
    assert(iam.logins.length >= 3);
    const dateOf = (token: string) => /X-Amz-Date=(\w+)/.exec(token)![1]!;
    const last = dateOf(iam.logins.at(-1)!.token);
    // Tokens of one second are equal.
    await waitFor(
      () => new Date().toISOString().replace(/[-:]|\.\d+/g, "") > last,
      { what: "the next second" },
    );
    await server.sql("select pg_terminate_backend(active_pid) from pg_replication_slots");
    await program.waitForLog(/connected again/);
    await db.sql("insert into t values (1)");
    await waitUntilConfirmed(db, program);
    assertEquals((await storedTexts(kinesis, stream)).length, 1);
    assertEquals(await program.stop(), 0);

    assertEquals(iam.logins.filter(({ fault }) => fault !== undefined), []);
    const { token } = iam.logins.at(-1)!;
    assert(dateOf(token) > last, "an old token came again");
    // The last one's login may have been cut off by the stop.
    const signed = program.stderr.match(/signed a token for iam_user/g)!.length;
    assert(signed >= iam.logins.length, `${signed} tokens for ${iam.logins.length} logins`);
    assertMatch(
      token,
      new RegExp(
        `^localhost:${server.port}/\\?Action=connect&DBUser=iam_user&X-Amz-Algorithm=AWS4-HMAC-SHA256&` +
          "X-Amz-Credential=AKIAMARKED%2F\\d{8}%2Feu-central-1%2Frds-db%2Faws4_request&[^?]*" +
          "X-Amz-Expires=900&X-Amz-Signature=[0-9a-f]{64}&",
      ),
    );

    // One with a role that IAM is not asked for: the token is not even hashed for it.
    await using refused = await Pg2kinesis.start(flags("scram_user"), { env });
    assertEquals(await refused.waitForExit(), 1);
    assertMatch(refused.stderr, /ERROR cannot connect .*rds_iam to the role/);

    const wrong = { ...env, AWS_SECRET_ACCESS_KEY: `${SECRET}-wrong` };
    await using rejected = await Pg2kinesis.start(flags("iam_user"), { env: wrong });
    assertEquals(await rejected.waitForExit(), 1);
    assertMatch(rejected.stderr, /ERROR cannot connect .*rds-db:connect/);

    for (const { stdout, stderr } of [program, refused, rejected]) {
      for (const secret of [SECRET, "marked-secret-password", "X-Amz-", "Action=connect"]) {
        assert(!(stdout + stderr).includes(secret), `${secret} in ${stderr}`);
      }
      for (const { token } of iam.logins) {
        assert(!(stdout + stderr).includes(/Signature=(\w+)/.exec(token)![1]!));
      }
    }
  },
});

Deno.test({
  name: "--pg-auth rds-iam waits for keys that IAM takes when those in ~/.aws have expired",
  ignore,
  fn: async () => {
    await using rds = await startRds();
    const { server } = rds;
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await db.sql("create table t (id integer primary key)");
    await db.createSlot("test_decoding");
    const file = await Deno.makeTempFile();
    const write = (secret: string) =>
      Deno.writeTextFile(
        file,
        `[default]\naws_access_key_id = ${KEYS.accessKeyId}\naws_secret_access_key = ${secret}\n`,
      );
    await write(SECRET);
    const { AWS_ENDPOINT_URL_KINESIS } = kinesis.env;
    await using program = await Pg2kinesis.start([
      ...["-h", "localhost", "-p", String(server.port), "-u", "iam_user", "-d", db.database],
      ...["--pg-auth", "rds-iam", "--pg-sslmode", "verify-full", "--pg-sslrootcert", rds.rootCert],
      ...["-s", db.slot, "-k", stream, "--log-level", "debug"],
    ], {
      env: {
        AWS_ENDPOINT_URL_KINESIS: AWS_ENDPOINT_URL_KINESIS!,
        AWS_SHARED_CREDENTIALS_FILE: file,
        AWS_REGION: KEYS.region,
      },
    });
    await program.waitForLog(/following slot/);
    await write(`${SECRET}-expired`);
    await server.sql("select pg_terminate_backend(active_pid) from pg_replication_slots");
    await program.waitForLog(/not connected: .*rds-db:connect/);
    await write(SECRET);
    await program.waitForLog(/connected again/);
    await db.sql("insert into t values (1)");
    await waitUntilConfirmed(db, program);
    assertEquals((await storedTexts(kinesis, stream)).length, 1);
    assertEquals(await program.stop(), 0);
    await Deno.remove(file);
  },
});

Deno.test("--pg-auth rds-iam without credentials or region says so in one line", async () => {
  const start = (env: Record<string, string>) =>
    Pg2kinesis.start(
      [..."-h localhost -p 1 -u u -d d --pg-auth rds-iam --pg-sslmode require".split(" ")],
      { env: { AWS_ENDPOINT_URL_KINESIS: "http://127.0.0.1:1", ...env } },
    );
  // The stream is opened at the same time, and needs both too: whichever is told, it is one line.
  for (
    const [env, says] of [
      [{ AWS_REGION: "eu-central-1" }, /ERROR .*no AWS credentials found: set AWS_ACCESS_KEY_ID/],
      [
        { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: SECRET },
        /ERROR .*no AWS region found: set AWS_REGION/,
      ],
    ] as const
  ) {
    await using program = await start(env);
    assertEquals(await program.waitForExit(), 1);
    assertMatch(program.stderr, says);
    assertEquals(program.stderr.trimEnd().split("\n").length, 1, program.stderr);
  }
});
