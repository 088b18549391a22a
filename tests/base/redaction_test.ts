import { assert, assertEquals } from "@std/assert";
import { redact, registerPublicName, registerSecret } from "../../src/base/redaction.ts";

Deno.test("a secret that is a word is hidden where a secret can stand, and in no other sentence", () => {
  for (const word of ["password", "wrong", "the", "postgres", "ab", "5432"]) registerSecret(word);
  for (
    const sentence of [
      "cannot log in as app at 10.0.0.1:5432: wrong password (28P01)",
      'password authentication failed for user "postgres"',
      'ALTER ROLE "postgres" REPLICATION;',
      "GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(boolean, text, text) TO postgres",
      "passwords in the file .pgpass, abroad",
    ]
  ) assertEquals(redact(sentence), sentence);
  for (
    const [leak, hidden] of [
      ["postgresql://app:password@db/shop", "postgresql://app:***@db/shop"],
      ["host=db password=wrong user=the", "host=db password=*** user=the"],
      ["host=db PASSWORD = 'wrong' user=the", "host=db PASSWORD = '***' user=the"],
      ['{"user":"the","secret": "password"}', '{"user":"the","secret": "***"}'],
      ["ALTER ROLE app PASSWORD 'ab'", "ALTER ROLE app PASSWORD '***'"],
      ["PGPASSWORD=5432 psql", "PGPASSWORD=*** psql"],
      ["token: the", "token: ***"],
    ] as const
  ) assertEquals(redact(leak), hidden);
});

Deno.test("a secret that is also the name of something does not garble what names it", () => {
  registerSecret("app_2026");
  assertEquals(redact("logged in as app_2026"), "logged in as ***");
  registerPublicName("app_2026");
  assertEquals(redact("ALTER ROLE app_2026 REPLICATION"), "ALTER ROLE app_2026 REPLICATION");
  assertEquals(redact("postgres://app_2026:app_2026@db/"), "postgres://app_2026:***@db/");
  registerSecret("shop7");
  registerPublicName("shop7_replicator");
  const remedy = 'ALTER ROLE "shop7_replicator" REPLICATION';
  assertEquals(redact(remedy), remedy);
  assertEquals(redact("password=shop7 host=shop7.example"), "password=*** host=shop7.example");
});

Deno.test("any other secret is hidden wherever it stands, and however it is encoded", () => {
  const secret = 'k9 #xP2"ü/ö+';
  registerSecret(secret);
  const bytes = new TextEncoder().encode(secret);
  const base64 = (before: string) =>
    btoa(before + String.fromCharCode(...bytes) + "\0").replace(/=+$/, "");
  const percent = encodeURIComponent(secret);
  for (
    const form of [
      secret,
      JSON.stringify(secret),
      percent,
      percent.replace(/%../g, (escape) => escape.toLowerCase()),
      encodeURI(secret),
      base64(""),
      base64("\0"),
      base64("\0u"),
      base64("\0us").replaceAll("+", "-").replaceAll("/", "_"),
    ]
  ) {
    const shown = redact(`x${form}y`);
    assert(shown.includes("***") && shown.length < 16, shown);
  }
});

Deno.test("a session token in the canonical string of AWS's error is hidden, though nobody registered it", () => {
  const token = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+a/b==";
  const canonical = (newline: string) =>
    "The Canonical String for this request should have been" +
    `${newline}'POST${newline}/${newline}${newline}host:kinesis.eu-west-1.amazonaws.com${newline}` +
    `x-amz-date:20261129T140000Z${newline}x-amz-security-token:${token}${newline}` +
    `x-amz-target:Kinesis_20131202.PutRecord${newline}${newline}` +
    `host;x-amz-date;x-amz-security-token;x-amz-target${newline}e3b0'`;
  for (
    const text of [
      canonical("\n"),
      canonical("\\n"),
      canonical(" "),
      JSON.stringify({ headers: { "X-Amz-Security-Token": token } }),
      JSON.stringify(JSON.stringify({ "x-amz-security-token": token })),
      `https://sts.amazonaws.com/?X-Amz-Security-Token=${encodeURIComponent(token)}&a=b`,
    ]
  ) {
    assertEquals(
      redact(text),
      text.replace(token, "***").replace(encodeURIComponent(token), "***"),
    );
  }
});
