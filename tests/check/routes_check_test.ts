import { assert, assertEquals, assertMatch } from "@std/assert";
import { startAwsGate } from "../support/aws_gate.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { check, type Line, newWorld, SETTINGS, STREAM } from "./checked_world.ts";

const found = (lines: readonly Line[], check: string, mark: string) =>
  lines.filter((line) => line.check === check && line.mark === mark).map(({ found }) => found);

Deno.test("check looks at every stream that the routes and today's tables give, and says what is odd about the routes", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  for (const stream of [STREAM, "orders", "app.shop.a"]) await aws.kinesis.createStream(stream, 2);
  await using db = await freshDatabase(server);
  const long = "t".repeat(60);
  await db.sql(`create schema shop; create schema "${"s".repeat(60)}";
    create table orders (id int primary key) partition by range (id);
    create table orders_1 partition of orders for values from (0) to (100);
    create table shop.a (id int primary key); create table shop."b c" (id int primary key);
    create table shop.b_c (id int primary key); create table secret (id int);
    create table "${"s".repeat(60)}".${long} (id int primary key)`);
  const world = newWorld(db, aws, [
    ...["--create-slot", "--pg-slot-output-plugin", "pgoutput", "--create-publication"],
    ...["--partition-root", "-f", "JSON"],
    ...["--route", "public.orders=orders", "--route", "public.orders_1=never"],
    ...["--route", "public.secret=-", "--route", "nothing.*=orders"],
    ...["--route", "shop.*=app.{schema}.{table}", "--route", "s*.*=app.long.{schema}.{table}"],
  ]);
  const { code, lines, stdout } = await check(world);
  assertEquals(code, 1, stdout);
  const streams = found(lines, "stream", "✗");
  assertEquals(streams.length, 2, stdout);
  assertMatch(streams.join("\n"), /there is no stream never in us-east-1/);
  assertMatch(
    streams.join("\n"),
    /there is no stream app\.shop\.b_c in us-east-1 \(shop\.b c, shop\.b_c\)/,
  );
  const fine = found(lines, "stream", "✓");
  assertEquals(fine.map((text) => text.split(/[ ,]/)[0]), ["orders", STREAM, "app.shop.a"], stdout);
  assertMatch(
    fine[0]!,
    /^orders \(public\.orders_1\), provisioned, 2 open, .*, a record may have 1024 KiB$/,
  );
  const odd = found(lines, "routes", "!").join("\n");
  assertMatch(
    odd,
    /--route public\.orders_1=never takes no table now: the tables that it matches have an earlier route/,
  );
  assertMatch(
    odd,
    /--route nothing\.\*=orders takes no table now: it matches none of the database's \d+ tables/,
  );
  assertMatch(odd, /shop\.b c, shop\.b_c all go to app\.shop\.b_c by --route shop\.\*=/);
  assertMatch(
    found(lines, "routes", "✗").join(),
    /t{60}: --route s\*\.\*=.* is longer than the 128/,
  );
  assertMatch(
    found(lines, "partition_names", "✓").join(),
    /the changes of 1 partition come under the name public\.orders: public\.orders_1/,
  );
  // Whose credentials they are is said once.
  assert(found(lines, "aws_settings", "✓").length === 1, stdout);
});

Deno.test("check looks at no stream of a table that no publication has, and at those of partitions by the name of their changes", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  for (const stream of [STREAM, "app.public.a", "app.public.root"]) {
    await aws.kinesis.createStream(stream, 2);
  }
  await using db = await freshDatabase(server);
  await db.sql(`
    create schema two; create table two.a (id int primary key);
    create table a (id int primary key); create table quiet (id int primary key);
    create table root (id int primary key) partition by range (id);
    create table part partition of root for values from (0) to (100);
    create publication ${db.slot} for table a, two.a, root with (publish_via_partition_root)`);
  await db.createSlot("pgoutput");
  const world = newWorld(db, aws, [
    ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON"],
    // Tables of one name in several schemas go together by what the template says.
    ...["--route", "*=app.public.{table}"],
  ]);
  const { lines, stdout } = await check(world);
  assertEquals([found(lines, "stream", "✗"), found(lines, "routes", "!")], [[], []], stdout);
  assertEquals(
    found(lines, "stream", "✓").map((text) =>
      text.replace(/, provisioned.*/, "").replace("two.a, public.a", "public.a, two.a")
    ).toSorted(),
    ["app.public.a (public.a, two.a)", "app.public.root (public.root)"],
    stdout,
  );
});

Deno.test("check names the stream of a route that may not be used, and what to allow on it", async () => {
  await using server = await startEmbeddedPostgres({ settings: SETTINGS });
  await using aws = await startAwsGate();
  for (const stream of [STREAM, "orders"]) await aws.kinesis.createStream(stream, 2);
  await using db = await freshDatabase(server);
  await db.sql("create table orders (id int primary key); create table rest (id int primary key)");
  await db.createSlot("test_decoding");
  const world = newWorld(db, aws, ["-f", "JSON", "--route", "public.orders=orders"]);
  const Action = ["DescribeStreamSummary", "ListShards", "PutRecord"].map((name) =>
    `kinesis:${name}`
  );
  const arn = (stream: string) => `arn:aws:kinesis:us-east-1:123456789012:stream/${stream}`;
  aws.policy = [
    { Action, Resource: arn(STREAM) },
    { Action: Action.filter((name) => !name.endsWith("Summary")), Resource: arn("orders") },
  ];
  const { code, lines, stdout } = await check(world);
  assertEquals(code, 1, stdout);
  const [refused, ...more] = found(lines, "stream", "✗");
  assertEquals(more, [], stdout);
  assertMatch(refused!, /orders.*not authorized to perform: kinesis:DescribeStreamSummary/);
  assertMatch(stdout, /stream\/orders/);
  assertEquals(found(lines, "stream", "✓").length, 1, stdout);
});
