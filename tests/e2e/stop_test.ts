import { assert, assertEquals, assertMatch } from "@std/assert";
import { insertRows, SingleRun } from "../campaign/single_run.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { waitFor } from "../support/wait.ts";
import {
  confirmedLsn,
  flagsFor,
  follow,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const PARTLY_STORED = /a transaction was not stored as a whole/;

Deno.test("pg2kinesis confirms what is stored when SIGINT or SIGTERM stops it, and goes on from there", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  let expected: string[] = [];
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await using program = await follow(db, kinesis, stream, ["-f", "CSV"]);
    for (let n = 0; n < 20; n++) {
      const id = expected.length + 1;
      await db.sql(`insert into t values (${id})`);
      expected = [...expected, String(id)];
    }
    await waitFor(async () => (await storedTexts(kinesis, stream)).length >= expected.length, {
      what: "all rows in the stream",
    });
    program.signal(signal);
    assertEquals(await program.waitForExit(), 0, program.stderr);
    assert(!PARTLY_STORED.test(program.stderr), program.stderr);
    // Nothing comes twice: the stop confirmed all of it.
    const keys = (await storedTexts(kinesis, stream)).map((text) => text.split(",").at(-1));
    assertEquals(keys, expected);
  }
});

Deno.test("pg2kinesis stops inside a huge transaction and confirms nothing of it", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = ["--full-change"];
  await db.sql("insert into t values (0, '')");
  {
    await using program = await follow(db, kinesis, stream, flags);
    await waitUntilConfirmed(db, program);
    await db.sql("insert into t select n, repeat('x', 500) from generate_series(1, 120000) n");
    const [committed] = await db.sql("select pg_current_wal_insert_lsn() as lsn");
    await waitFor(async () => (await storedTexts(kinesis, stream)).length > 1000, {
      what: "the transaction to be under way",
    });
    assertEquals(await program.stop(), 0, program.stderr);
    assertMatch(program.stderr, PARTLY_STORED);
    // Its own WAL may be confirmed as far as its COMMIT, which alone would make it gone.
    const [slot] = await db.sql("select $1::pg_lsn < $2::pg_lsn as behind", [
      await confirmedLsn(db),
      committed!.lsn,
    ]);
    assert(slot!.behind, "the transaction was not received whole");
    assert((await storedTexts(kinesis, stream)).length < 120_000, "it was stopped in the middle");
  }
  // Without the second half of a run: the next one sends the whole transaction again.
  await using again = await follow(db, kinesis, stream, flags);
  await waitUntilConfirmed(db, again, 120_000);
  assertEquals(await again.stop(), 0, again.stderr);
  const ids = new Set(
    (await storedTexts(kinesis, stream)).map((text) =>
      JSON.parse(text.slice("0,CDC,".length)).change.columnvalues[0]
    ),
  );
  assertEquals(ids.size, 120_001);
});

Deno.test("pg2kinesis stops cleanly when it is told to before it follows anything", async (t) => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite({ createStreamMs: 60_000 });
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  await using mute = startMuteServer();
  const places: Record<string, readonly string[]> = {
    "while the stream is made": [],
    "while PostgreSQL does not answer either": ["-p", String(mute.port)],
  };
  for (const [when, place] of Object.entries(places)) {
    await t.step(when, async () => {
      const usual = flagsFor(db, freshStreamName()).filter((_, i, all) =>
        place.length === 0 || (all[i] !== "-p" && all[i - 1] !== "-p")
      );
      const creating = ["--create-stream", "--shard-count", "1"];
      await using program = await Pg2kinesis.start([...usual, ...place, ...creating], {
        env: kinesis.env,
      });
      // The stream stays CREATING for a minute.
      await program.waitForLog(/waiting|CREATING|creating/i);
      // As `systemctl reload` does; by itself it would end the process.
      program.signal("SIGHUP");
      assertEquals(await program.stop(), 0, program.stderr);
    });
  }
});

Deno.test("pg2kinesis tells why a slot takes long to make, and leaves none behind when it is stopped or killed meanwhile", async (t) => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  for (const end of ["SIGTERM", "SIGKILL"] as const) {
    await t.step(end, async () => {
      // The making of a slot waits for it.
      const holder = await server.connect({ database: db.database });
      try {
        await holder.query("begin; select pg_current_xact_id()");
        await using program = await Pg2kinesis.start([...flagsFor(db, stream), "--create-slot"], {
          env: kinesis.env,
        });
        const waiting = () => db.sql("select from pg_replication_slots where active");
        await waitFor(async () => (await waiting()).length === 1, { what: "the slot to be made" });
        if (end === "SIGKILL") await program.kill9();
        else {
          await program.waitForLog(/not created yet after \d+ s: .*pg_stat_activity/);
          program.signal("SIGHUP");
          await program.waitForLog(/read the tables and their keys again/);
          assertEquals(await program.stop(), 0, program.stderr);
        }
        await waitFor(async () => (await waiting()).length === 0, {
          what: "the server to give up",
        });
        await holder.query("commit");
        assertEquals(await db.sql("select slot_name from pg_replication_slots"), []);
      } finally {
        await holder.end();
      }
    });
  }
});

