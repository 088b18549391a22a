import { assert, assertEquals, assertMatch } from "@std/assert";
import { FaultServerProcess, STREAM } from "../campaign/fault_server_process.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { get, scrape, telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";

const server = await startEmbeddedPostgres();

async function startServed(
  db: FreshDatabase,
  kinesis: FaultServerProcess,
  flags: readonly string[] = [],
): Promise<{ program: Pg2kinesis; url: string }> {
  const program = await Pg2kinesis.start(
    [...flagsFor(db, STREAM), "--metrics-addr", "0", ...flags],
    { env: kinesis.env },
  );
  return { program, url: await telemetryUrl(program) };
}

const waitUntilReady = (url: string) =>
  waitFor(async () => (await get(`${url}readyz`)).status === 200, {
    what: "/readyz to say that the run is ready",
    found: async () => (await get(`${url}readyz`)).text,
  });

for (const plugin of ["test_decoding", "pgoutput"]) {
  Deno.test(`pg2kinesis --metrics-addr counts a known workload with ${plugin}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql("create table kept (id int primary key); create table keyless (n int)");
    await db.sql("create table left_out (id int primary key)");
    await db.sql(`create publication "${db.slot}" for table kept, keyless, left_out`);
    await db.createSlot(plugin);
    await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 2 });
    const { program, url } = await startServed(db, kinesis, [
      ...["--pg-slot-output-plugin", plugin, "--exclude-table", "public.left_out"],
    ]);
    await using _ = program;
    await waitUntilReady(url);
    for (let id = 1; id <= 20; id++) await db.sql(`insert into kept values (${id})`);
    await db.sql("insert into keyless select generate_series(1, 7)");
    await db.sql("insert into left_out select generate_series(1, 5)");
    await waitUntilConfirmed(db, program);
    const metrics = await scrape(url);
    const found = (names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, metrics.get(`pg2kinesis_${name}`)]));
    const expected = {
      changes_total: 32,
      transactions_total: 22,
      filtered_changes_total: 5,
      'skipped_changes_total{reason="no_key"}': 7,
      'skipped_changes_total{reason="oversize"}': 0,
      records_total: 20,
      'put_retries_total{reason="throttled"}': 0,
      resent_records_total: 0,
      reshards_total: 0,
      reconnects_total: 0,
      connected: 1,
      lanes: 2,
      'buffer_bytes{buffer="write"}': 0,
      'slot_wal_status{status="reserved"}': 1,
      // A transaction of which nothing was published is not in it.
      commit_to_acknowledged_seconds_count: 20,
    };
    assertEquals(found(Object.keys(expected)), expected);
    const { puts } = await kinesis.stats();
    assertEquals(metrics.get("pg2kinesis_puts_total"), puts);
    assertEquals(metrics.get("pg2kinesis_put_duration_seconds_count"), puts);
    assertEquals(metrics.get("pg2kinesis_put_records_total"), (await kinesis.records()).length);
    const stored = (await kinesis.records()).reduce(
      (sum, { data, partitionKey }) => sum + atob(data).length + partitionKey.length,
      0,
    );
    assertEquals(metrics.get("pg2kinesis_put_bytes_total"), stored);
    const bucket = (le: string) =>
      metrics.get(`pg2kinesis_commit_to_acknowledged_seconds_bucket{le="${le}"}`)!;
    assertEquals(bucket("+Inf"), 20);
    assert(metrics.get("pg2kinesis_commit_to_acknowledged_seconds_sum")! > 0);
    assert(metrics.get("process_resident_memory_bytes")! > 1e7);
    assertEquals(await program.stop(), 0, program.stderr);
  });
}

Deno.test("pg2kinesis --metrics-addr counts throttles, what may be doubled, and the lag while nothing is taken", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  const { program, url } = await startServed(db, kinesis, ["--ready-lag", "1s"]);
  await using _ = program;
  await waitUntilReady(url);
  assertEquals(await get(`${url}healthz`), { status: 200, text: "ok\n" });

  await kinesis.setChances({ throttle: 1 });
  await db.sql("insert into t select n, repeat('x', 1000) from generate_series(1, 2000) n");
  const notReady = await waitFor(async () => {
    const { status, text } = await get(`${url}readyz`);
    return status === 503 && text;
  }, { what: "/readyz to say no" });
  assertMatch(notReady, /^not ready: behind by .* s; --ready-lag is 1\.0 s\n$/);
  assertEquals((await get(`${url}healthz`)).status, 200);
  const throttled = await waitFor(async () => {
    const metrics = await scrape(url);
    return metrics.get('pg2kinesis_put_retries_total{reason="throttled"}')! >= 3 &&
      metrics.get("pg2kinesis_lag_bytes")! > 100_000 && metrics;
  }, { what: "the lag to be told" });
  assert(throttled.get("pg2kinesis_lag_seconds")! > 1);
  assert(throttled.get('pg2kinesis_buffer_bytes{buffer="write"}')! > 50_000);
  assert(throttled.get("pg2kinesis_slot_retained_wal_bytes")! > 0);
  assertEquals(throttled.get("pg2kinesis_resent_records_total"), 0, "a throttle stores nothing");
  assertEquals(throttled.get("pg2kinesis_put_duration_seconds_count"), 0);
  assertEquals(throttled.get("pg2kinesis_commit_to_acknowledged_seconds_count"), 0);

  await kinesis.setChances({});
  await waitUntilConfirmed(db, program);
  await waitUntilReady(url);
  const after = await scrape(url);
  const { injected, puts } = await kinesis.stats();
  assertEquals(after.get('pg2kinesis_put_retries_total{reason="throttled"}'), injected.throttle);
  assertEquals(
    after.get(
      `pg2kinesis_shard_throttles_total{stream="${STREAM}",shard="shardId-000000000000"}`,
    ),
    injected.throttle,
  );
  assertEquals(
    after.get(`pg2kinesis_stream_put_retries_total{stream="${STREAM}",reason="throttled"}`),
    injected.throttle,
  );
  assertEquals(after.get("pg2kinesis_puts_total"), puts);
  assertEquals(after.get("pg2kinesis_commit_to_acknowledged_seconds_count"), 1);
  assert(after.get("pg2kinesis_commit_to_acknowledged_seconds_sum")! > 1);

  // Stored, and the answer lost: the record is there twice. Deno itself sends a request again whose
  // kept connection was cut, and tells nobody, so that the server may have seen more.
  await kinesis.setChances({ "cut-after": 1 });
  await db.sql("insert into t values (-1)");
  const RESENT = "pg2kinesis_resent_records_total";
  await waitFor(async () => (await scrape(url)).get(RESENT)! > 0, { what: "a cut to be counted" });
  await kinesis.setChances({});
  await waitUntilConfirmed(db, program);
  const last = await scrape(url);
  assertEquals(last.get(RESENT), last.get('pg2kinesis_put_retries_total{reason="network"}'));
  assert(last.get(RESENT)! <= (await kinesis.stats()).injected["cut-after"]!);
  assertEquals(await program.stop(), 0, program.stderr);
});

Deno.test("pg2kinesis --ready-lag takes a size, and /readyz says how much it is behind", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({
    seed: 1,
    shards: 1,
    chances: { throttle: 1 },
  });
  const { program, url } = await startServed(db, kinesis, ["--ready-lag", "1MB"]);
  await using _ = program;
  await waitUntilReady(url);
  await db.sql("insert into t select n, repeat('x', 1000) from generate_series(1, 5000) n");
  await waitFor(async () => (await get(`${url}readyz`)).status === 503, { what: "/readyz: no" });
  assertMatch((await get(`${url}readyz`)).text, /behind by [\d.]+ MiB; --ready-lag is 1\.00 MiB/);
  await kinesis.setChances({});
  await waitUntilReady(url);
  assertEquals(await program.stop(), 0, program.stderr);
});

Deno.test("pg2kinesis --metrics-addr on a port in use is one clear error", async () => {
  await using db = await freshDatabase(server);
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const { port } = taken.addr as Deno.NetAddr;
    const { code, stderr } = await Pg2kinesis.run(
      [...flagsFor(db, STREAM), "--metrics-addr", String(port)],
      { env: kinesis.env },
    );
    assertEquals(code, 1);
    assertMatch(
      stderr,
      new RegExp(
        `^\\S+ ERROR cannot listen on 127\\.0\\.0\\.1:${port} \\(--metrics-addr\\): the port is in ` +
          "use; end what listens there, or choose another port\\n$",
      ),
    );
  } finally {
    taken.close();
  }
});

Deno.test("pg2kinesis --metrics-addr answers while the slot is not followed yet, and to nothing but GET", async () => {
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  // Making a slot waits for transactions that are open.
  const holder = await db.server.connect({ database: db.database });
  await holder.query("begin");
  await holder.query("select pg_current_xact_id()");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  const { program, url } = await startServed(db, kinesis, ["--recreate-slot"]);
  await using _ = program;
  await program.waitForLog(/that waits for all transactions/);
  assertEquals((await get(`${url}healthz`)).status, 200);
  const { status, text } = await get(`${url}readyz`);
  assertEquals(status, 503);
  assertMatch(text, /^not ready: not streaming yet, .* after the start\n$/);
  assertEquals((await scrape(url)).get("pg2kinesis_connected"), 0);
  const posted = await fetch(`${url}metrics`, { method: "POST", body: "x" });
  assertEquals([posted.status, await posted.text()], [405, "only GET"]);
  assertEquals((await get(`${url}secrets`)).status, 404);
  await holder.query("commit");
  await holder.end();
  await waitUntilReady(url);
  assertEquals(await program.stop(), 0, program.stderr);
});

for (const action of ["warn", "stop"]) {
  Deno.test(`pg2kinesis --max-lag-bytes with --on-max-lag ${action}`, async () => {
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, filler text)");
    await db.createSlot("test_decoding");
    await using kinesis = await FaultServerProcess.start({
      seed: 1,
      shards: 1,
      chances: { throttle: 1 },
    });
    await using program = await Pg2kinesis.start(
      [...flagsFor(db, STREAM), "--max-lag-bytes", "8MB", "--on-max-lag", action],
      { env: kinesis.env },
    );
    await program.waitForLog(/following slot/);
    await db.sql("insert into t select n, repeat('x', 1000) from generate_series(1, 10000) n");
    // What the server's other databases write is kept too, and may pass the limit before our rows do.
    const keeps = `the slot "${db.slot}" keeps [\\d.]+ MiB of WAL on the server, more than the ` +
      "8\\.00 MiB of --max-lag-bytes; [\\d.]+ \\w+ of it is not published";
    if (action === "stop") {
      assertEquals(await program.waitForExit(60_000), 1);
      const [last] = program.stderr.trimEnd().split("\n").slice(-1);
      assertMatch(
        last!,
        new RegExp(
          `ERROR ${keeps}; stopping, .*SELECT pg_catalog.pg_drop_replication_slot\\('${db.slot}'\\), which ` +
            "loses every change behind [0-9A-F]+/[0-9A-F]+$",
        ),
      );
      return;
    }
    await program.waitForLog(new RegExp(`WARNING ${keeps}\\n`));
    await kinesis.setChances({});
    await waitUntilConfirmed(db, program);
    // The server lets go of WAL when it has logged what runs, as a checkpoint does.
    const stopNudging = nudge(db);
    await program.waitForLog(/INFO the slot \S+ keeps .* of WAL, within the 8\.00 MiB/);
    await stopNudging();
    assertEquals(await program.stop(), 0, program.stderr);
  });
}

/** Gives the slot reason to move its `restart_lsn`, until it is told to end. */
function nudge(db: FreshDatabase): () => Promise<void> {
  let isOver = false;
  const nudging = (async () => {
    while (!isOver) {
      await db.sql("checkpoint");
      await db.sql("insert into t values ((select min(id) - 1 from t))");
    }
  })();
  return async () => {
    isOver = true;
    await nudging;
  };
}

Deno.test("pg2kinesis counts each oversize row that it skips, and does not warn of each", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  const { program, url } = await startServed(db, kinesis, ["-f", "JSON", "--on-oversize", "skip"]);
  await using _ = program;
  await waitUntilReady(url);
  await db.sql("insert into t select n, repeat('x', 1100000) from generate_series(1, 9) n");
  await waitUntilConfirmed(db, program);
  const metrics = await scrape(url);
  assertEquals(metrics.get('pg2kinesis_skipped_changes_total{reason="oversize"}'), 9);
  assertEquals(metrics.get("pg2kinesis_records_total"), 0);
  assertEquals(await program.stop(), 0, program.stderr);
  // The rest is told at the end, or after ten seconds.
  const told = program.stderr.match(/WARNING skipped: the record of the insert of public\.t/g)!;
  const [, more] = /WARNING (\d+) more such warnings in \d+ s were left out; the last: skipped: /
    .exec(program.stderr)!;
  assertEquals(told.length + Number(more), 9, program.stderr);
});

Deno.test("pg2kinesis --standby is alive and not ready while another follows the slot", async () => {
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  const first = await startServed(db, kinesis, ["--standby"]);
  await using _first = first.program;
  await waitUntilReady(first.url);
  const second = await startServed(db, kinesis, ["--standby"]);
  await using _second = second.program;
  await second.program.waitForLog(/standing by/);
  assertEquals((await get(`${second.url}healthz`)).status, 200);
  const { status, text } = await get(`${second.url}readyz`);
  assertEquals(status, 503);
  assertMatch(text, /^not ready: standing by: the slot is followed by another client/);
  await first.program.kill9();
  await waitUntilReady(second.url);
  assertEquals((await scrape(second.url)).get("pg2kinesis_connected"), 1);
  assertEquals(await second.program.stop(), 0, second.program.stderr);
});
