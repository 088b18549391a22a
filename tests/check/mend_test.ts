import { assertEquals, assertMatch } from "@std/assert";
import {
  hasPluginList,
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  NO_PLUGIN_LIST,
  startDebianPostgres,
  startStrictPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { startAwsGate } from "../support/aws_gate.ts";
import type { Broken } from "./broken_world.ts";
import { BROKEN_SETUPS } from "./broken_setups.ts";
import { BROKEN_TABLES } from "./broken_tables.ts";
import { check, newWorld, obey, SETTINGS, STREAM } from "./checked_world.ts";

Deno.test("check catches what would stop a run, and what it prints mends it", async (t) => {
  await using shared = await startEmbeddedPostgres({ settings: SETTINGS });
  const has15 = hasWal2json();
  const hasPsql = await isThere("psql");
  if (!hasPsql) console.warn("skipped: psql is not installed");
  const hasList = hasPluginList();
  if (!hasList) console.warn(NO_PLUGIN_LIST);
  for (const broken of [...BROKEN_SETUPS, ...BROKEN_TABLES]) {
    await t.step({
      name: broken.what,
      ignore: (broken.wal2json === true && !has15) || (broken.psql === true && !hasPsql) ||
        (broken.allowedPlugins !== undefined && !hasList),
      fn: async () => {
        await using own = await startOwn(broken);
        await mend(broken, own ?? shared);
      },
    });
  }
  if (!has15) console.warn(NO_DEBIAN_POSTGRES);
});

/** Its own server; undefined where it needs none. */
async function startOwn(
  { wal2json, allowedPlugins, server }: Broken,
): Promise<TestPostgres | undefined> {
  if (allowedPlugins !== undefined) return await startStrictPostgres(allowedPlugins, server);
  if (wal2json) return await startDebianPostgres(server ?? { settings: SETTINGS });
  return server && await startEmbeddedPostgres(server);
}

async function isThere(command: string): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

async function mend(broken: Broken, server: TestPostgres): Promise<void> {
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 2);
  await using db = await freshDatabase(server, broken.database);
  await db.sql("create table t (id int primary key, note text)");
  const slot = broken.slot === undefined ? "test_decoding" : broken.slot;
  if (slot !== null) await db.createSlot(slot);
  const flags = (broken.flags ?? []).map((flag) => flag === "@slot" ? db.slot : flag);
  const world = newWorld(db, aws, flags);
  await using parts = new AsyncDisposableStack();
  const holder = await broken.broken?.(world);
  if (holder instanceof Object && Symbol.asyncDispose in holder) {
    parts.use(holder as AsyncDisposable);
  }

  const [name, mark, says] = broken.finding;
  const before = await check(world);
  const found = before.lines.find((line) => line.check === name && line.mark === mark);
  if (found?.remedy === undefined) throw new Error(before.stdout);
  assertMatch(found.found, says);
  if (broken.stopsAtStart) {
    const run = await Pg2kinesis.run(world.flags, { env: world.env });
    assertEquals(run.code, 1, run.stderr);
  }

  await obey(world, found.remedy);
  await broken.mended?.(world);
  const after = await check(world);
  const still = after.lines.filter((line) => line.check === name && line.mark !== "✓");
  assertEquals(still, [], after.stdout);
  if (broken.stopsAtStart) {
    assertEquals(after.code, 0, after.stdout);
    await using program = await Pg2kinesis.start(world.flags, { env: world.env });
    await program.waitForLog(/following slot/);
    assertEquals(await program.stop(), 0, program.stderr);
  }
}
