import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { WriterMemory } from "../../../src/kinesis/writer/writer_memory.ts";
import { RunError } from "../../../src/base/errors.ts";
import { hashPartitionKey } from "../../../src/kinesis/stream/hash_key.ts";
import type { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import type { Fault } from "../../support/fault_server/fault_plan.ts";
import { ServiceError, throttled } from "../../support/fault_server/service_error.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { Simulation, STREAM } from "./simulation.ts";

const FAILING: readonly Fault[] = ["throttle", "error", "cut-before", "cut-after", "error-after"];
const STORED_ALL_THE_SAME: readonly Fault[] = ["cut-after", "error-after"];

const numbers = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => String(from + i));

/** Adds each text under its own partition key and flushes. */
async function addAndFlush(writer: StreamWriter, ticket: CountingTicket, texts: readonly string[]) {
  for (const text of texts) assertEquals(writer.add(`key ${text}`, text, ticket), 0);
  await writer.flush();
}

for (const fault of FAILING) {
  Deno.test(`StreamWriter sends an aggregate again, unchanged and before anything later, after ${fault}`, async () => {
    const simulation = new Simulation({ faults: { script: new Map([[2, fault], [3, fault]]) } });
    const puts: string[] = [];
    simulation.api.onRequest = ([record]) => puts.push(Buffer.from(record!.data).toString("hex"));
    const ticket = new CountingTicket();
    await simulation.run({}, async (writer) => {
      await addAndFlush(writer, ticket, numbers(3));
      await writer.drain();
      assertEquals(ticket.acknowledged, 3);
      await addAndFlush(writer, ticket, numbers(3, 3));
      await addAndFlush(writer, ticket, numbers(3, 6));
      await writer.drain();
    });
    assertEquals(puts.length, 5);
    assertEquals(puts[2], puts[1]);
    assertEquals(puts[3], puts[1]);
    assertEquals(ticket.acknowledged, 9);
    const again = numbers(3, 3);
    const duplicates = STORED_ALL_THE_SAME.includes(fault) ? [...again, ...again] : [];
    assertEquals(simulation.texts, [...numbers(3), ...duplicates, ...again, ...numbers(3, 6)]);
  });
}

Deno.test("StreamWriter names the previous record's sequence number in each put of a shard", async () => {
  const simulation = new Simulation({ shards: 2 });
  const before = new Map<number, string>();
  simulation.faulty.onCall = (operation, input) => {
    if (operation !== "PutRecord") return;
    const shard = Number(BigInt(input.ExplicitHashKey) >> 127n);
    const last = simulation.service.stream(STREAM).shards[shard]!.records.at(-1);
    assertEquals(input.SequenceNumberForOrdering, last?.sequenceNumber);
    before.set(shard, input.SequenceNumberForOrdering);
  };
  await simulation.run({}, async (writer) => {
    for (let i = 0; i < 5; i++) {
      await addAndFlush(writer, new CountingTicket(), numbers(20, i * 20));
      await writer.drain();
    }
  });
  assertEquals(before.size, 2);
});

Deno.test("StreamWriter with one shard stalled for minutes keeps the others going and its memory bounded", async () => {
  const simulation = new Simulation({ shards: 2 });
  const isStalled = (partitionKey: string) => hashPartitionKey(partitionKey)[0]! < 2 ** 31;
  let isThrottled = true;
  simulation.faulty.onCall = (operation, input) => {
    if (operation !== "PutRecord" || !isThrottled) return;
    const hashKey = BigInt(input.ExplicitHashKey ?? hashKeyOf(input.PartitionKey));
    if (hashKey < 1n << 127n) throw throttled("of this test");
  };
  const ticket = new CountingTicket();
  const highWaterBytes = 100_000;
  await simulation.run({ memory: new WriterMemory(highWaterBytes) }, async (writer) => {
    const { clock } = simulation;
    let added = 0;
    const keepAdding = async () => {
      for (; added < 10_000; added++) {
        writer.add(`key ${added}`, "x".repeat(100), ticket);
        if (added % 10 === 0) await writer.flush();
      }
      await writer.drain();
    };
    const adding = keepAdding();
    adding.catch(() => {});
    await clock.sleep(120_000);
    const stalled = numbers(added).filter((n) => isStalled(`key ${n}`)).length;
    assertEquals(ticket.acknowledged, added - stalled);
    assert(writer.pendingBytes >= highWaterBytes, "adding went on to the bound");
    assert(writer.pendingBytes < highWaterBytes + 10 * 200, `${writer.pendingBytes} bytes pending`);
    assert(simulation.faulty.plan.puts < 200, "retries backed off");
    isThrottled = false;
    await adding;
  });
  assertEquals([ticket.expected, ticket.acknowledged], [10_000, 10_000]);
});

