import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  applyOnce,
  type Change,
  deaggregate,
  type Delete,
  MemoryCopy,
  parseChange,
  positionOf,
  type Transaction,
  Transactions,
  type Upsert,
  type UserRecord,
} from "../../docs/examples/consumer.ts";
import { aggregateOf } from "../support/aggregated_stream.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { type ExampleStream, publishExample } from "../support/example_stream.ts";
import { randomFrom } from "../support/random.ts";
import { takeApart } from "../support/read_back.ts";
import { plainPython, testWith } from "../support/interop.ts";

const server = await startEmbeddedPostgres();
let published: Promise<ExampleStream> | undefined;
/** One for all tests of this file. */
const example = () => published ??= publishExample(server);

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("the consumer takes apart what AWS's deaggregator does, in the same order", async () => {
  let aggregated = 0;
  for (const { stored } of (await example()).shards) {
    for (const record of stored) {
      const expected = takeApart(record);
      const found = deaggregate(record.data, record.partitionKey);
      assertEquals(
        found.map(({ partitionKey, data }) => [partitionKey, text(data)]),
        expected.map(({ partitionKey, text }) => [partitionKey, text]),
      );
      if (expected[0]!.subSequence !== undefined) aggregated++;
    }
  }
  assert(aggregated > 10);
});

Deno.test("the consumer gives what is no aggregate as it is, and refuses half of one", () => {
  const records = [{ key: "a", data: "{}" }, { key: "b", data: "[]" }];
  const whole = aggregateOf(records);
  const wrong = whole.slice();
  wrong[wrong.length - 1]! ^= 1;
  for (const data of [new Uint8Array(0), whole.slice(0, 4), whole.slice(0, -1), wrong]) {
    assertEquals(deaggregate(data, "key"), [{ partitionKey: "key", data }]);
  }
  assertEquals(deaggregate(whole, "key").map(({ partitionKey }) => partitionKey), ["a", "b"]);
});

for (const seed of [1, 2, 3]) {
  Deno.test(`the consumer makes a copy of the table, whichever shard is read first, and however often (${seed})`, async () => {
    const { rows, shards } = await example();
    const copy = new MemoryCopy();
    for (const record of readInAnyOrder(shards, seed)) await applyOnce(record, copy);
    assertEquals(rowsOf(copy), rows);
    assertEquals(copy.backfilled.size, 1);
  });
}

Deno.test("the consumer applies no change twice, and each TRUNCATE", async () => {
  const { rows, shards } = await example();
  const applied: string[] = [];
  class Watched extends MemoryCopy {
    override upsert(change: Upsert, position: string): Promise<void> {
      applied.push(`${JSON.stringify(change.key)} ${position}`);
      return super.upsert(change, position);
    }
    override remove(change: Delete): Promise<void> {
      applied.push(`${JSON.stringify(change.key)} ${positionOf(change)}`);
      return super.remove(change);
    }
  }
  class Untruncated extends MemoryCopy {
    override truncate(): Promise<void> {
      return Promise.resolve();
    }
  }
  const [watched, untruncated] = [new Watched(), new Untruncated()];
  let ofRows = 0;
  for (const record of readInAnyOrder(shards, 1)) {
    const { op } = await applyOnce(record, watched);
    if (["insert", "update", "delete", "read"].includes(op)) ofRows++;
    await applyOnce(record, untruncated);
  }
  assertEquals(new Set(applied).size, applied.length);
  assert(ofRows > applied.length, "nothing came twice");
  assert(untruncated.rows("public", "t").length > rows.length);
});

Deno.test("the consumer puts each transaction together once all of it was read", async () => {
  const { shards, transactions } = await example();
  for (const seed of [1, 2]) {
    const found = new Map<number, Transaction>();
    const open = new Transactions();
    for (const { data } of readInAnyOrder(shards, seed)) {
      const transaction = open.add(parseChange(data));
      if (transaction !== undefined) found.set(transaction.commit.xid, transaction);
    }
    assertEquals(found.size, transactions);
    assertEquals(open.open, 0);
    for (const { commit, changes } of found.values()) {
      const places = [...new Set(changes.map(({ seq }) => seq))];
      assertEquals(places, Array.from({ length: commit.changes }, (_, seq) => seq));
      assert(changes.every(({ xid }) => xid === commit.xid));
    }
  }
});

Deno.test("the consumer gives a transaction not before the second half of a changed key", () => {
  const place = { v: 1, xid: 1, lsn: "0/1", commit_lsn: "0/2", timeline: 1, ts: "" } as const;
  const row = { ...place, schema: "public", table: "t" };
  const commit: Change = {
    ...{ ...place, op: "commit", seq: 2, changes: 2, tables: { "public.t": 2 } },
    ...{ shards: 2, streams: 1 },
  };
  const insert: Change = { ...row, op: "insert", seq: 0, after: {} };
  const old: Change = { ...row, op: "delete", seq: 1, moved_to: {} };
  const moved: Change = { ...row, op: "insert", seq: 1, moved_from: {}, after: {} };
  const transactions = new Transactions();
  for (const change of [moved, commit, insert, insert]) {
    assertEquals(transactions.add(change), undefined);
  }
  assertEquals(transactions.open, 1);
  assertEquals(transactions.add(old)?.changes, [insert, old, moved]);
  assertEquals(transactions.open, 0);
});

