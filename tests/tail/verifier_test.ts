import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseHashKey } from "../../src/kinesis/stream/hash_key.ts";
import type { Shard } from "../../src/kinesis/stream/shard_map.ts";
import { KeyHistories, type NamedChange } from "../../src/tail/key_history.ts";
import { fingerprint, RecentFingerprints } from "../../src/tail/recent_fingerprints.ts";
import { SequenceGaps } from "../../src/tail/sequence_gaps.ts";
import type { TailedRecord } from "../../src/tail/user_record.ts";
import { Verifier, type VerifierCounts } from "../../src/tail/verifier.ts";
import { hashKeyOf } from "../support/read_back.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { change, type UserRecord } from "../support/aggregated_stream.ts";

const HALF = 1n << 127n;
const shardOf = (id: string, start: bigint, end: bigint): Shard => ({
  id,
  start: parseHashKey(String(start)),
  end: parseHashKey(String(end)),
  startText: String(start),
  open: true,
});
const LOW = shardOf("low", 0n, HALF - 1n);
const HIGH = shardOf("high", HALF, (1n << 128n) - 1n);
const WHOLE = shardOf("whole", 0n, (1n << 128n) - 1n);
const homeOf = (key: string) => hashKeyOf(key) < HALF ? LOW : HIGH;
const awayFrom = (key: string) => homeOf(key) === LOW ? HIGH : LOW;

function recordOf({ key, data, hash }: UserRecord, subSequence?: number): TailedRecord {
  return {
    shardId: "shard",
    sequenceNumber: "495",
    subSequence,
    partitionKey: key,
    explicitHashKey: hash,
    arrivedAtMs: 0,
    data: typeof data === "string" ? new TextEncoder().encode(data) : data,
  };
}

/** Verifies records; gives the counts that are not 0, the findings, and what was not dropped. */
function verify(
  records: readonly (readonly [UserRecord, Shard?, number?])[],
  expectAll = false,
) {
  const told: string[] = [];
  const verifier = new Verifier({ expectAll, tell: (finding) => told.push(finding) });
  const kept = records.filter(([record, shard = WHOLE, sub]) =>
    verifier.take([recordOf(record, sub)], shard).length > 0
  ).map(([record]) => record);
  verifier.finish();
  const counts: Partial<VerifierCounts> = Object.fromEntries(
    Object.entries(verifier.counts).filter(([, count]) => count > 0),
  );
  return { counts, told, kept, findings: verifier.findings };
}

const one = (...pairs: [string, number][]) =>
  pairs.map((pair): readonly [UserRecord] => [change(1, pair)]);

Deno.test("Verifier drops duplicates, which may follow later changes, and finds nothing wrong", () => {
  const records = one(["0/10", 0], ["0/10", 3], ["0/10", 3], ["1/0", 0], ["0/10", 0], ["0/10", 3], [
    "1/0",
    0,
  ], ["1/0", 1]);
  const { counts, told, kept } = verify(records);
  assertEquals(counts, { verified: 8, duplicates: 4 });
  assertEquals(told, []);
  assertEquals(kept, [0, 1, 3, 7].map((i) => records[i]![0]));
});

Deno.test("Verifier finds a change that comes after a later one, once", () => {
  const { counts, told, kept } = verify(
    one(["0/10", 0], ["0/30", 0], ["0/20", 5], ["0/20", 5], ["0/40", 0]),
  );
  assertEquals(counts, { verified: 5, duplicates: 1, late: 1 });
  assertEquals(kept.length, 4);
  assertEquals(told, [
    'shard 495: the pair (0/20, 5) of "public.t:1" comes after a later change',
  ]);
});

