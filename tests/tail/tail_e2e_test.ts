import { assert, assertEquals, assertMatch } from "@std/assert";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis, programCommand } from "../support/pg2kinesis.ts";
import { waitFor } from "../support/wait.ts";
import {
  aggregateOf,
  change,
  merge,
  openShards,
  putAggregated,
  putInto,
  putPlain,
  split,
} from "../support/aggregated_stream.ts";

const KEYS = 40;

/** Versions 0 to `versions` of 40 rows, with a split after each three and a merge at the end. */
async function fillWithReshards(kinesis: TestKinesis, stream: string, versions: number) {
  await kinesis.createStream(stream, 2);
  for (let version = 0; version < versions; version++) {
    const lsn = `0/${(0x1000 + version).toString(16).toUpperCase()}`;
    await putAggregated(
      kinesis,
      stream,
      Array.from({ length: KEYS }, (_, id) => change(id, [lsn, id], { version })),
    );
    const open = await openShards(kinesis, stream);
    if (version % 3 === 1 && open.length < 5) await split(kinesis, stream, open[version % 2]!);
  }
  const open = await openShards(kinesis, stream);
  open.sort((a, b) => a.start < b.start ? -1 : 1);
  await merge(kinesis, stream, open.slice(0, 2));
  await putAggregated(
    kinesis,
    stream,
    Array.from({ length: KEYS }, (_, id) => change(id, ["0/F000", id], { version: versions })),
  );
}

const linesOf = (stdout: string) => stdout.split("\n").slice(0, -1);

Deno.test("tail reads an aggregated stream after splits and a merge, each key in order", async () => {
  await using kinesis = await startKinesalite();
  await fillWithReshards(kinesis, "s", 8);
  assert((await openShards(kinesis, "s")).length >= 3);
  const { code, stdout, stderr } = await Pg2kinesis.run(["tail", "-k", "s"], { env: kinesis.env });
  assertEquals(code, 0, stderr);
  const versions = new Map<number, number[]>();
  for (const line of linesOf(stdout)) {
    const { key, version } = JSON.parse(line);
    versions.set(key.id, [...versions.get(key.id) ?? [], version]);
  }
  assertEquals(versions.size, KEYS);
  for (const [id, seen] of versions) assertEquals(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8], `row ${id}`);
  assertMatch(stderr, /INFO read 360 user records in \d+ records/);

  const verified = await Pg2kinesis.run(["tail", "-k", "s", "--verify", "--expect-all"], {
    env: kinesis.env,
  });
  assertEquals(verified.code, 0, verified.stderr);
  assertEquals(linesOf(verified.stdout).length, 360);
  assertMatch(verified.stderr, /no findings: 360 changes of 40 partition keys verified; 0 dup/);
});

Deno.test("tail --follow follows a shard into its children, and ends well when interrupted", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  await putAggregated(kinesis, "s", [change(1, ["0/10", 0], { n: 1 })]);
  await using program = await Pg2kinesis.start(["tail", "-k", "s", "--follow"], {
    env: kinesis.env,
  });
  const shown = (count: number) =>
    waitFor(() => linesOf(program.stdout).length >= count, {
      what: `${count} lines`,
      found: () => program.stdout + program.stderr,
    });
  await shown(1);
  await putAggregated(kinesis, "s", [change(1, ["0/20", 0], { n: 2 })]);
  const [shard] = await openShards(kinesis, "s");
  await split(kinesis, "s", shard!);
  await putAggregated(kinesis, "s", [1, 2, 3, 4].map((id) => change(id, ["0/30", id], { n: 3 })));
  await shown(6);
  program.signal("SIGINT");
  assertEquals(await program.waitForExit(), 0, program.stderr);
  const lines = linesOf(program.stdout).map((line) => JSON.parse(line));
  assertEquals(lines.length, 6);
  assertEquals(lines.filter(({ key }) => key.id === 1).map(({ n }) => n), [1, 2, 3]);
});