Deno.test("positionOf sorts as timelines, LSNs and numbers do", () => {
  const positions = ([[1, "0/9", 5], [1, "0/A", 0], [1, "0/A", 9], [1, "0/A", 10], [1, "0/FF", 1]]
    .concat([[1, "1/0", 0], [2, "0/1", 0], [10, "0/1", 0]]) as [number, string, number][])
    .map(([timeline, commit_lsn, seq]) => positionOf({ timeline, commit_lsn, seq })!);
  assertEquals(positions, [...positions].sort());
  assertEquals(new Set(positions).size, positions.length);
});

Deno.test("the consumer applies nothing without a position, and keeps every digit", async () => {
  const change = { v: 1, op: "insert", xid: 1, lsn: "0/1", seq: 0, timeline: 1, schema: "a" };
  const data = new TextEncoder().encode(JSON.stringify({ ...change, table: "b", after: {} }));
  const error = await applyOnce({ partitionKey: "a", data }, new MemoryCopy()).catch((e) => e);
  assert(error instanceof TypeError);
  assertThrows(() => parseChange("{"), SyntaxError);
  const { after } = parseChange('{"after":{"a":9007199254740993,"b":1.5,"c":-1e300}}') as {
    after: unknown;
  };
  assertEquals(after, { a: 9007199254740993n, b: 1.5, c: -1e300 });
});

for (
  const [what, changes, expected] of [
    [
      // The low lane was ahead: its TRUNCATE lies in its old shard, a later row in the merged one.
      "removes no newer row where a merged shard brings an older TRUNCATE late",
      [truncate(5), insert(1, 6), insert(9, 4), truncate(5), insert(8, 7)],
      [[1, 6], [8, 7]],
    ],
    [
      "lets no older row come back behind a TRUNCATE that another shard has delivered",
      [insert(1, 4), truncate(5), insert(2, 3), insert(3, 6)],
      [[3, 6]],
    ],
    [
      "keeps the newer row where a split leaves an older copy in the other shard",
      [insert(1, 4), insert(1, 6), insert(1, 4)],
      [[1, 6]],
    ],
  ] as const
) {
  Deno.test(`the consumer ${what}`, async () => {
    const copy = new MemoryCopy();
    for (const change of changes) {
      const partitionKey = "key" in change ? `public.t:${change.key.id}` : "public.t";
      const data = new TextEncoder().encode(JSON.stringify(change));
      await applyOnce({ partitionKey, data }, copy);
    }
    assertEquals(copy.rows("public", "t").map(({ id, version }) => [id, version]), expected);
  });
}

const python = await plainPython();

testWith(python, "the consumer in Python does what the one in TypeScript does", async (python) => {
  const { rows, shards, transactions } = await example();
  for (const seed of [1, 2]) {
    const stored = [...storedInAnyOrder(shards, seed)];
    const input = stored.map(({ partitionKey, data }) =>
      JSON.stringify([partitionKey, Buffer.from(data).toString("base64")]) + "\n"
    ).join("");
    const found = JSON.parse(await python.run(["apply.py"], input));
    const big = (value: unknown) => typeof value === "bigint" ? String(value) : value;
    assertEquals(found.rows, rows.map((row) => row.map(big)));
    assertEquals(found.backfilled.length, 1);
    assertEquals(found.open, 0);
    assertEquals(Object.keys(found.transactions).length, transactions);
    const open = new Transactions();
    for (const { data } of readInAnyOrder(shards, seed)) {
      const transaction = open.add(parseChange(data));
      if (transaction === undefined) continue;
      const { commit, changes } = transaction;
      assertEquals(found.transactions[commit.xid], changes.map(({ op, seq }) => [op, seq]));
    }
    const records = stored.flatMap(({ data, partitionKey }) => deaggregate(data, partitionKey));
    assertEquals(found.records, records.length);
    assertEquals(found.positions, records.map(({ data }) => positionOf(parseChange(data)) ?? null));
  }
});

/** Stored records: a shard after its parents, else in any order; some batches twice. */
function* storedInAnyOrder(shards: ExampleStream["shards"], seed: number) {
  const random = randomFrom(seed);
  const waiting = shards.map((shard) => ({ ...shard, stored: [...shard.stored] }));
  while (waiting.length > 0) {
    const open = waiting.filter(({ parents }) =>
      !waiting.some(({ shardId }) => parents.includes(shardId))
    );
    const shard = open[Math.floor(random() * open.length)]!;
    const batch = shard.stored.splice(0, 1 + Math.floor(random() * 4));
    yield* batch;
    if (random() < 0.3) yield* batch;
    if (shard.stored.length === 0) waiting.splice(waiting.indexOf(shard), 1);
  }
}

function* readInAnyOrder(shards: ExampleStream["shards"], seed: number): Generator<UserRecord> {
  for (const { data, partitionKey } of storedInAnyOrder(shards, seed)) {
    yield* deaggregate(data, partitionKey);
  }
}

function rowsOf(copy: MemoryCopy): unknown[][] {
  return copy.rows("public", "t")
    .map(({ id, version, big, note }) => [id, version, BigInt(big as bigint), note])
    .sort(([a], [b]) => Number(a) - Number(b));
}

function insert(id: number, transaction: number) {
  return {
    ...{ op: "insert", commit_lsn: `0/${transaction}`, seq: 0, schema: "public", table: "t" },
    ...{ key: { id }, after: { id, version: transaction } },
  };
}

function truncate(transaction: number) {
  return {
    ...{ op: "truncate", commit_lsn: `0/${transaction}`, seq: 0, schema: "public", table: "t" },
  };
}