Deno.test("Verifier compares each partition key with itself, through the shards it lay in", () => {
  const records = [1, 2, 3, 4].map((id) => change(id, ["0/10", 9 - id]));
  const children = (key: string) => [shardOf("a", 0n, HALF / 2n), homeOf(key)];
  assertEquals(verify(records.map((r) => [r])).counts, { verified: 4 });
  const [a, b] = children("public.t:1");
  const { counts } = verify([
    [change(1, ["0/10", 0]), a],
    [change(1, ["0/20", 0]), b],
    [change(1, ["0/10", 0]), b],
  ]);
  assertEquals(counts.duplicates ?? 0, hashKeyOf("public.t:1") <= HALF / 2n ? 1 : 0);
  assertEquals(counts.late, undefined);
});

Deno.test("Verifier takes the copies of a TRUNCATE in other shards for what they are", () => {
  const key = "public.t";
  const truncate = (pair: [string, number], shard: Shard): readonly [UserRecord, Shard, number] => [
    { key, data: change(0, pair, { op: "truncate" }).data, hash: shard.startText },
    shard,
    0,
  ];
  const row = (pair: [string, number]): readonly [UserRecord, Shard, number] => [
    { key, data: change(0, pair).data },
    homeOf(key),
    1,
  ];
  const { counts } = verify([
    truncate(["0/20", 0], awayFrom(key)),
    truncate(["0/40", 0], awayFrom(key)),
    row(["0/10", 0]),
    truncate(["0/20", 0], homeOf(key)),
    row(["0/30", 0]),
    truncate(["0/40", 0], homeOf(key)),
  ]);
  assertEquals(counts, { verified: 6 });
});

Deno.test("Verifier finds user records of aggregates that lie outside of their shard, and nowhere else", () => {
  const record = change(1, ["0/10", 0]);
  const away = [record, awayFrom(record.key), 0] as const;
  const home = [record, homeOf(record.key), 1] as const;
  const outside = verify([away]);
  assertEquals(outside.counts, { misplaced: 1 });
  assertEquals(outside.kept, []);
  assertMatch(
    outside.told[0]!,
    /^shard 495\/0: the aggregate with this record of "public\.t:1" lies/,
  );
  assertEquals(verify([away, home]).counts, { verified: 1, passedOver: 1 });
  assertEquals(verify([home, away]).counts, { verified: 1, passedOver: 1 });
  const later = change(1, ["0/20", 0]);
  assertEquals(verify([away, [later, homeOf(later.key), 1]]).counts, { verified: 1, misplaced: 1 });
  // Kinesis placed a plain one itself, perhaps by an explicit hash key that it does not tell.
  assertEquals(verify([[record, awayFrom(record.key)]]).counts, { verified: 1 });
  const explicit = { ...record, hash: awayFrom(record.key).startText };
  assertEquals(verify([[explicit, awayFrom(record.key), 0]]).counts, { verified: 1 });
  assertEquals(verify([[explicit, homeOf(record.key), 0]]).counts.misplaced, 1);
  const other = { key: "k".repeat(300), data: "CSV" };
  assertEquals(verify([[other, homeOf(other.key), 0]]).counts, { other: 1 });
  assertEquals(verify([[other, awayFrom(other.key), 0]]).counts, { misplaced: 1 });
});

Deno.test("Verifier leaves a whole aggregate out when one of its records lies outside, as KCL does", () => {
  const keys = [1, 2, 3, 4, 5, 6].map((id) => change(id, ["0/10", id]));
  const records = keys.map((record, sub) => recordOf(record, sub));
  const verifier = new Verifier({ expectAll: false, tell: () => {} });
  assertEquals(verifier.take(records, LOW), []);
  assertEquals(verifier.counts.passedOver, 6);
  for (const record of records) verifier.take([record], homeOf(record.partitionKey));
  verifier.finish();
  const { passedOver, verified } = verifier.counts;
  assertEquals([passedOver, verified, verifier.findings], [6, 6, 0]);
});

