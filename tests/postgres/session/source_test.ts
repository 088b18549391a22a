import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { type Lsn, parseLsn } from "../../../src/base/lsn.ts";
import type { XLogData } from "../../../src/base/replication_message.ts";
import { openSource } from "../../../src/postgres/session/source.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { confirmedLsn, Following, textOf } from "../../support/following_source.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertFails, postgresOptions, slotOptions } from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

for (const each of [server, debian]) {
  const name = each === server ? "18" : "15";
  const ignore = each === undefined;

  Deno.test(
    `openSource gives test_decoding's messages in order (${name})`,
    { ignore },
    async () => {
      await using db = await freshDatabase(each!);
      await db.sql("create table t (id int primary key, v text)");
      await db.createSlot("test_decoding");
      await db.sql("insert into t select g, 'row ' || g from generate_series(1, 5000) g");
      await using following = await Following.start(db, "test_decoding");
      const texts = await following.untilText("COMMIT");
      assertEquals(texts.slice(1, -1), [
        ...Array.from(
          { length: 5000 },
          (_, index) =>
            `table public.t: INSERT: id[integer]:${index + 1} v[text]:'row ${index + 1}'`,
        ),
      ]);
      assertEquals(texts[0]!.replace(/\d+/, "N"), "BEGIN N");
    },
  );

  Deno.test(`openSource keeps the bytes of earlier batches (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql("create table t (id int primary key, v text)");
    await db.createSlot("test_decoding");
    // Sizes around the reads' own, so that messages lie in two reads at every offset.
    await db.sql(
      "insert into t select g, repeat(chr(97 + g % 26), (g * 7919) % 9000) from generate_series(1, 3000) g",
    );
    await using following = await Following.start(db, "test_decoding");
    const messages = await following.until((message) => textOf(message).startsWith("COMMIT"));
    const rows = messages.map(textOf).filter((text) => text.startsWith("table"));
    assertEquals(rows.length, 3000);
    for (const [index, row] of rows.entries()) {
      const id = index + 1;
      const value = String.fromCharCode(97 + id % 26).repeat((id * 7919) % 9000);
      assertEquals(row, `table public.t: INSERT: id[integer]:${id} v[text]:'${value}'`);
    }
  });

  Deno.test(`openSource prints values as invariant 8 says (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`
      alter database ${db.database} set datestyle = 'SQL, DMY';
      alter database ${db.database} set intervalstyle = 'iso_8601';
      alter database ${db.database} set extra_float_digits = -10;
      alter database ${db.database} set bytea_output = 'escape';
      alter database ${db.database} set client_encoding = 'LATIN1';
      create table t (id int primary key, d date, i interval, f float8, b bytea, s text)`);
    await db.createSlot("test_decoding");
    await db.sql(
      `insert into t values (1, '2026-11-22', '1 day 2 hours', 0.1::float8 + 0.2::float8, '\\x00ff', 'é€')`,
    );
    // The user's own options count as far as they are not ours.
    await using following = await Following.start(db, "test_decoding", {
      postgres: { sessionOptions: "-c datestyle=German -c TimeZone=UTC" },
    });
    const [, row] = await following.untilText("COMMIT");
    assertEquals(
      row,
      "table public.t: INSERT: id[integer]:1 d[date]:'2026-11-22' i[interval]:'1 day 02:00:00' " +
        "f[double precision]:0.30000000000000004 b[bytea]:'\\x00ff' s[text]:'é€'",
    );
  });

  Deno.test(`openSource follows publications with odd names (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`create table t (id int primary key);
      create publication "It's ""one"", two" for table t; create publication three`);
    await db.createSlot("pgoutput");
    await db.sql("insert into t values (1)");
    await db.sql("select pg_logical_emit_message(true, 'prefix', 'content')");
    await using following = await Following.start(db, "pgoutput", {
      slot: { publications: [`It's "one", two`, "three"] },
    });
    let commits = 0;
    const messages = await following.until((message) =>
      textOf(message).startsWith("C") && ++commits === 2
    );
    assertEquals(
      messages.map((message) => textOf(message)[0]).filter((type) => type !== undefined),
      ["B", "R", "I", "C", "B", "M", "C"],
    );
  });

  Deno.test(`confirm sends what the checkpoint has, soon and never backwards (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql("create table t (id int primary key)");
    await db.createSlot("test_decoding");
    await using following = await Following.start(db, "test_decoding");
    const commits: Lsn[] = [];
    for (const id of [1, 2]) {
      await db.sql("insert into t values ($1)", [id]);
      const commit = (await following.until((message) => textOf(message).startsWith("COMMIT")))
        .find((message) => textOf(message).startsWith("COMMIT"));
      if (commit?.kind === "xlogdata") commits.push(commit.walStart);
    }
    for (const lsn of commits) {
      following.flushLsn = lsn;
      following.source.confirm();
      await waitFor(async () => await confirmedLsn(db) === lsn, { what: `${lsn} confirmed` });
    }
    assertEquals(following.source.stats.sentLsn, commits[1]);
    following.flushLsn = commits[0]!;
    following.source.confirm();
    await following.source.close();
    assertEquals(await confirmedLsn(db), commits[1]);
  });

  Deno.test(`close confirms for the last time, in the middle of a transaction too (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql("create table t (id int primary key, v text)");
    await db.createSlot("test_decoding");
    await db.sql("insert into t values (0)");
    await db.sql("insert into t select g, repeat('x', 1000) from generate_series(1, 100000) g");
    await using following = await Following.start(db, "test_decoding");
    const messages = await following.until((message) => textOf(message).startsWith("COMMIT"));
    const commit = messages.find((message) => textOf(message).startsWith("COMMIT"))!;
    assert(commit.kind === "xlogdata");
    // The rest waits at the server, behind a full socket.
    const isBlocked = async () => {
      const [sender] = await db.sql(
        `select wait_event from pg_stat_activity a join pg_replication_slots s on s.active_pid = a.pid
          where s.slot_name = $1`,
        [db.slot],
      );
      return sender?.wait_event === "WalSenderWriteData";
    };
    await waitFor(isBlocked, { what: "the server to wait for us" });
    following.flushLsn = (commit as { walStart: Lsn }).walStart;
    following.stop();
    assertEquals((await following.next()).done, true);
    await following.source.close();
    assertEquals(await confirmedLsn(db), following.flushLsn);
  });

  Deno.test(`a stop signal ends the iteration while nothing comes (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await db.createSlot("test_decoding");
    await using following = await Following.start(db, "test_decoding");
    await following.until((message) => message.kind === "keepalive");
    const next = following.next();
    following.stop();
    // The server may have sent another keepalive by then.
    if (!(await next).done) assertEquals((await following.next()).done, true);
  });

  Deno.test(`a slot beside a busy database follows within seconds (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await using busy = await freshDatabase(each!);
    await busy.sql("create table t (id int primary key, v text)");
    await db.createSlot("test_decoding");
    await db.sql(
      `alter role ${each!.superuser} in database ${db.database} set wal_sender_timeout = '3s'`,
    );
    await using following = await Following.start(db, "test_decoding");
    assertEquals(following.source.stats.server.walSenderTimeoutMs, 3000);
    const before = await confirmedLsn(db);
    await busy.sql("insert into t select g, repeat('x', 100) from generate_series(1, 50000) g");
    const [end] = await db.sql("select pg_current_wal_lsn() as lsn");
    const target = parseLsn(end!.lsn);
    assert(target - before > 5_000_000n);
    // What the pipeline does: with nothing open, the keepalive's end may be confirmed.
    while (await confirmedLsn(db) < target) {
      const { value } = await following.next();
      for (const message of value!) {
        if (message.kind === "keepalive") following.flushLsn = message.walEnd;
      }
    }
  });
}

