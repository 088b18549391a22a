import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { startServerWithPlugins } from "../support/all_plugins.ts";
import {
  flagsFor,
  follow,
  freshStreamName,
  waitUntilConfirmed,
} from "../support/following_program.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";

const { server, plugins } = await startServerWithPlugins();

/** Of as many characters as freshStreamName gives: see there. */
const [ORDERS, ITEMS, AUDIT] = ["orders-0001", "app-shop-it", "audit-00001"] as const;

// deno-lint-ignore no-explicit-any -- of our JSON format
type Json = any;

async function changesIn(kinesis: TestKinesis, stream: string): Promise<Json[]> {
  return (await readBack(kinesis.client, stream)).records.map(({ text, shardId }) => ({
    ...JSON.parse(text),
    shardId,
  }));
}

const namesOf = (changes: readonly Json[]) =>
  [...new Set(changes.map(({ schema, table, prefix }) => prefix ?? `${schema}.${table}`))]
    .toSorted();

for (const plugin of plugins) {
  Deno.test(`--route sends tables, partitions and messages to their streams, in order (${plugin})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      create schema shop;
      create table orders (id int primary key, version int) partition by range (id);
      create table orders_1 partition of orders for values from (0) to (100);
      create table shop.it (id int primary key, version int);
      create table other (id int primary key, version int);
      create table secret (id int primary key, version int);
      create publication ${db.slot} for all tables`);
    await db.createSlot(plugin);
    const rest = freshStreamName();
    await kinesis.createStream(rest, 2);
    await kinesis.createStream(ORDERS, 4);
    await kinesis.createStream(AUDIT, 1);
    await using program = await follow(db, kinesis, rest, [
      ...["--pg-slot-output-plugin", plugin, "-f", "JSON", "--message-prefix", "*"],
      ...["--create-stream", "--shard-count", "2"],
      ...["--route", `public.orders=${ORDERS}`, "--route", "shop.*=app-{schema}-{table}"],
      ...["--route", "public.secret=-", "--route", "message:noise*=-"],
      ...["--route", `message:audit.*=${AUDIT}`],
    ]);
    for (let version = 0; version < 5; version++) {
      const write = (table: string) =>
        version === 0
          ? `insert into ${table} select n, 0 from generate_series(1, 40) n;`
          : `update ${table} set version = ${version};`;
      await db.sql(`begin;
        ${["orders", "shop.it", "other", "secret"].map(write).join("\n")}
        select pg_logical_emit_message(true, 'audit.x', '${version}');
        select pg_logical_emit_message(true, 'noise', '${version}');
        commit`);
    }
    // Nobody has seen this partition when its first change is published.
    await db.sql(`create table late (id int primary key, version int);
      alter table orders attach partition late for values from (100) to (200)`);
    await db.sql("insert into orders values (150, 0)");
    await db.sql("truncate orders, shop.it, other, secret");
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);

    const streams = new Map<string, Json[]>();
    for (const stream of [rest, ORDERS, ITEMS, AUDIT]) {
      streams.set(stream, await changesIn(kinesis, stream));
    }
    // pgoutput and the others name different tables of a partitioned one that is truncated.
    const rows = [...streams.values()].map((all) => all.filter(({ op }) => op !== "truncate"));
    assertEquals(rows.map(namesOf), [
      ["public.other"],
      ["public.late", "public.orders_1"],
      ["shop.it"],
      ["audit.x"],
    ]);
    for (const [stream, changes] of streams) {
      const versions = new Map<string, number[]>();
      for (const { op, table, key, after, content } of changes) {
        if (op === "truncate") continue;
        const name = op === "message" ? "message" : `${table} ${key.id}`;
        const version = op === "message" ? Number(content) : after.version;
        versions.set(name, [...versions.get(name) ?? [], version]);
      }
      for (const [name, seen] of versions) {
        const expected = name.startsWith("late") ? [0] : [0, 1, 2, 3, 4];
        assertEquals(seen, expected, `${name} in ${stream}`);
      }
      assertEquals(versions.size, stream === AUDIT ? 1 : stream === ORDERS ? 41 : 40);
    }

    // A TRUNCATE lies in every shard of the streams of its tables, and in no other.
    const truncated = (stream: string) =>
      new Set(
        streams.get(stream)!.filter(({ op }) => op === "truncate").map(({ shardId }) => shardId),
      ).size;
    assertEquals([rest, ORDERS, ITEMS, AUDIT].map(truncated), [2, 4, 2, 0]);

    // Across the streams a transaction's changes share what names it, and no two have one place in it.
    const places = new Map<string, Set<number>>();
    for (const { op, commit_lsn, xid, seq } of [...streams.values()].flat()) {
      if (op === "truncate") continue;
      const transaction = `${commit_lsn} ${xid}`;
      const all = places.get(transaction) ?? new Set();
      assert(!all.has(seq), `${seq} twice in ${transaction}`);
      places.set(transaction, all.add(seq));
    }
    assertEquals([...places.values()].map(({ size }) => size), [121, 121, 121, 121, 121, 1]);
  });
}