Deno.test("Verifier finds gaps in seq only where all are expected, whatever the order", () => {
  const records = ([["0/10", 0], ["0/10", 2], ["0/10", 1], ["0/20", 1], ["0/20", 4], ["0/20", 2], [
    "0/30",
    0,
  ]] as const).map((pair, id): readonly [UserRecord] => [change(id, pair)]);
  assertEquals(verify(records).counts, { verified: 7 });
  const { counts, told, findings } = verify(records, true);
  assertEquals(counts, { verified: 7, gaps: 1 });
  assertEquals(told, ["transaction 0/20: no change with seq 0, 3"]);
  assertEquals(findings, 1);
});

Deno.test("Verifier says of test_decoding's changes what can be said", () => {
  const inXid = (xid: number, seq: number): readonly [UserRecord] => [
    change(1, ["", seq], { commit_lsn: undefined, xid }),
  ];
  const { counts, told } = verify([
    inXid(9, 0),
    inXid(9, 1),
    inXid(7, 4),
    inXid(7, 3),
    inXid(9, 1),
    inXid(7, 5),
  ], true);
  assertEquals(counts, { verified: 6, unordered: 6, duplicates: 1, late: 1, gaps: 1 });
  assertEquals(told, [
    'shard 495: (xid 7, seq 3) of "public.t:1" comes after a later change',
    "transaction with xid 7: no change with seq 0 to 2",
  ]);
});

Deno.test("Verifier counts what has no name, and what is not of the JSON format", () => {
  const others = [
    "0,CDC,731,public.t,INSERT,1",
    "{",
    '{"v":2,"op":"insert","xid":1,"commit_lsn":"0/1","seq":0}',
    '{"v":1,"op":"insert","xid":1,"commit_lsn":"0/1","seq":-1}',
    '{"v":1,"op":"insert","xid":1,"commit_lsn":"x","seq":0}',
    '{"v":1,"op":"insert"}',
    "{}",
    "",
    Uint8Array.of(0x7B, 0xFF),
  ].map((data): readonly [UserRecord] => [{ key: "k", data }]);
  assertEquals(verify(others).counts, { other: others.length });
  const message = { key: "k", data: '{"v":1,"op":"message","lsn":"0/1","prefix":"p"}' };
  assertEquals(verify([[message], [message]]).counts, { verified: 2, unnamed: 2 });
});

Deno.test("Verifier tells twenty findings of a kind, and counts them all", () => {
  const records = Array.from({ length: 50 }, (_, i) => change(1, [`0/${50 - i}0`, 0]));
  const { told, counts } = verify(records.map((record) => [record]));
  assertEquals([told.length, counts.late], [20, 49]);
});

const named = (lsn: number, seq = 0, timeline = 1): NamedChange => ({
  kind: "ordered",
  timeline,
  commitLsn: BigInt(lsn),
  seq,
});

Deno.test("KeyHistories is what a set of all pairs would say", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const histories = new KeyHistories();
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  for (let i = 0; i < 100_000; i++) {
    const key = `key ${Math.floor(random() * 5)}`;
    const top = highest.get(key) ?? -1;
    const pair = random() < 0.6
      ? top + 1 + Math.floor(random() * 3)
      : top - Math.floor(random() ** 6 * 5_000);
    if (pair < 0) continue;
    const name = `${key} ${pair}`;
    const expected = seen.has(name) ? "duplicate" : pair > top ? "new" : "late";
    const found = histories.add(key, named(pair >> 3, pair & 7));
    assertEquals(found, expected, `seed ${seed}, step ${i}`);
    seen.add(name);
    highest.set(key, Math.max(top, pair));
  }
  assertEquals(histories.keys, 5);
});

Deno.test("KeyHistories takes what is older than its memory for a duplicate, and says so", () => {
  const histories = new KeyHistories(10_000);
  for (let i = 0; i < 25_000; i++) histories.add(`key ${i % 2}`, named(i));
  assertEquals(histories.add("key 0", named(4)), "old");
  assertEquals(histories.add("key 0", named(24_000)), "duplicate");
  assertEquals(histories.has("key 0", named(24_000)), true);
  assertEquals(histories.has("key 1", named(24_000)), false);
  assertEquals(histories.add("key 0", named(30_000)), "new");
  assertEquals(histories.add("key 0", named(25_000)), "late");
});

