import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import {
  Aggregate,
  AGGREGATE_MAGIC,
  AGGREGATE_PARTITION_KEY,
  loneRecordBytes,
} from "../../../src/kinesis/aggregate/aggregate.ts";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import { takeApart } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

const MIB = 1024 * 1024;
const deaggregate = (partitionKey: string, data: Uint8Array) =>
  takeApart({ partitionKey, data, sequenceNumber: "0" });
const SHARD_HASH_KEY = "170141183460469231731687303715884105728";
const pool = new BufferPool(4 * MIB);
const encode = (text: string) => new TextEncoder().encode(text);

function aggregateOf(
  records: readonly { key: string; data: string | Uint8Array; hash?: string }[],
) {
  const aggregate = new Aggregate(pool, 0);
  const ticket = new CountingTicket();
  records.forEach(({ key, data, hash }, position) => {
    assertEquals(aggregate.tryAdd(key, data, hash, ticket, position, MIB), true);
  });
  return { aggregate, ticket };
}

const HOSTILE_KEYS = [
  "1",
  "0",
  "-1",
  "1.5",
  "__proto__",
  "constructor",
  "clé",
  "日本語",
  "😀",
  "\uFEFFbom",
];

Deno.test("Aggregate is read by AWS's deaggregator, hostile keys and all kinds of data included", () => {
  const records = [...HOSTILE_KEYS, ...HOSTILE_KEYS.toReversed()].flatMap((key, i) => [
    { key, data: `text ${i} é 日本 😀` },
    { key, data: "é".repeat(100) },
    { key, data: "" },
    { key, data: Uint8Array.of(0, i, 255) },
    { key: `${key}/${i}`, data: "x".repeat(i * 97) },
  ]);
  const body = aggregateOf(records).aggregate.seal(SHARD_HASH_KEY);
  assertEquals(body.partitionKey, AGGREGATE_PARTITION_KEY);
  assertEquals(body.explicitHashKey, SHARD_HASH_KEY);
  assertEquals(
    deaggregate(body.partitionKey, body.data).map(({ partitionKey, data }) => [partitionKey, data]),
    records.map(({ key, data }) => [key, typeof data === "string" ? encode(data) : data]),
  );
});

Deno.test("Aggregate carries explicit hash keys beside records that have none", () => {
  const records = [
    { key: "a", data: "1" },
    { key: "b", data: "2", hash: SHARD_HASH_KEY },
    { key: "c", data: "3" },
    { key: "b", data: "4", hash: SHARD_HASH_KEY },
  ];
  const { aggregate } = aggregateOf(records);
  const body = aggregate.seal("0");
  assertEquals(
    deaggregate(body.partitionKey, body.data).map((r) => r.explicitHashKey),
    [undefined, SHARD_HASH_KEY, undefined, SHARD_HASH_KEY],
  );
  assertEquals([...aggregate.records()].map((r) => r.everyShard), [false, true, false, true]);
});

Deno.test("Aggregate gives its records back from its own bytes, with ticket and position", () => {
  const aggregate = new Aggregate(pool, 0);
  const tickets = [new CountingTicket(), new CountingTicket()];
  const added = HOSTILE_KEYS.map((key, i) => ({
    partitionKey: key,
    data: encode(`data ${i}`),
    everyShard: i % 3 === 0,
    ticket: tickets[i >> 2 & 1]!,
    position: i < 6 ? 100 + i : 200 + i * i,
  }));
  for (const { partitionKey, data, everyShard, ticket, position } of added) {
    aggregate.tryAdd(partitionKey, data, everyShard ? "7" : undefined, ticket, position, MIB);
  }
  assertEquals([...aggregate.records()], added);
  aggregate.seal("7");
  assertEquals([...aggregate.records()], added);
  aggregate.runs.acknowledge();
  assertEquals(tickets.map((ticket) => ticket.acknowledged), [6, 4]);
});

