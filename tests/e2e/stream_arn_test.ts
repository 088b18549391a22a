import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { FaultPlan } from "../support/fault_server/fault_plan.ts";
import { FaultyService } from "../support/fault_server/faulty_service.ts";
import { serveFaults } from "../support/fault_server/http_server.ts";
import { ARN_START, KinesisService } from "../support/fault_server/kinesis_service.ts";
import { kinesisEnv } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { sleep } from "../support/wait.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";

const server = await startEmbeddedPostgres();

Deno.test("run, check and tail take a stream's ARN, and its region, wherever they take a name", async () => {
  const service = new KinesisService();
  service.call("CreateStream", { StreamName: "orders", ShardCount: 2 });
  await using faults = serveFaults(new FaultyService(service, new FaultPlan(), sleep));
  const asked = new Map<string, unknown>();
  faults.faulty.onCall = (operation, input) => {
    asked.set(operation, input.StreamARN);
    assertEquals(input.StreamName, undefined, operation);
  };
  const arn = `${ARN_START}orders`;
  const options = { env: { ...kinesisEnv(faults.endpoint), AWS_REGION: "eu-central-1" } };
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");

  for (const aggregation of ["kpl", "none"]) {
    const flags = [...flagsFor(db, arn), "--aggregation", aggregation];
    const check = await Pg2kinesis.run(["check", ...flags], options);
    assertStringIncludes(check.stdout, `✓ stream: ${arn} is ACTIVE`);
    assertStringIncludes(check.stdout, "✓ aws_settings: region us-east-1");
    assertMatch(check.stdout, /✓ permissions/);

    await using program = await Pg2kinesis.start(flags, options);
    await program.waitForLog(/following slot/);
    assertStringIncludes(program.stderr, `stream ${arn} in us-east-1: 2 shards`);
    await db.sql("insert into t select coalesce(max(id), 0) + 1 from t");
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);
  }
  assertEquals(service.stream("orders").records.length, 2);

  const tail = await Pg2kinesis.run(["tail", "-k", arn, "--from", "oldest"], options);
  assertEquals(tail.code, 0, tail.stderr);
  assertEquals(tail.stdout.trim().split("\n").length, 2);
  const operations =
    "DescribeStreamSummary ListShards PutRecord PutRecords GetShardIterator GetRecords".split(" ");
  assertEquals(operations.map((operation) => asked.get(operation)), operations.map(() => arn));

  const gone = await Pg2kinesis.run(["tail", "-k", `${ARN_START}gone`], options);
  assertEquals(gone.code, 1);
  assertMatch(gone.stderr, /there is no such stream in us-east-1: check --stream-name$/m);
});

Deno.test("--create-stream refuses an ARN, which may be another account's", async () => {
  const { code, stderr } = await Pg2kinesis.run(
    [..."-d d -u u --create-stream -k".split(" "), `${ARN_START}orders`],
  );
  assertEquals(code, 2);
  assert(
    stderr.includes("--stream-name orders") && stderr.includes("AWS_REGION=us-east-1"),
    stderr,
  );
});
