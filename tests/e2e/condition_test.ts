import { assertEquals, assertMatch } from "@std/assert";
import { FaultServerProcess, STREAM } from "../campaign/fault_server_process.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { get, telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";

Deno.test("pg2kinesis says first, in its log and on its page, which side is away, since when and why", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 2 });
  await using program = await Pg2kinesis.start(
    [...flagsFor(db, STREAM), "--metrics-addr", "0"],
    { env: kinesis.env },
  );
  const url = await telemetryUrl(program);
  const conditionOnPage = async () =>
    JSON.parse((await get(`${url}page.json?since=0`)).text).now.condition;
  const waitForCondition = (word: string) =>
    waitFor(async () => (await conditionOnPage()).word === word, {
      what: `the page to say ${JSON.stringify(word)}`,
      found: async () => JSON.stringify(await conditionOnPage()),
    });
  await db.sql("insert into t values (1)");
  await waitUntilConfirmed(db, program);
  await program.waitForLog(/INFO streaming since \S+Z \(.* s\); xid \d+: .*, behind by \d+ bytes/);

  await kinesis.setChances({ throttle: 1 });
  await db.sql("insert into t select generate_series(2, 100)");
  await waitForCondition("puts failing");
  assertMatch((await conditionOnPage()).why, /ProvisionedThroughputExceededException/);
  await program.waitForLog(
    /INFO puts into [12] of 2 shards failing since \S+Z \(.* s\): Provisioned\w+.*; xid \d+: /,
  );
  await kinesis.setChances({});
  await waitForCondition("streaming");

  await server.stop("fast");
  await waitForCondition("not connected");
  await program.waitForLog(
    /INFO not connected to PostgreSQL since \S+Z \(.* s\): cannot connect .*; xid .*, behind by at least \d/,
  );
  await server.start();
  await waitForCondition("streaming");
  assertEquals(await program.stop(), 0, program.stderr);
});