Deno.test("--route ends the run with the name of a stream that is missing, and confirms nothing of its changes", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table a (id int primary key); create table b (id int primary key)");
  await db.createSlot("test_decoding");
  const rest = freshStreamName();
  await kinesis.createStream(rest);
  const routes = ["--route", "*.b=app.{schema}.{table}"];
  // As long as nothing goes there, it is said, and the run goes on.
  await using quiet = await follow(db, kinesis, rest, routes);
  await quiet.waitForLog(/WARNING streams of today's tables that do not exist: app\.public\.b; /);
  assertEquals(await quiet.stop(), 0, quiet.stderr);
  await db.sql("insert into a values (1)");
  await db.sql("insert into b values (1)");
  const { code, stderr } = await Pg2kinesis.run([...flagsFor(db, rest), ...routes], {
    env: kinesis.env,
  });
  assertEquals(code, 1, stderr);
  assertMatch(
    stderr,
    /cannot find stream app\.public\.b \(us-east-1\): .* or use --create-stream.* \(public\.b goes there by --route \*\.b=app\.\{schema\}\.\{table\}\)/,
  );
  // What was published before is confirmed at the most.
  const { code: second, stderr: again } = await Pg2kinesis.run(
    [...flagsFor(db, rest), ...routes],
    { env: kinesis.env },
  );
  assertEquals(second, 1, again);
  await using program = await follow(db, kinesis, rest, [...routes, "--create-stream"]);
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);
  const { records } = await readBack(kinesis.client, "app.public.b");
  assertEquals(records.length, 1);

  const fixed = await Pg2kinesis.run(
    [...flagsFor(db, rest), "--route", "*.b=nowhere"],
    { env: kinesis.env },
  );
  assertEquals(fixed.code, 1);
  assertMatch(fixed.stderr, /cannot find stream nowhere \(us-east-1\)/);
  assert(!/following slot/.test(fixed.stderr), fixed.stderr);
});

Deno.test("tail reads several streams of a run, and verifies each by itself and their transactions together", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create table a (id int primary key, version int);
    create table b (id int primary key, version int);
    create table c (id int primary key, version int);
    create publication ${db.slot} for all tables`);
  await db.createSlot("pgoutput");
  const rest = freshStreamName();
  await kinesis.createStream(rest, 2);
  await kinesis.createStream("to-a", 2);
  await kinesis.createStream("to-b", 3);
  await using program = await follow(db, kinesis, rest, [
    ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON", "--transaction-records"],
    ...["--route", "public.a=to-a", "--route", "public.b=to-b"],
  ]);
  for (let version = 0; version < 4; version++) {
    await db.sql(`begin;
      insert into a select n, ${version} from generate_series(1, 20) n
        on conflict (id) do update set version = excluded.version;
      truncate b;
      insert into b select n, ${version} from generate_series(1, 20) n;
      insert into c select n, ${version} from generate_series(1, 20) n
        on conflict (id) do update set version = excluded.version;
      commit`);
  }
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);
  const tail = (...flags: string[]) =>
    Pg2kinesis.run(["tail", ...flags], { env: { ...kinesis.env } });
  const all = [rest, "to-a", "to-b"].flatMap((name) => ["-k", name]);

  const verified = await tail(...all, "--json", "--verify", "--expect-all");
  assertEquals(verified.code, 0, verified.stderr);
  assertMatch(verified.stderr, /reading 3 shards of stream to-b/);
  assertMatch(verified.stderr, /no findings: \d+ changes of 6\d partition keys verified; 0 dup/);
  const records: Json[] = verified.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const places = new Map<string, Set<string>>();
  for (const { stream, shard, data } of records) {
    assertMatch(shard, /^shardId-\d{12}$/);
    const { op, table } = JSON.parse(data);
    if (op !== "commit") places.set(stream, (places.get(stream) ?? new Set()).add(table));
  }
  assertEquals(
    [...places].map(([stream, tables]) => [stream, ...tables]).toSorted(),
    [["to-a", "a"], ["to-b", "b"], [rest, "c"]].toSorted(),
  );
  // All that was committed lies in all of them only; what order there is shows in each.
  const some = await tail(...all.slice(0, 4), "--verify", "--expect-all");
  assertEquals(some.code, 1);
  assertMatch(some.stderr, /4 findings: 0 out of order, .* 4 transactions with gaps/);
  assertEquals((await tail(...all.slice(0, 4), "--verify")).code, 0);

  const last = await tail(...all, "--lines", "7");
  assertEquals(last.stdout.trimEnd().split("\n").length, 7);
  const one = await tail("-k", "to-a", "--json", "--lines", "1");
  assertEquals("stream" in JSON.parse(one.stdout), false);
  const missing = await tail(...all, "-k", "nowhere");
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /stream nowhere/);
  const shard = await tail(...all, "--shard", "0");
  assertEquals(shard.code, 2);
  assertMatch(shard.stderr, /--shard cannot be combined with several streams/);
});

Deno.test("--route sends what a user's formatter makes of a change to the stream of the change's table", async () => {
  const formatter = fileURLToPath(new URL("../fixtures/shouting_format.js", import.meta.url));
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table a (id int primary key); create table b (id int primary key)");
  await db.createSlot("test_decoding");
  const [rest, own] = [freshStreamName(), "own-0000001"];
  for (const stream of [rest, own]) await kinesis.createStream(stream, 2);
  await using program = await follow(db, kinesis, rest, [
    ...["-f", formatter, "--route", `public.a=${own}`],
  ]);
  await db.sql("begin; insert into a values (1); insert into b values (1); delete from a; commit");
  await waitUntilConfirmed(db, program);
  assertEquals(await program.stop(), 0, program.stderr);
  const textsIn = async (stream: string) =>
    (await readBack(kinesis.client, stream)).records.map(({ text }) => text);
  assertEquals(await textsIn(own), ["INSERT a", "and again", "DELETE a", "and again"]);
  assertEquals(await textsIn(rest), ["INSERT b", "and again"]);
});
