import { Aggregate } from "../../../src/kinesis/aggregate/aggregate.ts";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";
import { putRecordBody } from "../../../src/kinesis/client/put_body.ts";
import { hashPartitionKey } from "../../../src/kinesis/stream/hash_key.ts";

// `deno bench -A scripts/bench/micro/write_bench.ts`
const RECORDS = 10_000;
const MAX_BYTES = 8 * 1024 * 1024;
const pool = new BufferPool(MAX_BYTES);
const ticket = { expect() {}, acknowledge() {} };
const keys = Array.from({ length: RECORDS }, (_, i) => `public.order_lines:${300_000 + i}`);

for (const bytes of [80, 400]) {
  const data = keys.map((key) => `0,CDC,{"xid":"731","table":"${key}"}`.padEnd(bytes, "x"));
  Deno.bench(`aggregate ${RECORDS} records of ${bytes} bytes, each with a key of its own`, () => {
    const aggregate = new Aggregate(pool, 0);
    for (let i = 0; i < RECORDS; i++) {
      aggregate.tryAdd(keys[i]!, data[i]!, undefined, ticket, i, MAX_BYTES);
    }
    aggregate.release();
  });
}

Deno.bench(`hash ${RECORDS} partition keys`, () => {
  for (const key of keys) hashPartitionKey(key);
});

const mebibyte = new Uint8Array(1024 * 1024).map((_, i) => i * 7);
const put = {
  streamName: "s",
  partitionKey: "a",
  data: mebibyte,
  explicitHashKey: undefined,
  sequenceNumberForOrdering: undefined,
};
Deno.bench("write the body of a put of 1 MiB", () => {
  pool.give(putRecordBody(put, pool).buffer);
});
