import { assertEquals } from "@std/assert";
import { addRecord, countUserRecords, noCosts, shardsFor } from "../../scripts/bench/put_costs.ts";
import { Aggregate } from "../../src/kinesis/aggregate/aggregate.ts";
import { BufferPool } from "../../src/kinesis/client/buffer_pool.ts";
import { CountingTicket } from "../support/counting_ticket.ts";

function aggregateOf(records: number, bytes: number): Uint8Array {
  const aggregate = new Aggregate(new BufferPool(0), 0);
  for (let i = 0; i < records; i++) {
    aggregate.tryAdd(`key ${i % 9}`, "x".repeat(bytes), "7", new CountingTicket(), i, Infinity);
  }
  return aggregate.seal("7").data;
}

Deno.test("the bench counts the user records of aggregates, and anything else as one", () => {
  for (const records of [2, 9, 500]) {
    assertEquals(countUserRecords(aggregateOf(records, 300)), records);
  }
  assertEquals(countUserRecords(aggregateOf(1, 300)), 1);
  assertEquals(countUserRecords(new Uint8Array(0)), 1);
});

Deno.test("the bench counts what AWS bills: each record rounded up, its partition key included", () => {
  const costs = noCosts();
  addRecord(costs, 1, new Uint8Array(1023));
  assertEquals([costs.payloadUnits, costs.onDemandKilobytes], [1, 1]);
  addRecord(costs, 2, new Uint8Array(1023));
  assertEquals([costs.payloadUnits, costs.onDemandKilobytes], [2, 3]);
  addRecord(costs, 0, new Uint8Array(25 * 1024 + 1));
  assertEquals([costs.payloadUnits, costs.onDemandKilobytes], [4, 29]);
  assertEquals([costs.userRecords, costs.kinesisRecords, costs.bytes], [3, 3, 27_650]);
});

Deno.test("the bench names the shards that bytes or records need, whichever are more", () => {
  const small = { ...noCosts(), userRecords: 1000, kinesisRecords: 1000, bytes: 100_000 };
  assertEquals(shardsFor(small, 5000), 5);
  assertEquals(shardsFor({ ...small, kinesisRecords: 1 }, 5000), 1);
  assertEquals(shardsFor({ ...small, kinesisRecords: 1, bytes: 500_000 }, 5000), 3);
});
