import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { type AwsGate, CALLER, startAwsGate } from "../support/aws_gate.ts";
import { addFlags, check, newWorld, obey, SETTINGS, STREAM } from "./checked_world.ts";

const PLUGIN = "--pg-slot-output-plugin";

async function revokeMessages(db: FreshDatabase): Promise<string[]> {
  const rows = await db.sql(
    "select oid::regprocedure::text as name from pg_proc where proname = 'pg_logical_emit_message'",
  );
  return rows.map(({ name }) => `revoke execute on function ${name} from public`);
}

async function healthy(server: TestPostgres, aws: AwsGate, plugin: string) {
  const db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, note text)");
  await db.sql("insert into t values (1, 'a')");
  // By default everybody may write the messages that a backfill is asked for by.
  for (const statement of await revokeMessages(db)) await db.sql(statement);
  if (plugin === "pgoutput") await db.sql(`create publication ${db.slot} for table t`);
  await db.createSlot(plugin);
  return { db, world: newWorld(db, aws, [PLUGIN, plugin]) };
}

const noWal2json = !hasWal2json();
if (noWal2json) console.warn(NO_DEBIAN_POSTGRES);
for (const plugin of ["test_decoding", "pgoutput", "wal2json"]) {
  Deno.test(`check finds nothing wrong with a healthy setup (${plugin}), and changes nothing`, {
    ignore: plugin === "wal2json" && noWal2json,
  }, async () => {
    await using server = await (plugin === "wal2json"
      ? startDebianPostgres({ settings: SETTINGS })
      : startEmbeddedPostgres({ settings: SETTINGS }));
    await using aws = await startAwsGate();
    await aws.kinesis.createStream(STREAM, 2);
    const { db, world } = await healthy(server, aws, plugin);
    await using _ = db;
    const state = () =>
      db.sql(
        `select (select json_agg(to_jsonb(s) - 'safe_wal_size')::text from pg_replication_slots s) as slots,
                (select json_agg(p)::text from pg_publication p) as publications,
                (select count(*) from pg_stat_replication) as senders,
                txid_snapshot_xmax(txid_current_snapshot()) as next_xid`,
      );
    const before = (await state())[0]!;
    const { code, lines, stdout } = await check(world);
    const after = (await state())[0]!;
    assertEquals(
      [
        code,
        lines.filter(({ mark }) =>
          mark !== "✓"
        ),
      ],
      [0, []],
      stdout,
    );
    assertEquals(
      [after.slots, after.publications, after.senders, after.next_xid],
      [before.slots, before.publications, before.senders, before.next_xid],
    );
    assertEquals((await readBack(aws.kinesis.client, STREAM)).records, []);
    assertEquals([...new Set(aws.asked)].sort(), [
      ...["DescribeStreamSummary", "ListShards", "PutRecord"],
    ]);
    assert(stdout.includes(`those of ${CALLER}, account 123456789012`), stdout);

    addFlags(world, ["--json"]);
    const { stdout: json } = await Pg2kinesis.run(["check", ...world.flags], { env: world.env });
    const report = JSON.parse(json);
    assertEquals(report.ok, true);
    assertEquals(
      report.checks.map(({ check, verdict }: Record<string, string>) => `${check} ${verdict}`),
      lines.map(({ check }) => `${check} ok`),
    );
  });
}

Deno.test("check tells nobody to drop a slot whose age another slot makes uncertain", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 2);
  // It begins with the state of the catalog that this one holds back.
  await server.sql("select pg_create_logical_replication_slot('older', 'pgoutput')");
  const { db, world } = await healthy(server, aws, "pgoutput");
  await using _ = db;
  const { code, lines, stdout } = await check(world);
  const remarks = lines.filter(({ mark }) => mark !== "✓");
  assertEquals([code, remarks.map(({ check }) => check)], [0, ["publication"]], stdout);
  assertMatch(remarks[0]!.found, /cannot be determined while other slots hold back the catalog/);
  assertEquals(remarks[0]!.remedy, undefined);
});

