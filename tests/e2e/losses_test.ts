import { assert, assertEquals, assertMatch } from "@std/assert";
import { connectionFlags } from "../campaign/site.ts";
import { Trial } from "../campaign/trial.ts";
import { Proxy } from "../support/proxy.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { Following } from "../support/following_source.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { randomSeed } from "../support/random.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { waitFor } from "../support/wait.ts";

async function startServer(): Promise<TestPostgres> {
  return await startEmbeddedPostgres({ settings: { wal_sender_timeout: "3s" } });
}

/** Follows by way of the proxy; `host` is the name it gives the server. */
async function follow(
  { server, db, kinesis }: Trial,
  port: number,
  host: string,
  flags: readonly string[] = [],
): Promise<Pg2kinesis> {
  const place = { host: "127.0.0.1", port, superuser: server.superuser };
  return await Pg2kinesis.start([
    ...connectionFlags(place, db.database, db.slot, "test_decoding"),
    ...["--full-change", "--pg-timeout", "2s", ...flags],
  ], { env: { ...kinesis.env, PGAPPNAME: host } });
}

/** Ends the walsender of the slot, as an administrator does; gives whether there was one. */
async function terminate({ db }: Trial): Promise<boolean> {
  const rows = await db.sql(
    `select pg_terminate_backend(active_pid) as done from pg_replication_slots
      where slot_name = $1 and active_pid is not null`,
    [db.slot],
  );
  return rows.length > 0;
}

Deno.test("pg2kinesis loses and reorders nothing under load, however its connection is lost", async () => {
  const seed = randomSeed();
  await using server = await startServer();
  const chances = { throttle: 0.1, "slow-after": 0.1 };
  await using trial = await Trial.start(server, { seed, shards: 3, chances, slowMs: 100 });
  await trial.db.createSlot("test_decoding");
  using proxy = new Proxy(server);
  await using program = await follow(trial, proxy.port, "one");
  await program.waitForLog(/following slot/);
  const sampler = trial.watchConfirmed();
  const count = (pattern: RegExp) => program.stderr.match(pattern)?.length ?? 0;
  const losses: Record<string, () => unknown> = {
    "a fast restart": () => server.restart("fast"),
    "an immediate restart": () => server.restart("immediate"),
    "the end of its walsender": () =>
      waitFor(() => terminate(trial), { what: "the walsender to be ended" }),
    "a connection that is cut": () => proxy.cut(),
    "a way that went silent": () => proxy.stall(),
    "half of a connection": () => proxy.halfOpen(),
  };
  await trial.during(seed, async () => {
    for (const [what, lose] of Object.entries(losses)) {
      const [lost, back] = [count(/connecting again/g), count(/connected again/g)];
      await lose();
      await waitFor(() => count(/connecting again/g) > lost, {
        what: `the loss by ${what} to be seen`,
        found: () => program.stderr,
      });
      proxy.heal();
      await waitFor(() => count(/connected again/g) > back, {
        what: `the run to go on after ${what}`,
        found: () => program.stderr,
      });
    }
  });
  await trial.catchUp(() => assertEquals(program.exitCode, undefined, program.stderr));
  assertEquals(await program.stop(), 0, program.stderr);
  const { findings, changes, duplicates } = await trial.judge(sampler);
  assertEquals(findings, []);
  assert(changes > 0, "something was written");
  // What was received whole is not read again, and what was received by half is not put again.
  assertEquals(duplicates, 0);
});

Deno.test("pg2kinesis ends with 1 and one line when its slot is dropped, or made anew, while it runs", async () => {
  await using server = await startServer();
  for (const anew of [false, true]) {
    await using trial = await Trial.start(server, { seed: 1, shards: 1 });
    const { db } = trial;
    await db.createSlot("test_decoding");
    using proxy = new Proxy(server);
    await using program = await follow(trial, proxy.port, "one");
    await program.waitForLog(/following slot/);
    await trial.during(1, async () => {
      proxy.stall();
      await waitFor(() => terminate(trial), { what: "the walsender to be ended" });
      await waitFor(
        () =>
          db.sql("select pg_drop_replication_slot($1)", [db.slot]).then(() => true, () => false),
        { what: "the slot to be dropped" },
      );
      if (anew) await db.createSlot("test_decoding");
      proxy.heal();
      assertEquals(await program.waitForExit(), 1, program.stderr);
    });
    assertEquals(program.stderr.match(/ERROR/g)?.length, 1, program.stderr);
    const said = anew
      ? /recreated or moved by another client.*fill the gap/
      : /is gone from.*dropped/;
    assertMatch(program.stderr, said);
  }
});