Deno.test("tail --from latest shows what comes, --from a time what came since, --shard one shard", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 2);
  const starts = (await openShards(kinesis, "s")).map(({ start }) => start);
  const putIntoBoth = async (text: string) => {
    for (const start of starts) await putInto(kinesis, "s", start, new TextEncoder().encode(text));
  };
  await putIntoBoth("before");
  const args = ["tail", "-k", "s", "--from"];
  await using latest = await Pg2kinesis.start([...args, "latest", "--follow"], {
    env: kinesis.env,
  });
  await latest.waitForLog(/reading 2 shards of stream s in us-east-1/);
  await waitFor(async () => {
    // Until its iterators are there, what is put is older than they are.
    await putIntoBoth("after");
    return linesOf(latest.stdout).length > 0;
  }, { what: "a line", intervalMs: 100 });
  assertEquals(new Set(linesOf(latest.stdout)), new Set(["after"]));
  assertEquals(await latest.stop(), 0);

  const jsonOf = async (...flags: string[]) => {
    const { stdout } = await Pg2kinesis.run([...flags, "--json"], { env: kinesis.env });
    return linesOf(stdout).map((line) => JSON.parse(line));
  };
  // Kinesalite never answers for a time after which a shard has nothing.
  const records = await jsonOf(...args, "2020-01-01");
  assertEquals(records.filter(({ data }) => data === "before").length, 2);
  const [first] = records.filter(({ data }) => data === "after").map(({ arrival }) => arrival)
    .sort();
  const since = await jsonOf(...args, first);
  assertEquals(new Set(since.map(({ data }) => data)), new Set(["after"]));
  assertEquals(since.length, records.length - 2);
  const shards = await Promise.all(
    (await openShards(kinesis, "s")).map(async ({ id }) => {
      const own = await jsonOf("tail", "-k", "s", "--shard", id);
      assertEquals(new Set(own.map(({ shard }) => shard)), new Set([id]));
      return own.length;
    }),
  );
  assertEquals(shards[0]! + shards[1]!, records.length);
});

Deno.test("tail writes a line for each record, whatever is in it, and --json is exact", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  const data = [
    "plain é 日本 😀\ttab \\n",
    "two\nlines\r\nand \x1b[31mcolour\x1b[0m \u2028",
    Uint8Array.of(0xFF, 0x41, 0xC3, 0xA9, 0xF3, 0x89),
    "",
  ];
  await putAggregated(kinesis, "s", data.map((data, i) => ({ key: `k${i}`, data })));
  await putInto(kinesis, "s", 0n, Uint8Array.of(0xF3, 0x89, 0x9A, 0xC2, 1), "plain key");
  const text = await Pg2kinesis.run(["tail", "-k", "s"], { env: kinesis.env });
  assertEquals(linesOf(text.stdout), [
    "plain é 日本 😀\ttab \\n",
    "two\\nlines\\r\\nand \\x1b[31mcolour\\x1b[0m \\u2028",
    "\\xffAé\\xf3\\x89",
    "",
    "\\xf3\\x89\\x9a\\xc2\\x01",
  ]);
  const { stdout } = await Pg2kinesis.run(["tail", "-k", "s", "--json"], { env: kinesis.env });
  const records = linesOf(stdout).map((line) => JSON.parse(line));
  assertEquals(records.map(({ data, encoding }) => [data, encoding]), [
    [data[0], undefined],
    [data[1], undefined],
    ["/0HDqfOJ", "base64"],
    ["", undefined],
    ["84mawgE=", "base64"],
  ]);
  assertEquals(records.map((record) => record.sub_sequence), [0, 1, 2, 3, undefined]);
  assertEquals(records.map((record) => record.partition_key), [
    ...["k0", "k1", "k2", "k3"],
    "plain key",
  ]);
  for (const record of records) {
    assertEquals(record.shard, "shardId-000000000000");
    assertMatch(record.sequence_number, /^\d{50,}$/);
    assertMatch(record.arrival, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  }
});

Deno.test("tail takes a broken pipe for a clean end", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  const line = "x".repeat(1000);
  for (let i = 0; i < 5; i++) {
    const records = Array.from({ length: 500 }, (_, n) => ({ key: `k${n}`, data: line }));
    await putInto(kinesis, "s", 0n, aggregateOf(records));
  }
  const { command, args } = programCommand(["tail", "-k", "s", "--follow"]);
  const child = new Deno.Command("sh", {
    args: ["-c", `{ "$0" "$@"; echo "code $?" >&2; } | head -n 3`, command, ...args],
    env: kinesis.env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { stdout, stderr } = await child.output();
  const text = new TextDecoder();
  assertEquals(text.decode(stdout), `${line}\n`.repeat(3));
  assertMatch(text.decode(stderr), /code 0\n$/);
});

const BAD: readonly (readonly [string[], Record<string, string>, RegExp])[] = [
  [
    ["-k", "nothing"],
    {},
    /stream nothing \(us-east-1\).*no such stream.*--stream-name and the region$/m,
  ],
  [
    ["--shard", "shardId-000000000009"],
    {},
    /has no shard shardId-000000000009.*shardId-000000000000/,
  ],
  [["--from", "2999-01-01"], {}, /--from 2999-01-01T00:00:00\.000Z lies in the future/],
  [[], { AWS_REGION: "" }, /no AWS region found/],
];

Deno.test("tail says in one line why it cannot read", async (t) => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("pg2kinesis", 1);
  for (const [args, env, message] of BAD) {
    await t.step(args.join(" ") || JSON.stringify(env), async () => {
      const { code, stdout, stderr } = await Pg2kinesis.run(["tail", ...args], {
        env: { ...kinesis.env, ...env },
      });
      assertEquals([code, stdout], [args.includes("--from") ? 2 : 1, ""], stderr);
      assertEquals(stderr.trimEnd().split("\n").filter((l) => l.includes("ERROR")).length, 1);
      assertMatch(stderr, message);
    });
  }
});