Deno.test("check says what it cannot mend, and goes on to the rest", async (t) => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 1);
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const expect = async (
    flags: readonly string[],
    env: Record<string, string>,
    ...lines: readonly RegExp[]
  ) => {
    const world = newWorld(db, aws, flags);
    Object.assign(world.env, env);
    const { stdout, code } = await check(world);
    for (const line of lines) assertMatch(stdout, line);
    assertEquals(code, lines.some(({ source }) => source.startsWith("^✗")) ? 1 : 0, stdout);
  };
  // Not port 1, which fetch refuses by itself.
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nobody = `http://127.0.0.1:${closed.addr.port}`;
  closed.close();
  const STS_DOWN = { AWS_ENDPOINT_URL_STS: nobody };

  await t.step(
    "no server, while AWS is looked at",
    () => expect(["-p", "1"], {}, /^✗ connection: .*127\.0\.0\.1:1 .*refused/m, /^✓ permissions/m),
  );
  await t.step(
    "no Kinesis, while PostgreSQL is looked at",
    () =>
      expect(
        [],
        { AWS_ENDPOINT_URL_KINESIS: nobody },
        /^✗ stream: cannot find stream .*(?:ECONNREFUSED|refused)/m,
        /^✓ slot: /m,
      ),
  );
  await t.step(
    "a plugin that is not installed",
    () =>
      expect(
        [PLUGIN, "wal2json", "-s", "other", "--create-slot"],
        {},
        /^✗ plugin: the plugin wal2json is not installed.* → apt-get install postgresql-18-wal2json$/m,
      ),
  );
  await t.step(
    "a pattern that matches no table",
    () =>
      expect(["--table-pat", "^nothing$"], {}, /^✗ format: --table-pat \^nothing\$ matches none/m),
  );
  await t.step(
    "a column that its table has not",
    () =>
      expect(
        ["--exclude-column", "public.t.idd"],
        {},
        /^✗ format: --exclude-column public\.t\.idd: .* no such column; its columns are id; did you mean id\?$/m,
      ),
  );
  await db.sql("create table late (id int primary key)");
  await t.step(
    "a column that its table may have had",
    () =>
      expect(
        ["--exclude-column", "public.late.note"],
        {},
        /^! format: --exclude-column public\.late\.note: .* no such column.*; the slot may have changes/m,
        /^✓ tables: 2 of /m,
      ),
  );
  await t.step(
    "--recreate-slot",
    () =>
      expect(
        ["--recreate-slot"],
        {},
        /^! slot: --recreate-slot drops the slot "\w+", with \d\S* \w+ of WAL to read, at every start: leave it out .* is lost$/m,
      ),
  );
  await t.step(
    "a stream that a run would make",
    () =>
      expect(
        ["-k", "new", "--create-stream", "--shard-count", "3"],
        {},
        /^✓ stream: there is no stream new in us-east-1; a run creates it with 3 shards$/m,
        /^! permissions: .* → \{"Effect":"Allow","Action":\["kinesis:CreateStream",.*:stream\/new"\}$/m,
      ),
  );
  await t.step(
    "nobody who says whose credentials they are",
    () => expect([], STS_DOWN, /^! aws_identity: .*GetCallerIdentity failed \(.*refused/m),
  );
  for (
    const [setting, says] of [
      ["AWS_USE_FIPS_ENDPOINT", /must be true or false, found "yes"/],
      ["AWS_CA_BUNDLE", /\(yes\) cannot be read: there is no such file/],
      ["AWS_PROFILE", /no AWS credentials found for the profile "yes"/],
      ["AWS_ACCESS_KEY_ID", /contains a blank/],
    ] as const
  ) {
    const value = setting === "AWS_ACCESS_KEY_ID" ? "key of the region" : "yes";
    const remedy = setting === "AWS_PROFILE" ? ".* → export AWS_ACCESS_KEY_ID=.*" : "[^→]*";
    const line = new RegExp(`^✗ aws_settings: .*${says.source}${remedy}$`, "m");
    await t.step(`${setting} that cannot be used`, () => expect([], { [setting]: value }, line));
  }
  aws.summary = { RecordDistributionStrategy: "AUTO" };
  await t.step(
    "a stream that spreads records by itself",
    () =>
      expect([], {}, /^✗ record_distribution: .* → use a stream whose RecordDistributionStrategy/m),
  );
  aws.summary = { EncryptionType: "KMS", KeyId: "0f1e2d3c" };
  await t.step(
    "a stream with a KMS key",
    () =>
      expect(
        [],
        {},
        /^! encryption: .*0f1e2d3c.* → .*kms:GenerateDataKey.*:kms:us-east-1:\d{12}:key\/0f1e2d3c"\}$/m,
      ),
  );
  aws.summary = { EncryptionType: "KMS", KeyId: "alias/aws/kinesis", MaxRecordSizeInKiB: 10240 };
  await t.step(
    "a stream with AWS's key",
    () =>
      expect(
        [],
        {},
        /^✓ encryption: with the key that AWS keeps/m,
        /^✓ record_limit: .* 10240 KiB/m,
      ),
  );
  aws.summary = { StreamStatus: "DELETING" };
  await t.step(
    "a stream that is being deleted",
    () => expect([], {}, /^✗ stream: .* must be ACTIVE or UPDATING, found DELETING/m),
  );
});

Deno.test("check stops at a slot that is somebody else's, also where a run is to recreate it", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 1);
  await using db = await freshDatabase(server);
  await using other = await freshDatabase(server);
  await other.createSlot("test_decoding");
  const physical = `${db.slot}_p`;
  await db.sql("select pg_create_physical_replication_slot($1)", [physical]);
  for (const flags of [[], ["--create-slot"], ["--recreate-slot"], ["--standby"]]) {
    for (const slot of [other.slot, physical]) {
      const { lines, stdout, code } = await check(newWorld(db, aws, ["-s", slot, ...flags]));
      const found = lines.find((line) => line.check === "slot");
      assertEquals([found?.mark, found?.remedy], ["✗", "--pg-slot-name <another>"], stdout);
      assertEquals(code, 1);
    }
  }
  await db.sql("select pg_drop_replication_slot($1)", [physical]);
});

