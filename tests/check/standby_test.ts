import { assertEquals, assertMatch } from "@std/assert";
import pg from "pg";
import { startAwsGate } from "../support/aws_gate.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { check, newWorld, SETTINGS, STREAM } from "./checked_world.ts";

Deno.test("check looks for the two walsenders that a run on a standby uses", async () => {
  await using parts = new AsyncDisposableStack();
  const settings = { ...SETTINGS, max_wal_senders: 3 };
  const primary = parts.use(await startEmbeddedPostgres({ settings }));
  // It goes with its servers.
  const db = await freshDatabase(primary);
  const standby = parts.use(await primary.startStandby());
  const aws = parts.use(await startAwsGate());
  await aws.kinesis.createStream(STREAM, 1);
  const world = newWorld({ ...db, server: standby }, aws);
  const walSenders = async () => {
    const { lines } = await check(world);
    return lines.filter(({ check }) => check === "wal_senders");
  };
  const hold = async () => {
    const { socketDir: host, port, superuser: user } = standby;
    const options = { host, port, user, database: db.database, replication: "database" };
    // `replication` is not in its types.
    const client = new pg.Client(options as pg.ClientConfig);
    client.on("error", () => {});
    await client.connect();
    parts.defer(() => client.end());
  };
  await hold();
  const [enough] = await walSenders();
  assertEquals([enough?.mark, enough?.found], [
    "✓",
    "1 of 3 walsenders are in use; two more are available",
  ]);
  await hold();
  const [short] = await walSenders();
  assertEquals(short?.mark, "✗");
  assertMatch(short!.found, /all max_wal_senders are in use/);
});