Deno.test("pg2kinesis does not hold up a fast shutdown while its stream takes nothing", async () => {
  await using server = await startServer();
  await using trial = await Trial.start(server, { seed: 1, shards: 1, chances: { throttle: 1 } });
  await trial.db.createSlot("test_decoding");
  await using program = await follow(trial, server.port, "one");
  await program.waitForLog(/following slot/);
  const sampler = trial.watchConfirmed();
  await trial.db.sql(
    "insert into accounts select g, 1, repeat('x', 1000) from generate_series(1, 30000) g",
  );
  const isBlocked = async () => {
    const [row] = await trial.db.sql(
      "select wait_event from pg_stat_activity where backend_type = 'walsender'",
    );
    return row?.wait_event === "WalSenderWriteData";
  };
  await waitFor(isBlocked, { what: "the server to wait for the program to read" });
  // It would wait for ever, since the program keeps its connection alive.
  await server.stop("fast");
  await server.start();
  await trial.catchUp(() => assertEquals(program.exitCode, undefined, program.stderr));
  assertEquals(await program.stop(), 0, program.stderr);
  assertEquals((await trial.judge(sampler)).findings, []);
});

Deno.test("pg2kinesis --standby puts nothing any more once another may have the slot", async () => {
  await using server = await startServer();
  await using trial = await Trial.start(server, { seed: 1, shards: 2, chances: { throttle: 1 } });
  await trial.db.createSlot("test_decoding");
  using proxy = new Proxy(server);
  await using first = await follow(trial, proxy.port, "first", ["--standby"]);
  await first.waitForLog(/following slot/);
  await using second = await follow(trial, server.port, "second", ["--standby"]);
  await second.waitForLog(/standing by: .* is followed by first/);
  const sampler = trial.watchConfirmed();
  await trial.db.sql("insert into accounts select g, 1, 'x' from generate_series(1, 500) g");
  await first.waitForLog(/is tried again/);
  // From here on it holds changes that it could put at any moment, and is cut off from the server.
  proxy.stall();
  await second.waitForLog(/following slot/);
  await trial.catchUp(() => {});
  // The first one could put all the time, and did not.
  proxy.heal();
  await first.waitForLog(/dropping [1-9]\d* bytes that were not stored/);
  await first.waitForLog(/is followed by second/);
  assertMatch(first.stderr, /the slot .* is taken/);
  assertEquals(await second.stop(), 0, second.stderr);
  await waitFor(() => (first.stderr.match(/following slot/g)?.length ?? 0) === 2, {
    what: "the first to follow the slot again",
    found: () => first.stderr,
  });
  assertEquals(await first.stop(), 0, first.stderr);
  const { findings, changes, duplicates } = await trial.judge(sampler);
  assertEquals(findings, []);
  assertEquals([changes, duplicates], [500, 0]);
});

Deno.test("pg2kinesis begins again, with the slot that is there, when another client has followed it", async () => {
  await using server = await startServer();
  await using trial = await Trial.start(server, { seed: 1, shards: 1 });
  const { db } = trial;
  await db.createSlot("test_decoding");
  using proxy = new Proxy(server);
  // Were the slot made anew once more, what waits in it would be lost.
  await using program = await follow(trial, proxy.port, "one", ["--recreate-slot"]);
  await program.waitForLog(/following slot/);
  const sampler = trial.watchConfirmed();
  proxy.stall();
  await waitFor(async () => !(await terminate(trial)), { what: "the slot to be free" });
  const other = await Following.start(db, "test_decoding");
  await db.sql("insert into accounts values (1, 1, 'x')");
  proxy.heal();
  await program.waitForLog(/is taken: .*; nothing more is put/);
  await other[Symbol.asyncDispose]();
  await program.waitForLog(
    /another client followed the slot .*; what was not confirmed is read again/,
  );
  await trial.catchUp(() => assertEquals(program.exitCode, undefined, program.stderr));
  assertEquals(await program.stop(), 0, program.stderr);
  const { findings, changes } = await trial.judge(sampler);
  assertEquals([findings, changes], [[], 1]);
});