Deno.test("check tells a role that may not look for the plugin what managed servers have", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 1);
  await using db = await freshDatabase(server);
  await db.sql("create role least login replication; create table t (id int primary key)");
  for (
    const [plugin, install] of [
      ["test_decoding", "it comes with PostgreSQL's contrib package .*"],
      ["wal2json", "apt-get install postgresql-18-wal2json"],
    ]
  ) {
    const flags = ["-u", "least", PLUGIN, plugin!, "--create-slot"];
    const { lines, stdout } = await check(newWorld(db, aws, flags));
    const found = lines.find(({ check, mark }) => check === "plugin" && mark === "!");
    assertMatch(
      found?.found ?? "",
      /is not visible to this role; creating the slot will show it/,
      stdout,
    );
    const managed =
      "managed servers mostly have it \\(RDS, Cloud SQL, Azure\\); on a server of yours";
    assertMatch(found?.remedy ?? "", new RegExp(`^${managed}: ${install}$`));
  }
});

Deno.test("check says what a backfill can read, and prints what mends the rest", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 1);
  await using db = await freshDatabase(server);
  await db.sql(`create role least login replication bypassrls;
    create table ready (id int primary key); grant select on ready to least;
    create table "Closed" (id int primary key); create table plain (id int);
    create table other (id int); create table left_out (id int);
    grant select on plain, other to least;
    alter table plain replica identity full; alter table other replica identity full;
    create role owner; create schema s authorization owner; set role owner;
    create table s.parts (id int primary key) partition by range (id);
    create table s.parts_1 partition of s.parts for values from (1) to (2);
    create table s.parts_2 partition of s.parts for values from (2) to (3)`);
  await db.createSlot("test_decoding");
  const world = newWorld(db, aws, ["-u", "least", "-f", "JSON", "--exclude-table", "*.left_out"]);
  const first = await check(world);
  assertEquals(first.code, 0, first.stdout);
  const asking = newWorld(db, aws, [
    ...["-u", "least", "-f", "JSON", "--exclude-table", "*.left_out"],
    ...["--create-slot", "--backfill"],
  ]);
  const warned = await check(asking);
  assertEquals(warned.code, 0, warned.stdout);
  assertEquals(
    warned.lines.filter(({ check, mark }) => check === "backfill" && mark === "!")
      .map(({ found }) => found.replace(/:.*/s, "")),
    [
      "--backfill does not read public.Closed, s.parts_1, s.parts_2",
      "--backfill does not read public.plain, public.other",
      "--backfill does not read s.parts_1, s.parts_2",
    ],
  );
  const found = () => first.lines.filter(({ check }) => check.startsWith("backfill"));
  assertEquals(found().map(({ mark, check, found }) => `${mark} ${check}: ${found}`), [
    "✓ backfill: a backfill can read 1 of the 6 followed tables",
    '✓ backfill: no backfill of public.Closed, s.parts_1, s.parts_2: each may not be read by the role "least" (SELECT on the whole table)',
    "✓ backfill: no backfill of public.plain, public.other: each has no primary key, and no index that is its replica identity",
    '✓ backfill: no backfill of s.parts_1, s.parts_2: each is in a schema that the role "least" may not use',
    "! backfill_messages: every role in the database may write the messages of a backfill: it can ask for one, and a forged one can make it skip rows",
  ]);
  for (const { remedy } of found()) {
    if (remedy !== undefined && !/<columns>/.test(remedy)) await obey(world, remedy);
  }
  await db.sql(
    "set role owner; create table s.parts_3 partition of s.parts for values from (3) to (4)",
  );
  const after = (await check(world)).lines.filter(({ check }) => check.startsWith("backfill"));
  assertEquals(after.map(({ mark, check, found }) => `${mark} ${check}: ${found}`), [
    "✓ backfill: a backfill can read 5 of the 7 followed tables",
    "✓ backfill: no backfill of public.plain, public.other: each has no primary key, and no index that is its replica identity",
    "✓ backfill_messages: only roles with EXECUTE on pg_logical_emit_message() write them",
  ]);
});