for (const aggregation of ["kpl", "none"] as const) {
  Deno.test(`StreamWriter (${aggregation}) puts less at a time where a put has no answer in time, and more when it has`, async () => {
    const simulation = new Simulation();
    const { api, clock } = simulation;
    const sizes: number[] = [];
    const lineBytes = 100_000;
    let isSlow = true;
    let late = 0;
    const overSlowLine = async (bytes: number) => {
      sizes.push(bytes);
      if (!isSlow) return;
      const isTooMuch = bytes > lineBytes;
      await clock.sleep(isTooMuch ? 30_000 : 30_000 * bytes / lineBytes);
      if (!isTooMuch) return;
      late++;
      throw Object.assign(new Error("no answer"), { name: "TimeoutError", code: "TimeoutError" });
    };
    const { putRecord, putRecords } = api;
    api.putRecord = async (record, ...rest) => {
      await overSlowLine(record.data.length);
      return await putRecord.call(api, record, ...rest);
    };
    api.putRecords = async (stream, records, ...rest) => {
      await overSlowLine(records.reduce((sum, { data }) => sum + data.length, 0));
      return await putRecords.call(api, stream, records, ...rest);
    };
    const ticket = new CountingTicket();
    const texts = numbers(500).map((number) => number.padEnd(2_000));
    await simulation.run({ aggregation }, async (writer) => {
      writer.add("key first", "first", ticket);
      await addAndFlush(writer, ticket, texts);
      await writer.drain();
      assert(late > 0 && late < 6, `${late} puts without an answer: they do not go on`);
      isSlow = false;
      sizes.length = 0;
      for (let n = 0; n < 20; n++) {
        await addAndFlush(writer, ticket, texts);
        await writer.drain();
      }
    });
    assertEquals(ticket.acknowledged, ticket.expected);
    assertEquals(simulation.texts.slice(0, 501), ["first", ...texts]);
    assert(Math.max(...sizes) > 800_000, `${Math.max(...sizes)} bytes at most`);
  });
}

const REFUSALS: readonly [string, RegExp][] = [
  [
    "AccessDeniedException",
    /stream changes \(us-east-1\).*allow kinesis:PutRecord on stream\/changes/,
  ],
  ["KMSDisabledException", /enable the KMS key/],
  ["KMSAccessDeniedException", /allow kms:GenerateDataKey/],
  ["UnrecognizedClientException", /check the access key/],
  ["ValidationException", /retrying does not help/],
];

for (const [name, expected] of REFUSALS) {
  Deno.test(`StreamWriter stops with one line when a put is refused with ${name}`, async () => {
    const simulation = new Simulation();
    simulation.faulty.onCall = (operation) => {
      if (operation === "PutRecord") throw new ServiceError(name, "no\nreally not");
    };
    const ticket = new CountingTicket();
    await simulation.run({}, async (writer) => {
      await addAndFlush(writer, ticket, numbers(3));
      const error = await assertRejects(() => writer.drain(), RunError);
      assertMatch(error.message, expected);
      assertMatch(error.message, /; the slot keeps what is not stored, for the next start$/);
      assert(!error.message.includes("\n"));
      assertEquals(await writer.failure, error);
      assertEquals(writer.add("later", "later", ticket), 0);
      assertEquals([ticket.expected, ticket.acknowledged], [4, 0]);
      await assertRejects(() => writer.flush(), RunError);
    });
    assertEquals(simulation.texts, []);
  });
}

Deno.test("StreamWriter believes an invalid argument only when no reshard explains it", async () => {
  const simulation = new Simulation();
  let puts = 0;
  simulation.faulty.onCall = (operation) => {
    if (operation !== "PutRecord") return;
    puts++;
    throw new ServiceError("InvalidArgumentException", "SequenceNumberForOrdering is invalid");
  };
  await simulation.run({}, async (writer) => {
    await addAndFlush(writer, new CountingTicket(), ["1"]);
    await assertRejects(() => writer.drain(), RunError, "SequenceNumberForOrdering is invalid");
  });
  assert(puts > 3, `${puts} puts`);
});