Deno.test("the server hears from us however long nothing is read", async () => {
  await using impatient = await startEmbeddedPostgres({
    settings: { wal_sender_timeout: "3s" },
  });
  await using db = await freshDatabase(impatient);
  await db.sql("create table t (id int primary key, v text)");
  await db.createSlot("test_decoding");
  await db.sql("insert into t select g, repeat('x', 1000) from generate_series(1, 30000) g");
  await using following = await Following.start(db, "test_decoding");
  await following.next();
  await waitFor(() => !following.source.stats.isReading, { what: "the reading to stop" });
  const replies = async () => {
    const [row] = await db.sql(
      "select extract(epoch from reply_time) as at from pg_stat_replication",
    );
    return row?.at ? Number(row.at) : undefined;
  };
  const first = await waitFor(replies, { what: "the first reply" });
  // Longer than the server's patience.
  await waitFor(async () => (await replies() ?? 0) > first + 4.5, {
    what: "replies for longer",
  });
  const texts = await following.untilText("COMMIT");
  assertEquals(texts.filter((text) => text.startsWith("table")).length, 30000);
});

Deno.test("warnings of the walsender come in order", { ignore: debian === undefined }, async () => {
  await using db = await freshDatabase(debian!);
  await db.sql("create table kept (id int primary key); create table bare (id int)");
  await db.createSlot("wal2json");
  await db.sql("insert into kept values (1); insert into bare values (1)");
  await db.sql(
    "begin; insert into kept values (2); update bare set id = 2; insert into kept values (3); commit",
  );
  await using following = await Following.start(db, "wal2json");
  const texts: string[] = [];
  while (texts.filter((text) => text.includes('"action":"C"')).length < 2) {
    texts.push(
      ...(await following.next()).value!.map(textOf).filter((text: string) => text !== ""),
    );
  }
  const steps = texts.map((text) =>
    text.startsWith("warning")
      ? text
      : `${JSON.parse(text).action}${JSON.parse(text).columns?.[0].value ?? ""}`
  );
  const bare = 'warning no tuple identifier for UPDATE in table "public"."bare"';
  assertEquals(steps, ["B", "I1", "I1", "C", "B", "I2", bare, "I3", "C"]);
});

