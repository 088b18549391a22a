import { assert, assertEquals, assertMatch } from "@std/assert";
import { hasPluginList, NO_PLUGIN_LIST, startStrictPostgres } from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { flagsFor, follow } from "../support/following_program.ts";

const PASSWORD = "marked-secret-4711";

interface BadInput {
  readonly what: string;
  readonly flags?: (db: FreshDatabase) => string[];
  readonly env?: Record<string, string>;
  /** Default: the slot exists with test_decoding. */
  readonly slot?: string | null;
  readonly code?: number;
  /** What the one line must say: what was found, and what to do. */
  readonly says: readonly RegExp[];
}

const CASES: readonly BadInput[] = [
  {
    what: "no server",
    flags: () => ["-h", "127.0.0.1", "-p", "1"],
    says: [/127\.0\.0\.1:1/, /refused/],
  },
  {
    what: "a host that does not exist",
    flags: () => ["-h", "nowhere.invalid"],
    says: [/nowhere\.invalid/],
  },
  {
    what: "a wrong password",
    flags: () => ["-u", "with_password"],
    env: { PGPASSWORD: `${PASSWORD}-wrong` },
    says: [/password/, /with_password/],
  },
  {
    what: "no password at all",
    flags: () => ["-u", "with_password"],
    says: [/password/, /PGPASSWORD|pgpass/],
  },
  {
    what: "no such database",
    flags: () => ["-d", "no_such_db"],
    says: [/no_such_db/, /does not exist/],
  },
  {
    what: "no such role",
    flags: () => ["-u", "nobody_here"],
    says: [/nobody_here/, /does not exist/],
  },
  {
    what: "no REPLICATION right",
    flags: () => ["-u", "plain_role"],
    says: [/plain_role/, /REPLICATION|rds_replication/],
  },
  { what: "no slot", slot: null, says: [/slot/, /--create-slot/] },
  { what: "a slot of another plugin", slot: "pgoutput", says: [/pgoutput/, /test_decoding/] },
  {
    what: "--create-slot where the slot has another plugin",
    slot: "pgoutput",
    flags: () => ["--create-slot"],
    says: [/pgoutput/, /test_decoding/],
  },
  {
    what: "a plugin that is not installed",
    slot: null,
    flags: () => ["--create-slot", "--pg-slot-output-plugin", "wal2json"],
    says: [/wal2json/, /install/],
  },
  {
    what: "no such stream",
    flags: () => ["-k", "no-such-stream"],
    says: [/no-such-stream/, /--create-stream/],
  },
  {
    what: "no AWS region",
    env: { AWS_REGION: "" },
    says: [/region/, /AWS_REGION/],
  },
  {
    what: "no AWS credentials",
    env: { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" },
    says: [/credentials/, /AWS_PROFILE|AWS_ACCESS_KEY_ID/],
  },
  {
    what: "no such AWS profile",
    // Beside keys, of which the SDK has its own to say.
    env: { AWS_PROFILE: "no_such_profile" },
    says: [/credentials/, /"no_such_profile"/, /~\/\.aws\/config/],
  },
  {
    what: "an endpoint that is no URL",
    env: { AWS_ENDPOINT_URL_KINESIS: "127.0.0.1:4567" },
    says: [/AWS_ENDPOINT_URL_KINESIS is not a URL/, /https:/],
  },
  {
    what: "no Kinesis at the endpoint",
    env: { AWS_ENDPOINT_URL_KINESIS: "http://127.0.0.1:2" },
    says: [/127\.0\.0\.1:2|Kinesis/, /refused|connect/i],
  },
  {
    what: "a table pattern that is no regular expression",
    flags: () => ["--table-pat", "a("],
    code: 2,
    says: [/--table-pat/, /a\(/],
  },
  {
    what: "a table pattern that no table matches",
    flags: () => ["--table-pat", "nothing_like_it"],
    says: [/nothing_like_it/],
  },
  {
    what: "an unknown flag",
    flags: () => ["--stream-nam", "x"],
    code: 2,
    says: [/--stream-nam\b/, /--stream-name/],
  },
  { what: "an unknown command", flags: () => ["rum"], code: 2, says: [/rum/, /run/] },
  {
    what: "--full-change with CSV",
    flags: () => ["-f", "CSV", "--full-change"],
    code: 2,
    says: [/--full-change/, /CSV/],
  },
  {
    what: "a password in a flag",
    flags: () => ["--pg-password", PASSWORD],
    code: 2,
    says: [/PGPASSWORD/],
  },
  {
    what: "an unknown message formatter",
    flags: () => ["-f", "XML"],
    code: 2,
    says: [/XML/, /CSVPayload/],
  },
];

Deno.test("pg2kinesis says in one line what is wrong with its input", async (t) => {
  await using server = await startEmbeddedPostgres({
    hba: ["host all with_password 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust"],
  });
  await server.sql(`
    create role with_password login replication password '${PASSWORD}';
    create role plain_role login;`);
  await using kinesis = await startKinesalite();
  await kinesis.createStream("stream", 1);
  for (const bad of CASES) {
    await t.step(bad.what, async () => {
      await using db = await freshDatabase(server);
      await db.sql("create table t (id int primary key)");
      if (bad.slot !== null) await db.createSlot(bad.slot ?? "test_decoding");
      await expectOneLine(bad, db, kinesis);
    });
  }
});

async function expectOneLine(bad: BadInput, db: FreshDatabase, kinesis: TestKinesis) {
  const flags = withOverrides(flagsFor(db, "stream"), bad.flags?.(db) ?? []);
  const env = { ...kinesis.env, ...bad.env };
  const { code, stdout, stderr } = await Pg2kinesis.run(flags, { env });
  assertEquals(code, bad.code ?? 1, stderr);
  assertEquals(stdout, "");
  assert(!stderr.includes(PASSWORD), "a secret in the output");
  const errors = stderr.trimEnd().split("\n").filter((line) => !/ (INFO|WARN\w*) /.test(line));
  assertEquals(errors.length, 1, stderr);
  for (const pattern of bad.says) assertMatch(errors[0]!, pattern);
}

/** A flag may be given once: a case's own stand for the usual ones. */
function withOverrides(usual: readonly string[], own: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < usual.length; i += 2) {
    if (!own.includes(usual[i]!)) kept.push(...usual.slice(i, i + 2));
  }
  return [...own, ...kept];
}

Deno.test("pg2kinesis says that wal_level is not logical", async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_level: "replica" } });
  await using kinesis = await startKinesalite();
  await kinesis.createStream("stream", 1);
  await using db = await freshDatabase(server);
  await expectOneLine(
    { what: "", flags: () => ["--create-slot"], says: [/wal_level/, /logical/, /replica/] },
    db,
    kinesis,
  );
});

Deno.test("pg2kinesis says who holds a slot that is active elsewhere", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await kinesis.createStream("stream", 1);
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  await using _first = await follow(db, kinesis, "stream");
  await expectOneLine(
    { what: "", says: [/active/, new RegExp(db.slot), /PID|pid|process/] },
    db,
    kinesis,
  );
});

const noPluginList = !hasPluginList();
if (noPluginList) console.warn(NO_PLUGIN_LIST);
Deno.test("pg2kinesis says how to allow wal2json where output_plugin_libraries refuses it", {
  ignore: noPluginList,
}, async () => {
  await using server = await startStrictPostgres("pgoutput, test_decoding");
  await using kinesis = await startKinesalite();
  await kinesis.createStream("stream", 1);
  await using db = await freshDatabase(server);
  await expectOneLine(
    {
      what: "",
      flags: () => ["--create-slot", "--pg-slot-output-plugin", "wal2json"],
      says: [/wal2json/, /output_plugin_libraries/, /ALTER SYSTEM/],
    },
    db,
    kinesis,
  );
});