Deno.test("Verifier expects no seq of what a backfill read, and verifies its order and content", () => {
  const read = (id: number, pair: [string, number], more: Record<string, unknown> = {}) =>
    change(id, pair, { op: "read", request: "r1", ...more });
  const end = (pair: [string, number]) => ({
    ...change(0, pair, { op: "backfill", request: "r1", rows: 3, complete: true }),
    key: "public.t",
  });
  // The mark at 0/20 was stored in part before a kill; its rows are read again with the one at 0/40.
  const good: (readonly [UserRecord])[] = [
    [change(1, ["0/10", 0])],
    [read(2, ["0/20", 1])],
    [read(2, ["0/20", 1])],
    [change(2, ["0/30", 0])],
    [read(1, ["0/40", 0])],
    [read(3, ["0/40", 2])],
    [end(["0/40", 7])],
  ];
  const { counts, told } = verify(good, true);
  assertEquals(told, []);
  assertEquals(counts, { verified: 7, ofBackfills: 5, duplicates: 1 });

  const late = verify([...good, [read(2, ["0/28", 0])]], true);
  assertMatch(late.told.join(), /the pair \(0\/28, 0\) of "public.t:2" comes after a later change/);
  const differing = verify([...good, [read(3, ["0/40", 2], { after: { id: 4 } })]], true);
  assertMatch(differing.told.join(), /came before with other content/);
  // The changes themselves are expected as ever.
  assertEquals(verify([...good, [change(9, ["0/50", 1])]], true).counts.gaps, 1);
  const { commit_lsn: _, ...unordered } = JSON.parse(String(read(5, ["0/60", 3])["data"]));
  const plain = { key: "public.t:5", data: JSON.stringify(unordered) };
  assertEquals(verify([[plain]], true).counts, { verified: 1, ofBackfills: 1, unordered: 1 });
});

Deno.test("KeyHistories sees the order of unordered names within a transaction only", () => {
  const histories = new KeyHistories();
  const names = [[5, 2], [5, 3], [4, 0], [4, 7], [4, 6], [4, 6], [5, 3], [6, 0]] as const;
  assertEquals(
    names.map(([xid, seq]) => histories.add("k", { kind: "unordered", timeline: 1, xid, seq })),
    ["new", "new", "new", "new", "late", "duplicate", "duplicate", "new"],
  );
});

Deno.test("RecentFingerprints remembers exactly what it was given last", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  let forgotten = 0;
  const recent = new RecentFingerprints(() => forgotten++, 5_000);
  const given: number[] = [];
  for (let i = 0; i < 18_000; i++) {
    // Numbered: of 18,000 numbers that come from 32 bits, one in thirty runs draws one twice.
    const print = fingerprint(`text ${i} ${Math.floor(random() * 1e12)}`);
    given.push(print);
    recent.add(print);
  }
  assertEquals(forgotten, 3);
  const kept = given.map((print) => recent.has(print));
  assert(kept.slice(-5_000).every((has) => has), `seed ${seed}`);
  assert(!kept.slice(0, 5_000).some((has) => has), `seed ${seed}`);
  assert(!recent.has(fingerprint("another")));
});

Deno.test("fingerprint tells texts apart that differ by little", () => {
  const prints = new Set<number>();
  for (let i = 0; i < 300_000; i++) prints.add(fingerprint(`${i} 0 public.t:${i % 7}`));
  assertEquals(prints.size, 300_000);
  for (const print of prints) assert(Number.isSafeInteger(print) && print >= 0);
});

