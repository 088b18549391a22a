import { assertEquals } from "@std/assert";
import { parseHashKey } from "../../src/kinesis/stream/hash_key.ts";
import type { Shard } from "../../src/kinesis/stream/shard_map.ts";
import { Verifier, type VerifierCounts } from "../../src/tail/verifier.ts";
import { hashKeyOf } from "../support/read_back.ts";
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
const MERGED = shardOf("merged", 0n, (1n << 128n) - 1n);
const IDS = Array.from({ length: 40 }, (_, id) => id);
const [LOW_ID, OTHER_LOW_ID] = IDS.filter((id) => hashKeyOf(`public.t:${id}`) < HALF);
const [HIGH_ID, OTHER_HIGH_ID] = IDS.filter((id) => hashKeyOf(`public.t:${id}`) >= HALF);

const parentsOf = (shard: Shard) => shard === MERGED ? [LOW, HIGH] : [];
const row = (id: number | undefined, transaction: number) =>
  change(id!, [`0/${transaction.toString(16)}`, 0]);
const truncate = (transaction: number, shard: Shard): UserRecord => ({
  key: "public.t",
  data: change(0, [`0/${transaction.toString(16)}`, 0], { op: "truncate" }).data,
  hash: shard.startText,
});

/** Verifies Kinesis records, each of user records: aggregates, unless `isPlain`. */
function verify(
  puts: readonly (readonly [Shard, ...UserRecord[]])[],
  { expectAll = false, isPlain = false } = {},
) {
  const told: string[] = [];
  const verifier = new Verifier({ expectAll, tell: (finding) => told.push(finding) });
  const kept = puts.map(([shard, ...records], i) =>
    verifier.take(
      records.map(({ key, data, hash }, sub) => ({
        shardId: shard.id,
        sequenceNumber: String(i),
        subSequence: isPlain ? undefined : sub,
        partitionKey: key,
        explicitHashKey: isPlain ? undefined : hash,
        arrivedAtMs: 0,
        data: typeof data === "string" ? new TextEncoder().encode(data) : data,
      })),
      shard,
      parentsOf,
    ).length
  );
  verifier.finish();
  const counts: Partial<VerifierCounts> = Object.fromEntries(
    Object.entries(verifier.counts).filter(([name, count]) => count > 0 && name !== "verified"),
  );
  return { counts, told, kept, findings: verifier.findings };
}

Deno.test("Verifier finds one pair with two contents, in its place and behind later changes", () => {
  const first = row(1, 16);
  const other = change(1, ["0/10", 0], { after: { id: 1, note: "another" } });
  const again = verify([[MERGED, first], [MERGED, other]]);
  assertEquals(again.counts, { differing: 1 });
  assertEquals(again.told, [
    'merged 1/0: the pair (0/10, 0) of "public.t:1" came before with other content',
  ]);
  assertEquals(verify([[MERGED, first], [MERGED, row(1, 32)], [MERGED, other]]).counts, {
    differing: 1,
  });
  assertEquals(verify([[MERGED, first], [MERGED, row(1, 32)], [MERGED, first]]).counts, {
    duplicates: 1,
  });
});

Deno.test("Verifier permits a TRUNCATE of a merged lane that was behind, and gives it again where it removes rows", () => {
  const { counts, kept, told } = verify([
    [LOW, truncate(5, LOW), row(LOW_ID, 6)],
    [MERGED, truncate(8, LOW), row(LOW_ID, 9)],
    // The high lane was throttled.
    [MERGED, row(HIGH_ID, 4)],
    [MERGED, truncate(5, HIGH)],
    [MERGED, row(HIGH_ID, 7)],
    [MERGED, truncate(8, HIGH)],
    [MERGED, row(HIGH_ID, 10)],
    [MERGED, truncate(8, HIGH)],
  ]);
  assertEquals(told, []);
  assertEquals(counts, { duplicates: 1 });
  // The second TRUNCATE of transaction 8 removes what came behind the first, the third nothing.
  assertEquals(kept, [2, 2, 1, 1, 1, 1, 1, 0]);
});

Deno.test("Verifier finds a row that comes after the TRUNCATE that removed it, and stays", () => {
  const { counts, told } = verify([
    [LOW, truncate(8, LOW)],
    [HIGH, row(HIGH_ID, 4)],
    [MERGED, row(LOW_ID, 5), row(OTHER_LOW_ID, 7)],
    // Not above all that came behind the first one.
    [MERGED, truncate(6, LOW)],
  ]);
  assertEquals(counts, { late: 1 });
  assertEquals(told, [
    `merged 2/1: a change of "public.t:${OTHER_LOW_ID}" comes after a TRUNCATE of its table that is ` +
    "later than it, and that is not sent again",
  ]);
  const other = { ...row(LOW_ID, 5), key: `public.u:${LOW_ID}` };
  const ofOther = { ...other, data: String(other.data).replace('"table":"t"', '"table":"u"') };
  assertEquals(verify([[LOW, truncate(8, LOW)], [MERGED, ofOther]]).counts, {});
});

Deno.test("Verifier finds a second put ahead of a merged shard's other lane, where all are expected", () => {
  const ahead = (...second: UserRecord[]) =>
    [
      [LOW, row(LOW_ID, 1)],
      [MERGED, row(LOW_ID, 50)],
      [MERGED, ...second],
      [MERGED, row(HIGH_ID, 11)],
      [MERGED, row(HIGH_ID, 12), row(OTHER_HIGH_ID, 13)],
    ] as const;
  assertEquals(verify(ahead(row(HIGH_ID, 10)), { expectAll: true }).counts, {});
  const puts = ahead(row(LOW_ID, 51));
  const { counts, told } = verify(puts, { expectAll: true });
  assertEquals(counts, { late: 1 });
  assertEquals(told, ["merged 4: 2 changes of it come after later changes of the shard"]);
  // Two runs may write into one stream, and without aggregation a shard as a whole has no order.
  assertEquals(verify(puts).counts, {});
  assertEquals(verify(puts, { expectAll: true, isPlain: true }).counts, {});
});

Deno.test("Verifier finds aggregated changes of a shard out of order, each key in its own", () => {
  const puts = [[LOW, row(LOW_ID, 5)], [LOW, row(OTHER_LOW_ID, 4)]] as const;
  assertEquals(verify(puts, { expectAll: true }).counts, { late: 1 });
});
