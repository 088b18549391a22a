import { assert, assertEquals, assertMatch } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { peakMemoryMb } from "../support/memory.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Follower, startServerWithPlugins } from "../support/all_plugins.ts";
import { flagsFor } from "../support/following_program.ts";

const { server, plugins } = await startServerWithPlugins();
const newest = await startEmbeddedPostgres();
const setups: { plugin: OutputPlugin; on: typeof server }[] = [
  ...plugins.map((plugin) => ({ plugin, on: server })),
  { plugin: "pgoutput", on: newest },
];

/** More than this the program never takes, whatever anybody writes; from source it begins with more. */
const MAX_MEMORY_MB = Deno.env.get("PG2KINESIS_BIN") ? 200 : 300;
const LARGE_MB = 250;

for (const { plugin, on } of setups) {
  const name = `${plugin} on ${Math.floor(on.version / 10000)}`;

  Deno.test(`messages that nobody asked for cost no memory and stop nothing (${name})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(on);
    await db.sql(
      `create table t (id integer primary key); create publication published for table t`,
    );
    const role = `${db.slot}_nobody`;
    await db.sql(`create role ${role}`);
    try {
      await using follower = await Follower.create(plugin, db, kinesis);
      const program = await follower.start(["-f", "JSON", "--message-prefix", "app"]);
      await program.waitForLog(/following slot/, 60_000);
      const hostile = (flag: boolean, prefix: string, content: string) =>
        `select count(pg_logical_emit_message(${flag}, ${prefix}, ${content}))`;
      const mb = (size: number) => `repeat('x', ${size} * 1024 * 1024)`;
      await db.sql(`set role ${role};
        ${hostile(true, "'other'", mb(2))}; ${hostile(false, "'other'", mb(2))};
        ${hostile(true, mb(2), "''")}; ${hostile(false, "repeat('app', 1000000)", "'app'")};
        ${hostile(true, "'pg2kinesis.backfill'", mb(2))};
        ${hostile(true, `E'app\\n'`, "'x'")}; ${hostile(true, "'app\"'", "'x'")};
        ${hostile(true, `'app","content":"x"}'`, "'x'")};
        ${hostile(true, "'app, sz: 2 content:xx'", "'x'")};
        reset role`);
      await db.sql(`begin; insert into t values (1);
        ${hostile(true, "'other'", mb(LARGE_MB))};
        ${hostile(false, "'other'", mb(LARGE_MB))};
        ${hostile(true, "'app'", "'kept'")};
        insert into t values (2); commit`);
      await follower.catchUp(120_000);
      await db.sql("insert into t values (3)");
      await follower.catchUp();
      const peak = await peakMemoryMb(program.pid);
      console.log(`${name}: peak of ${Math.round(peak)} MB`);
      assert(peak < MAX_MEMORY_MB, `${peak} MB`);
      assertEquals(await program.stop(), 0, program.stderr);
      // Whoever writes under the backfill's prefix is told of once, and that is all that comes of it.
      const warnings = program.stderr.split("\n").filter((line) => /WARN/.test(line));
      assertEquals(warnings.length, 1, program.stderr);
      assertMatch(warnings[0]!, /a control message of a backfill is no JSON; it is ignored/);
      const stored = (await follower.records()).map(({ text }) => JSON.parse(text));
      assertEquals(stored.map(({ op, seq, prefix, content }) => [op, seq, prefix, content]), [
        ["insert", 0, undefined, undefined],
        ["message", 2, "app", "kept"],
        ["insert", 3, undefined, undefined],
        ["insert", 0, undefined, undefined],
      ]);
    } finally {
      await on.sql(`drop role ${role}`);
    }
  });
}

for (const plugin of plugins) {
  Deno.test(`--message-prefix decides, and a change keeps its seq (${plugin})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(
      `create table t (id integer primary key); create publication published for table t`,
    );
    await using follower = await Follower.create(plugin, db, kinesis);
    const again = await follower.rememberSlot();
    const emit = (prefix: string, flag = true) =>
      `select pg_logical_emit_message(${flag}, '${prefix}', 'c')`;
    await db.sql(`begin; insert into t values (1); ${emit("a.b")}; ${emit("a")}; ${emit("b")};
      ${emit("b", false)}; insert into t values (2); ${emit("pg2kinesis.heartbeat")};
      ${emit("pg2kinesis.backfill")}; delete from t where id = 1; commit`);
    const run = async (...flags: string[]) => {
      await follower.start(["-f", "JSON", ...flags]);
      const before = (await follower.records()).length;
      await follower.catchUp();
      assertEquals(await follower.program.stop(), 0, follower.program.stderr);
      const records = (await follower.records()).slice(before).map(({ text }) => JSON.parse(text));
      return records.map(({ seq, prefix, key }) => [seq ?? "-", prefix ?? key.id]);
    };
    assertEquals(await run(), [[0, 1], [4, 2], [7, 1]]);
    again();
    assertEquals(
      await run("--message-prefix", "a.*", "--message-prefix", "b", "--operations", "delete"),
      [["-", "b"], [1, "a.b"], [3, "b"], [7, 1]],
    );
    (await follower.rememberSlot())();
  });
}

Deno.test("a message of test_decoding that can be read in two ways is left out with a warning", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`create table t (id integer primary key)`);
  await using follower = await Follower.create("test_decoding", db, kinesis);
  const program = await follower.start(["-f", "JSON", "--message-prefix", "app*"]);
  // Either its content is "evil, sz: 4 content:good", or that of a message "app, sz: … content:evil".
  await db.sql(`select pg_logical_emit_message(true, 'app, sz: 24 content:evil', 'good');
    select pg_logical_emit_message(true, 'app', 'x, sz: 5 content:good');
    insert into t values (1)`);
  await follower.catchUp();
  assertEquals(await program.stop(), 0, program.stderr);
  assertMatch(
    program.stderr,
    /WARNING leaving out the logical message at LSN \S+ \(xid \d+\): test_/,
  );
  const stored = (await follower.records()).map(({ text }) => JSON.parse(text));
  assertEquals(stored.map(({ op, prefix, content }) => [op, prefix, content]), [
    ["message", "app", "x, sz: 5 content:good"],
    ["insert", undefined, undefined],
  ]);
});

Deno.test("check says when --message-prefix can have no effect, and who may write messages", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(newest);
  const check = async (...flags: string[]) =>
    (await Pg2kinesis.run([
      ...["check", ...flagsFor(db, "none"), "--message-prefix", "app.*", ...flags],
    ], { env: kinesis.env })).stdout;
  assertMatch(await check(), /! messages: .*no effect: the format CSVPayload has no place/);
  const open = await check("-f", "JSON");
  assertMatch(open, /! messages: .*app\.\*: every role in the database may write such messages/);
  const statements = open.match(/REVOKE EXECUTE ON FUNCTION .*? FROM PUBLIC;/g) ?? [];
  assertEquals(statements.length, 2, open);
  await db.sql(statements.join(""));
  assertMatch(await check("-f", "JSON"), /✓ messages: .*only roles with EXECUTE/);
});
