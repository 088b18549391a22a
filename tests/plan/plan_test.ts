import { assert, assertEquals, assertMatch } from "@std/assert";
import { findDebianPostgres, startDebianPostgres } from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { carryOut, plan, waitForSlots } from "../support/plans.ts";
import { randomFrom } from "../support/random.ts";
import { readBack, type StoredRecord } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";

// Row filters came with 15; the newest one is always there.
const servers = [await startEmbeddedPostgres()];
if (findDebianPostgres() !== undefined) servers.push(await startDebianPostgres());

/** One of each kind: what is spread by one column and by several, and what goes to one part. */
const TABLES = `
  create table orders (id bigint primary key, note text, paid boolean);
  create table items (shop text collate "C", no int, note text, primary key (shop, no));
  create table rows_of_a_day (day date, id int, note text, primary key (id, day)) partition by range (day);
  create table rows_of_monday partition of rows_of_a_day for values from ('2026-11-23') to ('2026-11-24');
  create table rows_of_tuesday partition of rows_of_a_day for values from ('2026-11-24') to ('2026-11-25');
  create table audit (id int, what text); alter table audit replica identity full;
  create type mood as enum ('sad', 'happy');
  create table moods (mood mood primary key, n int);
  create table moods_of_days (mood mood, day date, n int, primary key (mood, day));`;

/** What a consumer learns of one partition key, without what came again. */
function historiesOf(records: readonly StoredRecord[]): Map<string, string[]> {
  const histories = new Map<string, string[]>();
  const latest = new Map<string, readonly [commit: bigint, seq: number]>();
  for (const { partitionKey, text } of records) {
    const { op, commit_lsn, seq, after, moved_to: _to, moved_from: _from } = JSON.parse(text);
    if (op === "truncate") continue;
    const position = [lsn(commit_lsn), seq] as const;
    const before = latest.get(partitionKey);
    if (before !== undefined && !isLater(position, before)) continue;
    latest.set(partitionKey, position);
    histories.set(partitionKey, [
      ...histories.get(partitionKey) ?? [],
      `${op} ${commit_lsn} ${JSON.stringify(after)}`,
    ]);
  }
  return histories;
}

const lsn = (text: string) => {
  const [high, low] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
};

const isLater = (one: readonly [bigint, number], other: readonly [bigint, number]) =>
  one[0] > other[0] || one[0] === other[0] && one[1] > other[1];

/** The statements of some random transactions. */
function transactions(seed: number, count: number): string[] {
  const next = randomFrom(seed);
  const below = (limit: number) => Math.floor(next() * limit);
  const shop = () => `'${["Ä", "b c", 'd"', "e"][below(4)]}'`;
  const day = () => `'2026-11-2${3 + below(2)}'`;
  const statement = () => {
    const [id, other] = [below(60), below(60)];
    // deno-fmt-ignore
    return [
      `insert into orders values (${id}, 'n${other}', true) on conflict (id) do update set note = excluded.note`,
      `update orders set paid = not paid where id = ${id}`,
      `update orders set id = ${other} where id = ${id} and not exists (select from orders where id = ${other})`,
      `delete from orders where id = ${id}`,
      `insert into items values (${shop()}, ${id}, 'n') on conflict (shop, no) do update set note = items.note || 'n'`,
      `update items set no = no + 1000 where shop = ${shop()} and no = ${id}
         and not exists (select from items o where o.shop = items.shop and o.no = items.no + 1000)`,
      `delete from items where no % 60 = ${id}`,
      `insert into rows_of_a_day values (${day()}, ${id}, 'x') on conflict (id, day) do update set note = rows_of_a_day.note || 'y'`,
      `delete from rows_of_a_day where id = ${id}`,
      `insert into audit values (${id}, 'made'); update audit set what = 'seen' where id = ${other}`,
      `insert into moods values ('sad', ${id}) on conflict (mood) do update set n = excluded.n`,
      `insert into moods_of_days values ('happy', ${day()}, ${id}) on conflict (mood, day) do update set n = excluded.n`,
    ][below(12)]!;
  };
  return Array.from(
    { length: count },
    () => `begin; ${Array.from({ length: 1 + below(6) }, statement).join("; ")}; commit`,
  );
}

