/**
 * Credentials and the other AWS settings, by the real program: from source, or the executable that
 * PG2KINESIS_BIN names, which runs on another version of Deno.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { answer, serveRaw } from "../support/raw_server.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const server = await startEmbeddedPostgres();
const isExecutable = Boolean(Deno.env.get("PG2KINESIS_BIN"));

interface Gate extends AsyncDisposable {
  readonly endpoint: string;
  /** The key IDs that have signed, in turns. */
  readonly signers: string[];
}

/** Kinesalite behind somebody who looks at each request first; what `refuse` gives is the answer. */
function serveGate(
  kinesis: TestKinesis,
  refuse: (keyId: string, request: Request) => { type: string; date?: string } | undefined,
): Gate {
  const signers: string[] = [];
  const gate = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const body = await request.arrayBuffer();
    const id = /Credential=([^/]*)/.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    if (signers.at(-1) !== id) signers.push(id);
    const refused = refuse(id, request);
    if (refused !== undefined) {
      return Response.json({ __type: refused.type, message: "refused by the test" }, {
        status: 400,
        headers: {
          "content-type": "application/x-amz-json-1.1",
          ...refused.date === undefined ? {} : { date: refused.date },
        },
      });
    }
    const headers = new Headers(request.headers);
    headers.delete("content-length");
    return await fetch(kinesis.endpoint, { method: "POST", headers, body });
  });
  return {
    endpoint: `http://127.0.0.1:${gate.addr.port}`,
    signers,
    [Symbol.asyncDispose]: () => gate.shutdown(),
  };
}

/** A run whose changes go on whatever `during` does, between the first and the second of them. */
async function runThrough(
  kinesis: TestKinesis,
  env: Record<string, string>,
  during: (program: Pg2kinesis, change: () => Promise<void>) => Promise<void>,
): Promise<string> {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id serial primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  await using program = await Pg2kinesis.start(flagsFor(db, stream), { env });
  await program.waitForLog(/following slot/);
  let changes = 0;
  const change = async () => {
    changes++;
    await db.sql("insert into t default values");
    await waitUntilConfirmed(db, program);
  };
  await change();
  await during(program, change);
  await change();
  assertEquals(await program.stop(), 0, program.stderr);
  assertEquals((await storedTexts(kinesis, stream)).length, changes);
  return program.stderr;
}