Deno.test("tail --verify drops duplicates, and finds a planted reordering, a planted gap and a misplaced record", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 2);
  const verify = (...flags: string[]) =>
    Pg2kinesis.run(["tail", "-k", "s", "--verify", ...flags], { env: kinesis.env });
  const transaction = (lsn: string, seqs: number[]) =>
    seqs.map((seq) => change(seq % 10, [lsn, seq]));
  await putAggregated(kinesis, "s", transaction("0/10", [0, 1, 2, 3, 4]));
  await putAggregated(kinesis, "s", transaction("0/20", [0, 1, 2, 3]));
  await putAggregated(kinesis, "s", transaction("0/10", [0, 1, 2, 3, 4]));
  await putAggregated(kinesis, "s", transaction("0/20", [0, 1, 2, 3]));
  const [open, closed] = await openShards(kinesis, "s");
  await split(kinesis, "s", open!);
  await putAggregated(kinesis, "s", transaction("0/20", [2, 3, 4]));

  const duplicates = await verify("--expect-all");
  assertEquals(duplicates.code, 0, duplicates.stderr);
  assertMatch(
    duplicates.stderr,
    /no findings: 21 changes of 5 partition keys verified; 11 duplicates dropped/,
  );
  assertEquals(
    linesOf(duplicates.stdout).map((line) => JSON.parse(line).key.id).sort(),
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
  );

  await putAggregated(kinesis, "s", transaction("0/40", [0, 1, 3]));
  assertEquals((await verify()).code, 0);
  const gap = await verify("--expect-all");
  assertEquals(gap.code, 1);
  assertMatch(gap.stderr, /WARNING transaction 0\/40: no change with seq 2\n/);
  assertMatch(gap.stderr, /ERROR 1 finding: 0 out of order, 0 outside of their shards, 1 trans/);

  await putAggregated(kinesis, "s", transaction("0/30", [3]));
  const reordering = await verify();
  assertEquals(reordering.code, 1);
  assertMatch(reordering.stderr, /the pair \(0\/30, 3\) of "public\.t:3" comes after a later/);
  assertMatch(reordering.stderr, /ERROR 1 finding: 1 out of order, 0 outside/);

  const away = [5, 6, 7, 8].map((id) => change(id, ["0/50", id]));
  await putInto(kinesis, "s", closed!.start, aggregateOf(away));
  const misplaced = await verify();
  assertEquals(misplaced.code, 1);
  assertMatch(misplaced.stderr, /lies across shards, and it is stored nowhere else; a consumer/);
  assertMatch(misplaced.stderr, /ERROR 5 findings: 1 out of order, 4 outside of their shards/);

  await putAggregated(kinesis, "s", away);
  const again = await verify();
  assertMatch(again.stderr, /ERROR 1 finding: 1 out of order, 0 outside/);
  assertMatch(again.stderr, /4 left out that a reshard left behind/);
});

Deno.test("tail --verify says when there is nothing that it could verify", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("s", 1);
  const empty = await Pg2kinesis.run(["tail", "-k", "s", "--verify"], { env: kinesis.env });
  assertEquals(empty.code, 0, empty.stderr);
  assertMatch(empty.stderr, /nothing was read that could be verified/);
  await putPlain(kinesis, "s", { key: "k", data: "0,CDC,731,public.t,INSERT,1" });
  const { code, stdout, stderr } = await Pg2kinesis.run(["tail", "-k", "s", "--verify"], {
    env: kinesis.env,
  });
  assertEquals([code, linesOf(stdout).length], [1, 1]);
  assertMatch(stderr, /nothing could be verified: of 1 record none is of the JSON format/);
});

Deno.test("tail --verify says after the first records what it cannot verify of their format", async () => {
  await using kinesis = await startKinesalite();
  await kinesis.createStream("csv", 1);
  await kinesis.createStream("json", 1);
  await putPlain(kinesis, "csv", { key: "public.t:1", data: "0,CDC,731,public.t,INSERT,1" });
  const unordered = { v: 1, op: "insert", xid: 7, lsn: "0/1", seq: 0, timeline: 1 };
  await putPlain(kinesis, "json", { key: "public.t:1", data: JSON.stringify(unordered) });
  for (
    const [stream, remark] of [
      ["csv", /WARNING the first records are not of the JSON format/],
      ["json", /WARNING the first records have no commit_lsn \(JSON from test_decoding\)/],
    ] as const
  ) {
    await using program = await Pg2kinesis.start(["tail", "-k", stream, "--verify", "-f"], {
      env: kinesis.env,
    });
    await program.waitForLog(remark);
    await program.stop();
  }
});