Deno.test("a publication that is missing is a warning of 18", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("pgoutput");
  await db.sql("insert into t values (1)");
  await using following = await Following.start(db, "pgoutput", {
    slot: { publications: ["not_there"] },
  });
  const messages = await following.until(({ kind }) => kind === "warning");
  const warning = messages.find(({ kind }) => kind === "warning")!;
  assert(textOf(warning).includes('"not_there"'), textOf(warning));
});

Deno.test("wal2json sends numbers digit for digit, and what the decoder needs", {
  ignore: debian === undefined,
}, async () => {
  await using db = await freshDatabase(debian!);
  await db.sql("create table t (id bigint primary key, n numeric, f float8)");
  await db.createSlot("wal2json");
  await db.sql(
    "insert into t values (9223372036854775807, 12345678901234567890.0123456789000, 1e300)",
  );
  await using following = await Following.start(db, "wal2json");
  const texts = await following.untilText('{"action":"C"');
  const insert = texts.find((text) => text.startsWith('{"action":"I"'))!;
  assert(insert.includes('"value":9223372036854775807}'), insert);
  assert(insert.includes('"value":12345678901234567890.0123456789000}'), insert);
  const begin = JSON.parse(texts[0]!);
  assertEquals(Object.keys(begin), ["action", "xid", "timestamp", "lsn", "nextlsn"]);
  assertEquals(JSON.parse(insert).pk, [{ name: "id", type: "bigint" }]);
});

Deno.test("openSource fails in one line when the slot cannot be followed", async () => {
  await using db = await freshDatabase(server);
  await assertFails(
    Following.start(db, "test_decoding"),
    [db.slot, "does not exist", "--create-slot"],
    false,
  );
  await using other = await freshDatabase(server);
  await other.createSlot("test_decoding");
  await assertFails(
    Following.start({ ...db, slot: other.slot }, "test_decoding"),
    [other.slot, "database"],
    false,
  );
});