Deno.test("pg2kinesis tells at once that there is no stream, while PostgreSQL does not answer", async () => {
  await using kinesis = await startKinesalite();
  await using mute = startMuteServer();
  const place = ["-h", "127.0.0.1", "-p", String(mute.port), "-u", "any", "-d", "any"];
  const { code, stderr } = await Pg2kinesis.run([...place, "-k", "no-such-stream"], {
    env: kinesis.env,
  });
  assertEquals(code, 1);
  assertMatch(stderr, /no-such-stream.*--create-stream/);
  assertEquals(stderr.match(/ERROR/g)?.length, 1, stderr);
});

Deno.test("SIGINT ends every command that waits for an answer, in one line where its work is not done", async () => {
  await using kinesis = await startKinesalite();
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  const unfinished = /^\S+ ERROR stopped by SIGINT before it was done$/;
  const place = (port: number) => ["-h", "127.0.0.1", "-p", `${port}`, "-d", "any", "-u", "any"];
  const noKinesis = (port: number) => ({ AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}` });
  const noCredentials = (port: number) => ({
    AWS_ACCESS_KEY_ID: "",
    AWS_SECRET_ACCESS_KEY: "",
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/`,
  });
  const none = () => ({});
  type Case = [string[], typeof place, (port: number) => Record<string, string>, number, RegExp];
  const cases: Case[] = [
    [["check", "-k", stream], place, none, 1, unfinished],
    [["plan", "--parts", "2", "-k", stream], place, none, 1, unfinished],
    [["backfill", "--table", "public.t"], place, none, 1, unfinished],
    [["backfill", "--status"], place, none, 1, unfinished],
    [["tail", "-k", stream], () => [], noKinesis, 0, / INFO read 0 user records in 0 records$/],
    [["tail", "-k", stream], () => [], noCredentials, 0, / INFO SIGINT: stopping; /],
    [["run", "-k", stream], place, noCredentials, 0, / INFO stopped$/],
  ];
  await Promise.all(cases.map(async ([args, flags, env, code, last]) => {
    await using mute = startMuteServer();
    await using program = await Pg2kinesis.start([...args, ...flags(mute.port)], {
      env: { ...kinesis.env, ...env(mute.port) },
    });
    await waitFor(() => mute.connected() > 0, { what: `${args[0]} to wait for an answer` });
    program.signal("SIGINT");
    assertEquals(await program.waitForExit(), code, program.stderr);
    const lines = program.stderr.trimEnd().split("\n");
    assertMatch(lines.at(-1)!, last);
    assertEquals(lines.filter((line) => / ERROR /.test(line)).length, code, program.stderr);
  }));
});

/** Lets everybody connect, and says nothing. */
function startMuteServer(): AsyncDisposable & {
  readonly port: number;
  readonly connected: () => number;
} {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  return {
    port: listener.addr.port,
    connected: () => connections.length,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      for (const connection of connections) connection.close();
    },
  };
}

Deno.test("pg2kinesis stops soon when Kinesis takes nothing, at once when told twice, and loses nothing", async () => {
  await using server = await startEmbeddedPostgres();
  for (const signals of [1, 2]) {
    const stream = { seed: 1, shards: 1, chances: { throttle: 1 } };
    await using run = await SingleRun.start(server, stream);
    await insertRows(run.db, { count: 100, rowsEach: 100, fillerBytes: 10 });
    await run.program.waitForLog(/is tried again/);
    run.program.signal("SIGTERM");
    await run.program.waitForLog(/SIGTERM: stopping/);
    if (signals === 2) run.program.signal("SIGTERM");
    const code = await run.program.waitForExit();
    assertEquals(code, signals === 2 ? 1 : 0, run.program.stderr);
    const said = signals === 2 ? /exiting at once/ : /were not stored within 5 s/;
    assertMatch(run.program.stderr, said);
    const [row] = await run.db.sql(
      "select count(*)::int as changes from pg_logical_slot_peek_changes($1, null, null)",
      [run.db.slot],
    );
    assert(row!.changes >= 100, "what was not stored is still in the slot");
  }
});