Deno.test("check --json names what mends each thing", async () => {
  await using server = await startEmbeddedPostgres();
  await using aws = await startAwsGate();
  await using db = await freshDatabase(server);
  const tables = Array.from({ length: 12 }, (_, i) => `create table "t\n${i}" (id int);`).join("");
  await db.sql(`${tables} create publication ${db.slot} for all tables`);
  const { flags, env } = newWorld(db, aws, [PLUGIN, "pgoutput", "--json", "-f", "JSON"]);
  const { code, stdout } = await Pg2kinesis.run(["check", ...flags], { env });
  assertEquals(code, 1);
  const { ok, checks } = JSON.parse(stdout);
  const remedyOf = (name: string) =>
    checks.find(({ check, verdict }: Record<string, string>) => check === name && verdict !== "ok")
      .remedy;
  assertEquals(ok, false);
  assertEquals(remedyOf("slot"), {
    kind: "sql",
    statements: [`SELECT pg_catalog.pg_create_logical_replication_slot('${db.slot}', 'pgoutput');`],
  });
  assertEquals(remedyOf("stream"), { kind: "options", options: "--create-stream" });
  const { statements } = remedyOf("replica_identity");
  assertEquals(statements.length, 12);
  for (const statement of statements) await db.sql(statement);

  const text = await Pg2kinesis.run(["check", ...flags.filter((flag) => flag !== "--json")], {
    env,
  });
  assertMatch(text.stdout, /^✓ publication: .* 12 tables \(FOR ALL TABLES\)$/m);
  for (const line of text.stdout.trimEnd().split("\n")) assertMatch(line, /^[✓!✗] \w+: /);
});