Deno.test("StreamWriter goes on without a sequence number that the service no longer takes", async () => {
  const simulation = new Simulation();
  let refused = 0;
  simulation.faulty.onCall = (operation, input) => {
    if (operation !== "PutRecord" || input.SequenceNumberForOrdering === undefined) return;
    refused++;
    throw new ServiceError("InvalidArgumentException", "SequenceNumberForOrdering is too old");
  };
  await simulation.run({}, async (writer) => {
    for (const text of ["1", "2", "3"]) {
      await addAndFlush(writer, new CountingTicket(), [text]);
      await writer.drain();
    }
  });
  assert(refused > 3, `${refused} refused`);
  assertEquals(simulation.texts, ["1", "2", "3"]);
});

Deno.test("StreamWriter says that the stream is gone, and what is not", async () => {
  const simulation = new Simulation();
  await simulation.run({}, async (writer) => {
    await addAndFlush(writer, new CountingTicket(), ["1"]);
    await writer.drain();
    simulation.service.call("DeleteStream", { StreamName: STREAM });
    await addAndFlush(writer, new CountingTicket(), ["2"]);
    const { message } = await assertRejects(() => writer.drain(), RunError);
    assertMatch(
      message,
      /^cannot find stream .*--create-stream; the slot keeps what is not stored, for the next start$/,
    );
  });
});

// Without aggregation no sequence number of the old stream gives it away.
for (const [aggregation, isIdle] of [["kpl", false], ["none", false], ["kpl", true]] as const) {
  const when = isIdle ? "within a minute while idle" : "after an error";
  Deno.test(`StreamWriter stops ${when} when its stream was deleted and made again, ${aggregation}`, async () => {
    const simulation = new Simulation();
    const { clock, service, faulty } = simulation;
    await simulation.run({ aggregation }, async (writer) => {
      await addAndFlush(writer, new CountingTicket(), ["1"]);
      await writer.drain();
      await clock.sleep(5_000);
      service.call("DeleteStream", { StreamName: STREAM });
      service.call("CreateStream", { StreamName: STREAM, ShardCount: 1 });
      const since = clock.now();
      if (!isIdle) {
        faulty.plan.settings = { ...faulty.plan.settings, script: new Map([[2, "error"]]) };
        await addAndFlush(writer, new CountingTicket(), ["2"]);
      }
      const error = await writer.failure;
      assertMatch(error.message, /deleted and recreated/);
      const seconds = (clock.now() - since) / 1000;
      assert(seconds < (isIdle ? 65 : 3), `it took ${seconds} s`);
    });
  });
}

Deno.test("StreamWriter stops within a minute when its stream no longer goes by partition keys", async () => {
  const simulation = new Simulation();
  const { clock, api } = simulation;
  await simulation.run({ aggregation: "none" }, async (writer) => {
    await addAndFlush(writer, new CountingTicket(), ["1"]);
    await writer.drain();
    const asItWas = await api.describeStream(STREAM, new AbortController().signal);
    api.describeStream = () => Promise.resolve({ ...asItWas, distribution: "AUTO" });
    const since = clock.now();
    const error = await writer.failure;
    assertMatch(
      error.message,
      /RecordDistributionStrategy AUTO.*; the slot keeps what is not stored/,
    );
    assert(clock.now() - since < 65_000);
  });
});

Deno.test("StreamWriter's drain gives up when its signal aborts, and the writer goes on", async () => {
  const simulation = new Simulation({
    faults: { script: new Map([[1, "slow-after"]]), slowMs: 5_000 },
  });
  const ticket = new CountingTicket();
  await simulation.run({}, async (writer) => {
    const stop = new AbortController();
    await addAndFlush(writer, ticket, ["1"]);
    const drained = assertRejects(() => writer.drain(stop.signal), Error, "enough");
    await simulation.clock.sleep(1_000);
    stop.abort(new Error("enough"));
    await drained;
    assertEquals(ticket.acknowledged, 0);
    await writer.drain();
    assertEquals(ticket.acknowledged, 1);
  });
});

Deno.test("StreamWriter that is closed rejects who waits for it", async () => {
  const simulation = new Simulation({ faults: { chances: { throttle: 1 } } });
  await simulation.run({}, async (writer) => {
    await addAndFlush(writer, new CountingTicket(), ["1"]);
    const drained = assertRejects(() => writer.drain(), Error, "closed");
    writer.close();
    await drained;
  });
});
