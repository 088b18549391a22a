import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { Aggregate, AGGREGATE_MAGIC } from "../../../src/kinesis/aggregate/aggregate.ts";
import { BufferPool } from "../../../src/kinesis/client/buffer_pool.ts";
import { deaggregate } from "../../../src/kinesis/aggregate/deaggregate.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import { takeApart } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

const MIB = 1024 * 1024;
const pool = new BufferPool(4 * MIB);
const encode = (text: string) => new TextEncoder().encode(text);

interface Given {
  readonly key: string;
  readonly data: string | Uint8Array;
  readonly hash?: string;
}

function aggregateOf(records: readonly Given[]): Uint8Array {
  const aggregate = new Aggregate(pool, 0);
  const ticket = new CountingTicket();
  records.forEach(({ key, data, hash }, position) =>
    aggregate.tryAdd(key, data, hash, ticket, position, MIB)
  );
  return aggregate.seal("0").data;
}

/** Magic, message, MD5. */
function sealed(...message: readonly (number | Uint8Array)[]): Uint8Array {
  const bytes = message.flatMap((part) => typeof part === "number" ? [part] : [...part]);
  const md5 = createHash("md5").update(Uint8Array.from(bytes)).digest();
  return Uint8Array.from([...AGGREGATE_MAGIC, ...bytes, ...md5]);
}

/** A field with its length in front; shorter than 128 bytes. */
const field = (tag: number, bytes: Uint8Array) => Uint8Array.of(tag, bytes.length, ...bytes);
const key = (text: string) => field(0x0A, encode(text));
const hash = (text: string) => field(0x12, encode(text));
const record = (...fields: readonly (number | Uint8Array)[]) =>
  field(
    0x1A,
    Uint8Array.from(fields.flatMap((part) => typeof part === "number" ? part : [...part])),
  );
const data = (text: string) => field(0x1A, encode(text));

const read = (bytes: Uint8Array) =>
  deaggregate(bytes)?.map(({ partitionKey, explicitHashKey, data }) => [
    partitionKey,
    explicitHashKey,
    new TextDecoder().decode(data),
  ]);

Deno.test("deaggregate reads what the encoder wrote, as AWS's deaggregator does", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const keys = ["1", "0", "__proto__", "clé", "日本語", "😀", "\uFEFFbom", "k".repeat(200)];
  for (let round = 0; round < 200; round++) {
    const hashKey = String(BigInt(below(2 ** 32)) << 90n);
    const given = Array.from({ length: 2 + below(30) }, (): Given => ({
      key: keys[below(keys.length)]!,
      data: random() < 0.5
        ? "é".repeat(below(300))
        : Uint8Array.from({ length: below(200) }, () => below(256)),
      ...random() < 0.3 ? { hash: hashKey } : {},
    }));
    const bytes = aggregateOf(given);
    const oracle = takeApart({ partitionKey: "a", data: bytes, sequenceNumber: "0" });
    assertEquals(
      deaggregate(bytes),
      oracle.map(({ partitionKey, explicitHashKey, data }) => ({
        partitionKey,
        explicitHashKey,
        data,
      })),
      `seed ${seed}`,
    );
    assertEquals(oracle.length, given.length);
  }
});

Deno.test("deaggregate reads keys that come after the records that name them, and passes over fields it does not know", () => {
  const tag = field(0x22, encode("tag"));
  assertEquals(
    read(sealed(
      record(0x08, 1, 0x10, 0, data("x"), tag),
      field(0x7A, encode("later version")),
      key("a"),
      key("b"),
      hash("340282366920938463463374607431768211455"),
      Uint8Array.of(0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x2D, 1, 2, 3, 4, 0x28, 0x80, 1),
      record(0x08, 0, data("y")),
    )),
    [["b", "340282366920938463463374607431768211455", "x"], ["a", undefined, "y"]],
  );
  assertEquals(read(sealed()), []);
});

Deno.test("deaggregate takes what is no aggregate for a plain record", () => {
  const good = aggregateOf([{ key: "a", data: "1" }, { key: "b", data: "2" }]);
  assert(deaggregate(good) !== undefined);
  const changed = (index: number) => good.map((byte, i) => i === index ? byte ^ 1 : byte);
  const cases: Record<string, Uint8Array> = {
    "nothing": new Uint8Array(0),
    "text": encode('{"v":1}'),
    "the magic alone": AGGREGATE_MAGIC,
    "the magic and too little for an MD5": good.subarray(0, 19),
    "a wrong magic": changed(0),
    "a changed message": changed(6),
    "a wrong MD5": changed(good.length - 1),
    "a cut end": good.subarray(0, good.length - 1),
    "an index beyond the keys": sealed(key("a"), record(0x08, 1, data("x"))),
    "no key at all": sealed(record(0x08, 0, data("x"))),
    "an index beyond the hash keys": sealed(key("a"), record(0x08, 0, 0x10, 0, data("x"))),
    "a record without key index": sealed(key("a"), record(data("x"))),
    "a record without data": sealed(key("a"), record(0x08, 0)),
    "a hash key that is no number": sealed(
      key("a"),
      hash("x1"),
      record(0x08, 0, 0x10, 0, data("x")),
    ),
    "a hash key of more than 128 bits": sealed(
      key("a"),
      hash("340282366920938463463374607431768211456"),
      record(0x08, 0, 0x10, 0, data("x")),
    ),
    "a length beyond the end": sealed(Uint8Array.of(0x0A, 200, 1, 65)),
    "a record's length beyond the record": sealed(key("a"), record(0x08, 0, 0x1A, 9, 65), data("")),
    "a length of 2^63": sealed(
      Uint8Array.of(0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1),
    ),
    "a varint without end": sealed(new Uint8Array(12).fill(0x80)),
    "a varint of eleven bytes": sealed(Uint8Array.of(0x28, ...new Uint8Array(10).fill(0x80), 1)),
    "a group": sealed(Uint8Array.of(0x2B, 0x2C)),
    "field 0": sealed(Uint8Array.of(0x02, 0)),
    "a tag beyond 32 bits": sealed(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x7F, 1)),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    assertEquals(deaggregate(bytes), undefined, what);
  }
});

Deno.test("deaggregate never fails, whatever the message is", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const good = aggregateOf(
    Array.from({ length: 5 }, (_, i) => ({ key: `key ${i % 3}`, data: `data ${i}`, hash: "7" })),
  );
  const message = good.subarray(4, good.length - 16);
  let readable = 0;
  for (let round = 0; round < 20_000; round++) {
    const mutated = Uint8Array.from(message);
    for (let i = Math.floor(random() * 4); i >= 0; i--) {
      mutated[Math.floor(random() * mutated.length)] = Math.floor(random() * 256);
    }
    const cut = random() < 0.5 ? mutated.length : Math.floor(random() * mutated.length);
    try {
      if (deaggregate(sealed(mutated.subarray(0, cut))) !== undefined) readable++;
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
  assert(readable > 0 && readable < 20_000, `${readable} readable, seed ${seed}`);
});