Deno.test("an error that comes with the first messages is told after them", async () => {
  await using db = await freshDatabase(
    server,
    "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0",
  );
  await db.sql(`create table t (id int primary key, v text);
    create publication ${db.slot} for table t`);
  await db.createSlot("pgoutput");
  await db.sql("insert into t values (1, 'is UTF-8')");
  await db.sql(String.raw`insert into t values (2, convert_from('\xe9', 'SQL_ASCII'))`);
  // The client gets CopyBothResponse, the first transaction and the error in one piece.
  using proxy = new Proxy(server);
  let held: number[] = [];
  proxy.passOn = (bytes) => {
    if (held.length === 0 && bytes[0] !== "W".charCodeAt(0)) return bytes;
    held.push(...bytes);
    const all = Uint8Array.from(held);
    if (!new TextDecoder().decode(all).includes("invalid byte sequence")) return new Uint8Array();
    held = [];
    return all;
  };
  await using following = await Following.start(db, "pgoutput", {
    postgres: { hosts: [{ host: "127.0.0.1", port: proxy.port }] },
  });
  let commits = 0;
  const readAll = async () => {
    for (;;) {
      const { value, done } = await following.next();
      if (done) return;
      commits += value.filter((message) => textOf(message).startsWith("C")).length;
    }
  };
  await assertFails(
    readAll(),
    [`next change of the slot "${db.slot}"`, 'invalid byte sequence for encoding "UTF8": 0xe9'],
    false,
  );
  assertEquals(commits, 1);
});

Deno.test("openSource stops at once while it connects", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const reason = new Error("stop");
  const opening = openSource({
    postgres: postgresOptions({ host: "127.0.0.1", port: silent.addr.port, superuser: "postgres" }),
    slot: slotOptions({ slot: "s" }, "test_decoding"),
    startLsn: 0n,
    flushLsn: () => 0n,
    clock: systemClock,
    random: Math.random,
    signal: stop.signal,
  });
  const connection = await silent.accept();
  stop.abort(reason);
  assertEquals(await opening.catch((error) => error), reason);
  connection.close();
  await assertRejects(() => opening);
});

Deno.test("openSource stops reading as soon when messages are larger than a read", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, v text)");
  await db.createSlot("test_decoding");
  await db.sql("insert into t select g, repeat('x', 1000000) from generate_series(1, 50) g");
  await using following = await Following.start(db, "test_decoding");
  await following.next();
  await waitFor(() => !following.source.stats.isReading, { what: "the reading to stop" });
  const { receivedBytes, waitingBytes } = following.source.stats;
  assert(receivedBytes < 6_000_000, `${receivedBytes} bytes read while nobody took any`);
  assert(waitingBytes > 1_000_000, `${waitingBytes} bytes wait of ${receivedBytes}`);
  const texts = await following.untilText("COMMIT");
  assertEquals(texts.filter((text) => text.startsWith("table")).length, 50);
});

Deno.test("a source confirms as soon as ever while the host's clock is set back", async () => {
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  let aheadMs = 0;
  const clock = { ...systemClock, wall: () => systemClock.wall() + aheadMs };
  await using following = await Following.start(db, "test_decoding", { clock });
  for (const id of [1, 2]) {
    await db.sql(`insert into t values (${id})`);
    const messages = await following.until((message) => textOf(message).startsWith("COMMIT"));
    const commit = messages.findLast(({ kind }) => kind === "xlogdata") as XLogData;
    following.flushLsn = commit.walStart;
    following.source.confirm();
    // Long before the next status update, which is due every ten seconds.
    await waitFor(() => following.source.stats.sentLsn >= commit.walStart, {
      what: "what is stored to be confirmed",
      timeoutMs: 4_000,
    });
    aheadMs -= 3_600_000;
  }
});