Deno.test("SequenceGaps is what a set of all numbers would say", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  for (let round = 0; round < 300; round++) {
    const gaps = new SequenceGaps<string>();
    const seen = new Set<number>();
    const size = 1 + Math.floor(random() * 40);
    const count = Math.floor(random() * 2 * size);
    for (let i = 0; i <= count; i++) {
      // Mostly ascending, as it is in the stream.
      const seq = random() < 0.7 ? Math.min(i, size) : Math.floor(random() * size);
      gaps.add("t", seq);
      seen.add(seq);
    }
    const missing: number[] = [];
    for (let seq = 0; seq < Math.max(...seen); seq++) if (!seen.has(seq)) missing.push(seq);
    const found = [...gaps.missing()].flatMap(({ ranges }) =>
      ranges.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, i) => first + i)
      )
    );
    assertEquals(found, missing, `seed ${seed}, round ${round}`);
  }
  assert([...new SequenceGaps().missing()].length === 0);
});

Deno.test("KeyHistories takes a change of a later timeline for a later one, whatever its LSN", () => {
  const histories = new KeyHistories();
  const add = (lsn: number, seq: number, timeline: number) =>
    histories.add("k", named(lsn, seq, timeline));
  assertEquals(
    [add(0x900, 5, 1), add(0x500, 0, 2), add(0x500, 0, 2), add(0x500, 1, 2), add(0x900, 4, 1)],
    ["new", "new", "duplicate", "new", "late"],
  );
  const unordered = (xid: number, timeline: number) =>
    histories.add("m", { kind: "unordered", timeline, xid, seq: 0 });
  assertEquals([unordered(7, 1), unordered(7, 2), unordered(7, 1)], ["new", "new", "duplicate"]);
});

Deno.test("Verifier takes the record at a transaction's end once a shard, whatever number of shards it names", () => {
  const end = (lsn: string, seq: number, shards: number): UserRecord => ({
    key: "transaction",
    data: `{"v":1,"op":"commit","xid":7,"lsn":"${lsn}","commit_lsn":"${lsn}","seq":${seq},` +
      `"timeline":1,"ts":"2026-11-22T08:01:02.123456Z","changes":2,"tables":{"public.t":2},"shards":${shards},"streams":1}`,
  });
  const all = [end("0/10", 2, 2), end("0/20", 1, 2)];
  const inBoth = all.flatMap((record) =>
    [LOW, HIGH].map((shard): readonly [UserRecord, Shard] => [record, shard])
  );
  const { counts, told } = verify([...inBoth, [end("0/10", 2, 3), LOW], [end("0/20", 1, 3), LOW]]);
  assertEquals(told, []);
  assertEquals([counts.verified, counts.duplicates], [6, 2]);
  const late = verify([[end("0/20", 1, 2), LOW], [end("0/10", 2, 2), LOW]]);
  assertEquals(late.counts.late, 1);
});

Deno.test("Verifier holds each of several streams to its own order, and counts their transactions together", () => {
  const told: string[] = [];
  const verifier = new Verifier({ expectAll: true, tell: (finding) => told.push(finding) });
  const take = (stream: string, pair: [string, number]) =>
    verifier.take([{ ...recordOf(change(1, pair)), stream }], { ...WHOLE, id: `${stream} whole` })
      .length;
  // The same key in two streams, as after a route was changed, is read side by side.
  const taken = [take("a", ["0/20", 0]), take("b", ["0/10", 0]), take("b", ["0/20", 1])];
  assertEquals(taken, [1, 1, 1]);
  // What names a change is stored once in each.
  assertEquals([take("b", ["0/20", 0]), take("a", ["0/20", 0])], [1, 0]);
  take("a", ["0/20", 3]);
  verifier.finish();
  assertEquals(verifier.counts.duplicates, 1);
  assertEquals(told, [
    "stream b, shard 495: the pair (0/20, 0) of " + JSON.stringify(change(1, ["0/20", 0]).key) +
    " comes after a later change",
    "transaction 0/20: no change with seq 2",
  ]);
});
