import { assert, assertEquals, assertMatch } from "@std/assert";
import { runTakeovers } from "../campaign/takeover.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { randomSeed } from "../support/random.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const STANDBY = ["--standby", "-f", "CSV"];

Deno.test("pg2kinesis --standby waits while another follows the slot, and takes over when it dies", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [...flagsFor(db, stream), ...STANDBY, "--create-slot"];
  await using first = await Pg2kinesis.start(flags, { env: kinesis.env });
  await first.waitForLog(/following slot/);
  await using second = await Pg2kinesis.start(flags, { env: kinesis.env });
  await second.waitForLog(/standing by: .* is followed by pg2kinesis at 127\.0\.0\.1/);
  await using third = await Pg2kinesis.start(flags, { env: kinesis.env });
  await third.waitForLog(/standing by/);
  await db.sql("insert into t values (1)");
  await waitUntilConfirmed(db, first);
  await first.kill9();
  // Created by the one that is dead: whoever is next reads the catalog and the slot anew.
  await db.sql("create table u (id int primary key); insert into u values (2)");
  await waitUntilConfirmed(db);
  const [next, last] = second.stderr.includes("following") ? [second, third] : [third, second];
  assert(!last.stderr.includes("following"), last.stderr);
  assertEquals(await next.stop(), 0, next.stderr);
  await last.waitForLog(/following slot/);
  await db.sql("insert into t values (3)");
  await waitUntilConfirmed(db, last);
  assertEquals(await last.stop(), 0, last.stderr);
  const texts = await storedTexts(kinesis, stream);
  assertEquals(texts.map((text) => text.split(",").slice(3).join()), [
    "public.t,INSERT,1",
    "public.u,INSERT,2",
    "public.t,INSERT,3",
  ]);
});

Deno.test("pg2kinesis --standby stops at once while it waits, and says when its slot is gone", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [...flagsFor(db, stream), ...STANDBY, "--create-slot"];
  await using active = await Pg2kinesis.start(flags, { env: kinesis.env });
  await active.waitForLog(/following slot/);
  {
    await using waiting = await Pg2kinesis.start(flags, { env: kinesis.env });
    await waiting.waitForLog(/standing by/);
    waiting.signal("SIGHUP");
    await waiting.waitForLog(/keys will be read when the slot is free/);
    assertEquals(await waiting.stop(), 0, waiting.stderr);
  }
  // Without --standby it is an error.
  const plain = await Pg2kinesis.run(flagsFor(db, stream), { env: kinesis.env });
  assertEquals(plain.code, 1);
  assertMatch(plain.stderr, / ERROR .*is active: the server's process/);

  await using waiting = await Pg2kinesis.start(flags, { env: kinesis.env });
  await waiting.waitForLog(/standing by/);
  waiting.signal("SIGSTOP");
  await active.kill9();
  await db.sql("select pg_drop_replication_slot($1)", [db.slot]);
  waiting.signal("SIGCONT");
  assertEquals(await waiting.waitForExit(), 1);
  assertMatch(waiting.stderr, / ERROR .*is gone .*dropped while this standby waited/);
});

Deno.test("pg2kinesis --standby survives a restart of the server, active and waiting", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [...flagsFor(db, stream), ...STANDBY];
  await using active = await Pg2kinesis.start(flags, { env: kinesis.env });
  await active.waitForLog(/following slot/);
  await using waiting = await Pg2kinesis.start(flags, { env: kinesis.env });
  await waiting.waitForLog(/standing by/);
  for (const mode of ["fast", "immediate"] as const) {
    await server.restart(mode);
    await db.sql("insert into t select coalesce(max(id), 0) + 1 from t");
    await waitUntilConfirmed(db, active);
  }
  assert(!waiting.stderr.includes("following"), "the one that followed the slot comes back to it");
  await active.kill9();
  await db.sql("insert into t values (3)");
  await waitUntilConfirmed(db, waiting);
  const stored = (await storedTexts(kinesis, stream)).map((text) => text.split(",").at(-1)!);
  // What a crash of the server made it forget is confirmed comes again, and all behind it.
  assertEquals([...new Set(stored)], ["1", "2", "3"]);
  assertEquals(stored.at(-1), "3");
});

Deno.test("pg2kinesis --standby that has waited tries again when the server has no room for it at its turn", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key); create role least login replication");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [...flagsFor(db, stream), ...STANDBY];
  await using active = await Pg2kinesis.start(flags, { env: kinesis.env });
  await active.waitForLog(/following slot/);
  const asLeast = flags.with(flags.indexOf("-u") + 1, "least");
  await using waiting = await Pg2kinesis.start(asLeast, { env: kinesis.env });
  await waiting.waitForLog(/standing by/);
  await db.sql("alter role least connection limit 1");
  await active.kill9();
  await waiting.waitForLog(/too many connections .*; standing by/);
  await db.sql("alter role least connection limit -1; insert into t values (1)");
  await waitUntilConfirmed(db, waiting);
  assertEquals(await waiting.stop(), 0, waiting.stderr);
});

// `deno task campaign --scenarios 0 --proofs takeover` does so 25 times.
Deno.test("pg2kinesis --standby loses and reorders nothing when the other is killed, or frozen and comes back", async () => {
  await using server = await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } });
  const { findings, changes, tookMs } = await runTakeovers(
    server,
    ["kill", "freeze", "kill"],
    randomSeed(),
  );
  assertEquals(findings, []);
  assert(changes > 0, "something was written");
  console.log(tookMs.map(({ loss, ms }) => `${loss} ${Math.round(ms)} ms`).join(", "));
});