async function withFiles<T>(use: (home: string) => Promise<T>): Promise<T> {
  const home = await Deno.makeTempDir({ prefix: "pg2k_aws_" });
  try {
    await Deno.mkdir(join(home, ".aws"));
    return await use(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("a run on an instance takes its region from there, and goes on when the service there falls silent", async () => {
  await using kinesis = await startKinesalite();
  await using gate = serveGate(kinesis, () => undefined);
  let isSilent = false;
  await using imds = serveRaw(async (connection) => {
    for (;;) {
      const request = await connection.next();
      if (request === undefined) return;
      if (isSilent) continue;
      const [method, path] = request.head.split(" ") as [string, string];
      const token = /^x-aws-ec2-metadata-token: (.*)$/im.exec(request.head)?.[1];
      const content = method === "PUT"
        ? "a-token"
        : token !== "a-token"
        ? undefined
        : path.endsWith("/placement/region")
        ? "us-east-1"
        : path.endsWith("/security-credentials/")
        ? "a-role"
        : JSON.stringify({
          Code: "Success",
          AccessKeyId: "ASIAINSTANCE",
          SecretAccessKey: "secret",
          Token: "token",
          // So that each request asks for newer ones.
          Expiration: new Date(Date.now() + 4 * 60_000).toISOString(),
        });
      await connection.write(content === undefined ? answer(401, "") : answer(200, content));
    }
  });
  const env = {
    AWS_EC2_METADATA_DISABLED: "false",
    AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
    AWS_ENDPOINT_URL_KINESIS: gate.endpoint,
  };
  const log = await runThrough(kinesis, env, async (program, change) => {
    isSilent = true;
    // It asks again some seconds after the last time.
    for (;;) {
      await change();
      if (program.stderr.includes("cannot renew the AWS credentials")) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });
  assertMatch(
    log,
    /cannot renew the AWS credentials, which are valid for \d+ s more: the instance /,
  );
  assertEquals(gate.signers, ["ASIAINSTANCE"]);
});

Deno.test("a run goes on when its keys are rotated in the file, whichever way the old ones are refused", async () => {
  for (
    const type of [
      "ExpiredTokenException",
      "UnrecognizedClientException",
      "InvalidSignatureException",
    ]
  ) {
    await withFiles(async (home) => {
      await using kinesis = await startKinesalite();
      let good = "AKIAOLD";
      await using gate = serveGate(kinesis, (id) => id === good ? undefined : { type });
      const write = (id: string) =>
        Deno.writeTextFile(
          join(home, ".aws/credentials"),
          `[default]\naws_access_key_id = ${id}\naws_secret_access_key = secret\n`,
        );
      await write(good);
      const env = { HOME: home, AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_KINESIS: gate.endpoint };
      await runThrough(kinesis, env, async () => {
        good = "AKIANEW";
        await write(good);
      });
      assertEquals(gate.signers, ["AKIAOLD", "AKIANEW"], type);
    });
  }
});

Deno.test("a run waits while the token service refuses a new role, and names the source", async () => {
  await withFiles(async (home) => {
    await using kinesis = await startKinesalite();
    const expired = new Set<string>();
    await using gate = serveGate(
      kinesis,
      (id) => expired.has(id) ? { type: "ExpiredTokenException" } : undefined,
    );
    let roles = 0;
    let isDenied = false;
    await using sts = serveRaw(async (connection) => {
      while (await connection.next()) {
        await connection.write(
          isDenied
            ? answer(403, stsError("AccessDenied"), { "content-type": "text/xml" })
            : answer(200, stsRole(`ASIAROLE${++roles}`), { "content-type": "text/xml" }),
        );
      }
    });
    await Deno.writeTextFile(
      join(home, ".aws/config"),
      "[profile shop]\nrole_arn = arn:aws:iam::123456789012:role/publisher\n" +
        "source_profile = base\n[profile base]\naws_access_key_id = AKIABASE\n" +
        "aws_secret_access_key = secret\n",
    );
    const env = {
      HOME: home,
      AWS_PROFILE: "shop",
      AWS_REGION: "us-east-1",
      AWS_ENDPOINT_URL_KINESIS: gate.endpoint,
      AWS_ENDPOINT_URL_STS: sts.endpoint,
    };
    await runThrough(kinesis, env, async (program, change) => {
      isDenied = true;
      expired.add("ASIAROLE1");
      const stuck = change();
      await program.waitForLog(/failed and is tried again \(ExpiredToken/);
      isDenied = false;
      await stuck;
    });
    // A put that was under way with the first role can be refused after the second one is there: then there is
    // a third, which does no harm.
    assertEquals(gate.signers.slice(0, 2), ["ASIAROLE1", "ASIAROLE2"]);

    isDenied = true;
    const { code, stderr } = await Pg2kinesis.run(["tail"], { env });
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /ERROR the profile "shop" \(arn:aws:iam::123456789012:role\/publisher from STS\) gave no AWS credentials: AccessDenied: no; /,
    );
    assertEquals(stderr.trim().split("\n").length, 1, stderr);
  });
});

Deno.test("a clock that is minutes wrong costs a warning, not the run", async () => {
  await using kinesis = await startKinesalite();
  const AHEAD_MS = 6 * 60_000;
  await using gate = serveGate(kinesis, (_, request) => {
    const stamp = request.headers.get("x-amz-date")!;
    const signedAt = Date.parse(
      stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
    );
    const now = Date.now() + AHEAD_MS;
    if (Math.abs(now - signedAt) < 5 * 60_000) return undefined;
    return { type: "InvalidSignatureException", date: new Date(now).toUTCString() };
  });
  const log = await runThrough(kinesis, {
    ...kinesis.env,
    AWS_ENDPOINT_URL_KINESIS: gate.endpoint,
  }, () => Promise.resolve());
  assertMatch(log, /WARNING this machine's clock is 3[56]\d s behind that of AWS/);
  assertEquals(log.match(/this machine's clock/g)!.length, 1, log);
});

Deno.test("AWS settings that cannot be meant are one line each", async () => {
  await withFiles(async (home) => {
    await Deno.writeTextFile(
      join(home, ".aws/config"),
      "[profile process]\ncredential_process = echo no\n" +
        "[profile circle]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = other\n" +
        "[profile other]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = circle\n" +
        "[profile sso]\nsso_session = gone\nsso_account_id = 1\nsso_role_name = a\n",
    );
    const keys = { AWS_ACCESS_KEY_ID: "AKIA", AWS_SECRET_ACCESS_KEY: "secret" };
    await using imds = serveRaw(async (connection) => {
      while (await connection.next()) await connection.write(answer(200, "evil.example/"));
    });
    const said: [Record<string, string>, RegExp][] = [
      [
        { ...keys, AWS_ACCESS_KEY_ID: "AKIA\n" },
        /the key ID of the environment .* contains a line break/,
      ],
      [
        { ...keys, AWS_USE_FIPS_ENDPOINT: "yes" },
        /AWS_USE_FIPS_ENDPOINT must be true or false, found "yes"/,
      ],
      [
        { ...keys, AWS_USE_DUALSTACK_ENDPOINT: "1" },
        /AWS_USE_DUALSTACK_ENDPOINT must be true or false, found "1"/,
      ],
      // FIPS it is: the SDK then takes no other endpoint.
      [
        { ...keys, AWS_USE_FIPS_ENDPOINT: "True", AWS_ENDPOINT_URL_KINESIS: "http://127.0.0.1:2" },
        /FIPS and custom endpoint are not supported; check .*AWS_USE_FIPS_ENDPOINT/,
      ],
      [
        { AWS_PROFILE: "process" },
        isExecutable
          ? /\(credential_process\) gave no AWS credentials: this executable has no right to run programs/
          : /\(credential_process\) gave no AWS credentials: .*invalid JSON/,
      ],
      [{ AWS_PROFILE: "circle" }, /leads back to itself/],
      [{ AWS_PROFILE: "sso" }, /names no section \[sso-session gone\] in/],
      [{ AWS_REGION: "", ...keys }, /no AWS region found: set AWS_REGION/],
      // It would name a host.
      [
        {
          ...{ AWS_REGION: "", ...keys, AWS_EC2_METADATA_DISABLED: "false" },
          AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
        },
        /no AWS region found: .* gives "evil\.example\/"/,
      ],
      [
        { HOME: "", AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://10.0.0.1/" },
        /must be https, this machine/,
      ],
    ];
    for (const [more, line] of said) {
      const env = { HOME: home, AWS_REGION: "us-east-1", ...more };
      const { code, stderr } = await Pg2kinesis.run(["tail"], { env });
      assertEquals(code, 1, stderr);
      assertMatch(stderr, line);
      assertEquals(stderr.trim().split("\n").length, 1, stderr);
    }
  });
});

Deno.test("without HOME, by a user that the system does not know, it is one line", async () => {
  if (Deno.uid() !== 0) return console.log("skipped: needs root, to be another user");
  const { command, args } = { command: "setpriv", args: ["--reuid=45678", "--clear-groups"] };
  const program = isExecutable ? [Deno.env.get("PG2KINESIS_BIN")!] : [];
  if (program.length === 0) {
    return console.log("skipped: only the executable can be read by another user");
  }
  const { stderr, code } = await new Deno.Command(command, {
    args: [...args, ...program, "tail"],
    clearEnv: true,
    env: { AWS_EC2_METADATA_DISABLED: "true", AWS_REGION: "us-east-1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 1, text);
  assertMatch(text, /no AWS credentials found: set AWS_ACCESS_KEY_ID/);
  assert(!text.includes("TypeError"));
});

function stsRole(keyId: string): string {
  return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/publisher/x</Arn>
      <AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>
    <Credentials><AccessKeyId>${keyId}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
      <SessionToken>t</SessionToken>
      <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials>
    </AssumeRoleResult></AssumeRoleResponse>`;
}

function stsError(code: string): string {
  return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
    <Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error>
    <RequestId>1</RequestId></ErrorResponse>`;
}