Deno.test("Aggregate sends a lone record plain, unless it begins with the magic", () => {
  const plain = aggregateOf([{ key: "clé", data: "é" }]).aggregate;
  assertEquals(plain.seal("0"), {
    data: encode("é"),
    partitionKey: "clé",
    explicitHashKey: undefined,
  });
  assertEquals(plain.putBytes, 4 + 2);

  const routed = aggregateOf([{ key: "k", data: "d", hash: "42" }]).aggregate.seal("0");
  assertEquals(routed, { data: encode("d"), partitionKey: "k", explicitHashKey: "42" });

  const magic = Uint8Array.of(...AGGREGATE_MAGIC, 1, 2, 3);
  const { aggregate } = aggregateOf([{ key: "k", data: magic }]);
  const body = aggregate.seal("0");
  assertEquals(body.partitionKey, AGGREGATE_PARTITION_KEY);
  assertEquals(deaggregate(body.partitionKey, body.data).map((r) => r.data), [magic]);
  assertEquals(
    loneRecordBytes("k", magic, false),
    body.data.length + AGGREGATE_PARTITION_KEY.length,
  );

  const shorterThanMagic = new Aggregate(pool, 0);
  shorterThanMagic.tryAdd("k", magic, undefined, new CountingTicket(), 0, MIB);
  shorterThanMagic.release();
  const reused = aggregateOf([{ key: "k", data: magic.subarray(0, 2) }]).aggregate;
  assertEquals(reused.seal("0").partitionKey, "k");
});

Deno.test("Aggregate knows its size exactly and fills the limit to the last byte", () => {
  const random = randomFrom(randomSeed());
  const below = (limit: number) => Math.floor(random() * limit);
  let filledToTheByte = 0;
  for (let round = 0; round < 200; round++) {
    const maxBytes = 300 + below(40_000);
    const aggregate = new Aggregate(pool, 0);
    const ticket = new CountingTicket();
    const texts = ["x", "é", "日"];
    let position = 0;
    for (;;) {
      const key = `${texts[below(3)]}${below(300)}`;
      const data = texts[below(3)]!.repeat(below(300));
      if (!aggregate.tryAdd(key, data, undefined, ticket, position, maxBytes)) break;
      position++;
    }
    // The longest data that still fits leaves no room but for a longer length prefix.
    let fitting = maxBytes - aggregate.putBytes;
    const fill = (bytes: number) =>
      aggregate.tryAdd("", "y".repeat(bytes), undefined, ticket, position, maxBytes);
    while (fitting >= 0 && !fill(fitting)) fitting--;
    if (fitting >= 0) {
      const left = maxBytes - aggregate.putBytes;
      assertEquals(left >= 0 && left <= 2, true, `round ${round}: ${left} bytes left`);
      filledToTheByte += left === 0 ? 1 : 0;
    }
    const body = aggregate.seal("0");
    assertEquals(
      body.data.length + Buffer.byteLength(body.partitionKey),
      aggregate.putBytes,
      `round ${round}`,
    );
    assertEquals(body.data.length + 1 <= maxBytes || aggregate.count === 1, true);
    aggregate.release();
  }
  assertEquals(filledToTheByte > 100, true, `${filledToTheByte} filled to the byte`);
});

Deno.test("Aggregate that refused a record is as it was", () => {
  const records = [{ key: "first", data: "1".repeat(50) }];
  const untouched = aggregateOf(records).aggregate;
  const refused = aggregateOf(records).aggregate;
  assertEquals(
    refused.tryAdd("second", "é".repeat(60), undefined, new CountingTicket(), 1, 200),
    false,
  );
  assertEquals(refused.putBytes, untouched.putBytes);
  assertEquals(refused.seal("0"), untouched.seal("0"));
});

Deno.test("Aggregate seals to the same bytes each time", () => {
  const { aggregate } = aggregateOf([{ key: "a", data: "1" }, { key: "b", data: "2" }]);
  const first = createHash("md5").update(aggregate.seal("0").data).digest("hex");
  assertEquals(createHash("md5").update(aggregate.seal("0").data).digest("hex"), first);
});
