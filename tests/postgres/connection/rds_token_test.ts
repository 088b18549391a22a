import { assertEquals, assertMatch } from "@std/assert";
import { connect } from "../../../src/postgres/connection/connection.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { rdsToken, regionOfHost } from "../../../src/postgres/connection/rds_token.ts";
import { redact } from "../../../src/base/redaction.ts";
import { postgresOptions } from "../../support/postgres_options.ts";

const KEYS = { AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: "secret" };

/** Runs `work` with no AWS settings but these. */
async function withAws<T>(settings: Record<string, string>, work: () => Promise<T>): Promise<T> {
  const before = Deno.env.toObject();
  for (const name of Object.keys(before)) if (name.startsWith("AWS_")) Deno.env.delete(name);
  Deno.env.set("AWS_EC2_METADATA_DISABLED", "true");
  Deno.env.set("AWS_CONFIG_FILE", "/nonexistent/config");
  Deno.env.set("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials");
  for (const [name, value] of Object.entries(settings)) Deno.env.set(name, value);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(Deno.env.toObject())) {
      if (before[name] === undefined) Deno.env.delete(name);
    }
    for (const [name, value] of Object.entries(before)) Deno.env.set(name, value);
  }
}

Deno.test("regionOfHost finds the region in the names that Amazon gives", () => {
  const regions = [
    "shop.abc123.eu-central-1.rds.amazonaws.com",
    "shop.cluster-abc123.us-gov-west-1.rds.amazonaws.com",
    "shop.proxy-abc123.ap-southeast-2.rds.amazonaws.com",
    "shop.abc123.rds.cn-north-1.amazonaws.com.cn",
    "db.example.com",
    "eu-central-1.rds.amazonaws.com.example.com",
    "127.0.0.1",
  ].map(regionOfHost);
  assertEquals(regions, [
    "eu-central-1",
    "us-gov-west-1",
    "ap-southeast-2",
    "cn-north-1",
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("rdsToken signs for the region of the host, else that of the settings", async () => {
  const scope = (host: string, env: Record<string, string>) =>
    withAws({ ...KEYS, ...env }, async () => {
      const token = new URL(`https://${await rdsToken({ host, port: 5433 }, "a b")}`);
      assertEquals([token.host, token.searchParams.get("DBUser")], [
        `${host.toLowerCase()}:5433`,
        "a b",
      ]);
      return token.searchParams.get("X-Amz-Credential")?.split("/")[2];
    });
  const rds = "Shop.abc.eu-west-1.rds.amazonaws.com";
  assertEquals(await scope(rds, {}), "eu-west-1");
  assertEquals(await scope(rds, { AWS_REGION: "us-east-1" }), "eu-west-1");
  assertEquals(await scope("db.example.com", { AWS_REGION: "us-east-1" }), "us-east-1");
  assertEquals(await scope("db.example.com", { AWS_DEFAULT_REGION: "us-east-2" }), "us-east-2");
});

Deno.test("rdsToken takes the credentials that ~/.aws has now", async () => {
  const file = await Deno.makeTempFile();
  try {
    const keyIn = async (key: string) => {
      await Deno.writeTextFile(
        file,
        `[default]\naws_access_key_id = ${key}\naws_secret_access_key = secret\n`,
      );
      return await withAws(
        { AWS_REGION: "eu-west-1", AWS_SHARED_CREDENTIALS_FILE: file },
        async () => {
          const token = await rdsToken({ host: "h", port: 1 }, "u");
          return /X-Amz-Credential=(\w+)/.exec(token)?.[1];
        },
      );
    };
    assertEquals([await keyIn("AKIAONE"), await keyIn("AKIATWO")], ["AKIAONE", "AKIATWO"]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("connect says in one line why there is no token", async () => {
  const options = postgresOptions({ host: "localhost", port: 1, superuser: "u" }, {
    auth: "rds-iam",
    sslMode: "require",
  });
  const failure = (env: Record<string, string>) =>
    withAws(env, () => connect(options, "ordinary").catch((error) => error));
  for (
    const [env, says] of [
      [
        { AWS_REGION: "eu-west-1" },
        /^cannot sign a token for --pg-auth rds-iam: no AWS credentials found: set AWS_ACCESS_KEY_ID .*$/,
      ],
      [
        KEYS,
        /^cannot sign a token for --pg-auth rds-iam: no AWS region found: set AWS_REGION, .*$/,
      ],
    ] as const
  ) {
    const error = await failure(env);
    assertMatch(error.message, says);
    // While a run goes on, the instance's role may come back.
    assertEquals(error instanceof PostgresError && error.transient, true);
  }
});

Deno.test("redact hides what a token is worth, should a library show one", async () => {
  const token = await withAws(
    { ...KEYS, AWS_SESSION_TOKEN: "IQoJ/b+3=", AWS_REGION: "eu-west-1" },
    () => rdsToken({ host: "h", port: 1 }, "u"),
  );
  const shown = redact(`at ${token} and ${encodeURIComponent(token)}`);
  for (const name of ["Signature", "Security-Token"]) {
    const value = new URL(`https://${token}`).searchParams.get(`X-Amz-${name}`)!;
    assertEquals(shown.includes(value) || shown.includes(encodeURIComponent(value)), false, shown);
  }
  assertMatch(shown, /DBUser=u/);
});