for (const server of servers) {
  Deno.test(`four parts lose nothing and keep the order of each key (${server.version})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(TABLES);
    const [stream, whole] = [freshStreamName(), freshStreamName()];
    await kinesis.createStream(stream, 2);
    await kinesis.createStream(whole, 1);
    const made = await plan([
      ...flagsFor(db, stream),
      ...["--parts", "4", "--partition-root", "-f", "JSON"],
    ]);
    await carryOut(db, made);
    await db.sql("create publication everything for all tables with (publish_via_partition_root)");
    await db.createSlot("pgoutput");

    const runs = made.commands.map(([program, run, ...args]) => {
      assertEquals([program, run], ["pg2kinesis", "run"]);
      return args;
    });
    const start = (args: readonly string[]) => Pg2kinesis.start(args, { env: kinesis.env });
    const slots = runs.map((args) => args[args.indexOf("--pg-slot-name") + 1]!);
    await using programs = new AsyncDisposableStack();
    const started = await Promise.all(runs.map(async (args) => programs.use(await start(args))));

    const work = transactions(20261128, 150);
    const client = await server.connect({ database: db.database });
    for (const [index, transaction] of work.entries()) {
      await client.query(transaction);
      if (index === 75) {
        // Duplicates, and the others are ahead.
        await started[1]!.kill9();
        programs.use(await start(runs[1]!));
      }
    }
    await client.end();
    const reference = programs.use(
      await start([
        ...flagsFor(db, whole),
        ...["--pg-slot-output-plugin", "pgoutput", "--pg-publication", "everything", "-f", "JSON"],
      ]),
    );
    await waitForSlots(db, [...slots, db.slot]);
    for (const program of [started[0]!, reference]) assertEquals(await program.stop(), 0);

    const verified = await Pg2kinesis.run(["tail", "-k", stream, "--verify"], { env: kinesis.env });
    assertEquals(verified.code, 0, verified.stderr);
    const expected = historiesOf((await readBack(kinesis.client, whole)).records);
    const found = historiesOf((await readBack(kinesis.client, stream)).records);
    assert(expected.size > 100, String(expected.size));
    assertEquals(Object.fromEntries(sorted(found)), Object.fromEntries(sorted(expected)));
    for (const { stderr } of started) assert(!/ WARNING /.test(stderr), stderr);
  });
}

/** By key, between which there is no order. */
const sorted = (histories: Map<string, string[]>) =>
  [...histories].toSorted(([one], [other]) => one < other ? -1 : 1);

Deno.test("plan divides rows where it can, and says why not where it cannot", async () => {
  await using db = await freshDatabase(servers[0]!);
  await db.sql(TABLES + " create table lost (n int)");
  const { statements, commands, remarks } = await plan([
    ...flagsFor(db, "changes"),
    ...["--parts", "2", "-f", "CSV", "--table-pat", "it's|.", "--metrics-addr", "9187"],
    ...["--message-prefix", "app.*", "--no-full-change", "--own-streams", "--operations", "insert"],
  ]);
  const hash = (columns: string, part: number) =>
    `(pg_catalog.abs(pg_catalog.mod(pg_catalog.hash_record_extended(ROW(${columns}), 0), 2)) = ${part})`;
  const [, first, comment] = statements;
  assert(first!.includes(`ONLY public.orders WHERE (${hash('"id"', 0).slice(1, -1)})`), first);
  assert(first!.includes(`ONLY public.items WHERE ${hash('"shop", "no"', 0)}`), first);
  // The enumeration is left out of the hash, which keeps a key in one part all the same.
  assert(first!.includes(`ONLY public.moods_of_days WHERE ${hash('"day"', 0)}`), first);
  assertEquals(
    comment,
    `COMMENT ON PUBLICATION "${db.slot}_0" IS 'pg2kinesis: part 0 of 2';`,
  );
  const listed = (part: number) => statements[1 + 2 * part]!;
  for (const table of ["rows_of_a_day", "audit", "moods"]) {
    const parts = [0, 1].filter((part) =>
      new RegExp(`ONLY public\\.${table}(,|;)`).test(listed(part))
    );
    assertEquals(parts.length, 1, table);
    assert(
      remarks.some((remark) =>
        remark.startsWith(`public.${table} is in part ${parts[0]} as a whole`)
      ),
      remarks.join("\n"),
    );
  }
  assert(remarks.some((remark) => /left out.*public\.lost/.test(remark)), remarks.join("\n"));
  assertEquals(
    commands.map((command) => command.slice(0, 8)),
    [0, 1].map((part) => [
      ...["pg2kinesis", "run", "--pg-slot-name", `${db.slot}_${part}`],
      ...["--pg-slot-output-plugin", "pgoutput", "--stream-name", `changes_${part}`],
    ]),
  );
  assertEquals(commands[1]!.slice(8, 10), ["--metrics-addr", "127.0.0.1:9188"]);
  assertEquals(commands.map((command) => command.includes("--message-prefix")), [true, false]);
  assert(commands[1]!.includes("--full-change=false"));

  const { stdout } = await Pg2kinesis.run([
    ...["plan", ...flagsFor(db, "changes"), "--parts", "2", "--table-pat", "it's|."],
  ]);
  assertMatch(stdout, /^pg2kinesis run .* --table-pat 'it'\\''s\|\.'$/m);
});

Deno.test("plan puts each table into one part with --split tables, the busiest apart", async () => {
  await using db = await freshDatabase(servers[0]!);
  await db.sql(`create table a (id int primary key); create table b (id int primary key);
    create table c (id int primary key); insert into b select generate_series(1, 100);
    insert into c select generate_series(1, 90); select pg_stat_force_next_flush()`);
  const flags = [...flagsFor(db, "changes"), "--split", "tables", "--parts"];
  const made = await plan([...flags, "2"]);
  assertMatch(made.statements[1]!, /FOR TABLE ONLY public\.b;$/);
  assertMatch(made.statements[3]!, /FOR TABLE ONLY public\.c, ONLY public\.a;$/);
  const { code, stderr } = await Pg2kinesis.run(["plan", ...flags, "4"]);
  assertEquals(code, 1);
  assertMatch(stderr, /3 tables for 4 parts; ask for --parts 3 or fewer/);
  await carryOut(db, made);
  const taken = await Pg2kinesis.run(["plan", ...flags, "2"]);
  assertMatch(taken.stderr, new RegExp(`there is a publication "${db.slot}_0" already`));

  // Neither a run nor a check of one part misses the tables of the other.
  await using kinesis = await startKinesalite();
  const [, , ...args] = made.commands[0]!;
  await kinesis.createStream("changes", 1);
  await using program = await Pg2kinesis.start(args, { env: kinesis.env });
  await program.waitForLog(/following slot/);
  assertEquals(await program.stop(), 0);
  assert(!/ WARNING /.test(program.stderr), program.stderr);
});

Deno.test("an UPDATE that moves a row to another part needs REPLICA IDENTITY FULL for what is stored out of line", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(servers[0]!);
  const note = "md5(n::text) || repeat(md5((n + 1)::text), 200)";
  await db.sql(
    `create table t (id int primary key, note text); alter table t alter note set storage external;
    create table f (id int primary key, note text); alter table f alter note set storage external;
    alter table f replica identity full`,
  );
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const made = await plan([...flagsFor(db, stream), "--parts", "2", "-f", "JSON"]);
  await carryOut(db, made);
  await db.sql(`insert into t select n, ${note} from generate_series(1, 20) n;
    insert into f select * from t; update t set id = id + 100; update f set id = id + 100`);
  await using programs = new AsyncDisposableStack();
  for (const [, , ...args] of made.commands) {
    programs.use(await Pg2kinesis.start(args, { env: kinesis.env }));
  }
  await waitForSlots(db, [`${db.slot}_0`, `${db.slot}_1`]);
  const records = (await readBack(kinesis.client, stream)).records.map(({ text }) =>
    JSON.parse(text)
  );
  const arrived = records.filter(({ op, key }) => op === "insert" && key.id > 100);
  assertEquals(arrived.length, 40);
  const acrossParts = arrived.filter(({ moved_from }) => moved_from === undefined);
  const tables = new Set(acrossParts.map(({ table }) => table));
  assertEquals(tables.size, 2);
  for (const { table, unchanged, after } of acrossParts) {
    assertEquals(
      [table, unchanged, after.note?.length],
      table === "t" ? ["t", ["note"], undefined] : ["f", undefined, 6432],
    );
  }
});

Deno.test("parts that begin with a backfill read each row once", async () => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(servers[0]!);
  await db.sql(`create table orders (id int primary key, note text);
    insert into orders select n, 'note' from generate_series(1, 500) n;
    create table days (day date, id int, primary key (id, day)) partition by range (day);
    create table monday partition of days for values from ('2026-11-23') to ('2026-11-24');
    insert into days select '2026-11-23', n from generate_series(1, 200) n`);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const made = await plan([
    ...flagsFor(db, stream),
    ...["--parts", "2", "-f", "JSON", "--backfill", "--partition-root"],
  ]);
  assert(!made.statements.some((statement) => /slot/.test(statement)), made.statements.join("\n"));
  await carryOut(db, made);
  await using programs = new AsyncDisposableStack();
  for (const [, , ...args] of made.commands) {
    const program = programs.use(await Pg2kinesis.start(args, { env: kinesis.env }));
    await program.waitForLog(
      /backfill create-slot has ended/,
    );
  }
  await waitForSlots(db, [`${db.slot}_0`, `${db.slot}_1`]);
  const read = (await readBack(kinesis.client, stream)).records.map(({ text }) => JSON.parse(text))
    .filter(({ op }) => op === "read").map(({ table, key }) => `${table} ${key.id}`);
  assertEquals([read.length, new Set(read).size], [700, 700]);
});
