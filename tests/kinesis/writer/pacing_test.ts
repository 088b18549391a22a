import { assert, assertEquals } from "@std/assert";
import { Backoff } from "../../../src/base/backoff.ts";
import { Pacer } from "../../../src/kinesis/writer/pacing.ts";
import type { ThroughputLimits } from "../../support/fault_server/shard_throughput.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";
import { Simulation } from "./simulation.ts";

const MIB = 1024 * 1024;
const SHARDS = 4;
const SECONDS = 30;

interface Overload {
  readonly aggregation: "kpl" | "none";
  readonly mode: "PROVISIONED" | "ON_DEMAND";
  readonly kind: ThroughputLimits["kind"];
  /** Of what a shard takes by its rules. */
  readonly limit: number;
  readonly latencyMs: number;
  readonly recordBytes: number;
}

/** Offers four shards more than they take, for half a minute of virtual time. */
async function overload({ aggregation, mode, kind, limit, latencyMs, recordBytes }: Overload) {
  const bytesPerSecond = limit * MIB, recordsPerSecond = limit * 1000;
  const simulation = new Simulation({
    shards: SHARDS,
    latencyMs,
    service: { mode, throughput: { kind, bytesPerSecond, recordsPerSecond }, isSink: true },
  });
  let bytes = 0, records = 0;
  simulation.service.onStored = ({ data, partitionKey }) => {
    bytes += data.length + partitionKey.length;
    records++;
  };
  const data = "x".repeat(recordBytes);
  return await simulation.run({ aggregation }, async (writer) => {
    const ticket = new CountingTicket();
    for (let i = 0; simulation.clock.now() < SECONDS * 1000;) {
      for (const end = i + 200; i < end; i++) writer.add(`key ${i % 5003}`, data, ticket);
      await writer.flush();
    }
    const { puts, failures } = writer.stats();
    const used = Math.max(bytes / bytesPerSecond, records / recordsPerSecond) / SECONDS / SHARDS;
    return { used, throttled: failures.throttled / puts };
  });
}

const PROVISIONED = { mode: "PROVISIONED", limit: 1, latencyMs: 4, recordBytes: 1000 } as const;
const OVERLOADS: readonly (Overload & { leastUsed: number; mostThrottled: number })[] = [
  { ...PROVISIONED, aggregation: "kpl", kind: "bucket", leastUsed: 0.95, mostThrottled: 0.01 },
  { ...PROVISIONED, aggregation: "kpl", kind: "window", leastUsed: 0.95, mostThrottled: 0.01 },
  {
    ...PROVISIONED,
    aggregation: "kpl",
    kind: "bucket",
    latencyMs: 40,
    leastUsed: 0.95,
    mostThrottled: 0.01,
  },
  { ...PROVISIONED, aggregation: "none", kind: "bucket", leastUsed: 0.95, mostThrottled: 0.01 },
  {
    ...PROVISIONED,
    aggregation: "none",
    kind: "bucket",
    recordBytes: 100,
    leastUsed: 0.95,
    mostThrottled: 0.01,
  },
  // Other writers leave only half, or the shard takes more than it should: found by trying.
  {
    ...PROVISIONED,
    aggregation: "kpl",
    kind: "bucket",
    limit: 0.5,
    leastUsed: 0.8,
    mostThrottled: 0.05,
  },
  {
    ...PROVISIONED,
    aggregation: "kpl",
    kind: "bucket",
    limit: 0.6,
    leastUsed: 0.8,
    mostThrottled: 0.04,
  },
  {
    ...PROVISIONED,
    aggregation: "kpl",
    mode: "ON_DEMAND",
    kind: "bucket",
    leastUsed: 0.85,
    mostThrottled: 0.02,
  },
  {
    ...PROVISIONED,
    aggregation: "kpl",
    mode: "ON_DEMAND",
    kind: "bucket",
    limit: 2,
    leastUsed: 0.7,
    mostThrottled: 0.04,
  },
];

for (const { leastUsed, mostThrottled, ...load } of OVERLOADS) {
  const { mode, aggregation, kind, limit, latencyMs, recordBytes } = load;
  const what =
    `${limit} MiB/s ${mode} ${kind}, ${aggregation}, ${recordBytes} bytes, ${latencyMs} ms`;
  Deno.test(`StreamWriter runs at its shards' limit with hardly a throttle: ${what}`, async () => {
    const { used, throttled } = await overload(load);
    assert(used >= leastUsed, `used ${used}`);
    assert(throttled < mostThrottled, `throttled ${throttled}`);
  });
}

Deno.test("Pacer holds nothing back before the first throttle", () => {
  const pacer = new Pacer("provisioned");
  const large = { bytes: MIB, records: 500 };
  for (let nowMs = 98; nowMs < 100; nowMs++) {
    assertEquals(pacer.waitMs(nowMs), 0);
    pacer.started(nowMs, large);
  }
  assertEquals(pacer.limits(large), large);
  pacer.throttled(100, { bytes: MIB, records: 1 }, 1);
  assert(pacer.waitMs(100) >= 1000, "the shard fills up for what it refused");
  assert(pacer.limits(large).bytes < MIB / 10);
});

Deno.test("Pacer takes no throttle for the limit's after more than any shard takes in a second", () => {
  const pacer = new Pacer("provisioned");
  const large = { bytes: MIB, records: 500 };
  for (let nowMs = 0; nowMs < 100; nowMs += 10) pacer.started(nowMs, large);
  pacer.throttled(100, large, 500);
  assertEquals(pacer.waitMs(100), 0);
  assertEquals(pacer.limits(large), large);
});

/** What a lane gets stored, in MiB/s, by five minutes of puts of which some are throttled for no reason. */
function withStrayThrottles(
  { stray, offered, limit, seed }: { stray: number; offered: number; limit: number; seed: number },
): number {
  const random = randomFrom(seed);
  const pacer = new Pacer("provisioned"), backoff = new Backoff(random);
  const endMs = 300_000;
  let nowMs = 0, left = limit * MIB, leftAtMs = 0, stored = 0;
  while (nowMs < endMs) {
    const most = pacer.limits({ bytes: 340 * 1024, records: 500 }).bytes;
    const bytes = Math.floor(Math.min(most, offered * MIB * nowMs / 1000 - stored));
    const waitMs = bytes < 1000 ? 1 : pacer.waitMs(nowMs);
    if (waitMs > 0) {
      nowMs += waitMs;
      continue;
    }
    const put = { bytes, records: 1 };
    pacer.started(nowMs, put);
    nowMs += 5 + 5 * random();
    left = Math.min(limit * MIB, left + limit * MIB * (nowMs - leftAtMs) / 1000);
    leftAtMs = nowMs;
    if (random() < stray || left < bytes) {
      pacer.throttled(nowMs, put, 1);
      nowMs += backoff.nextMs();
    } else {
      pacer.answered(7);
      backoff.reset();
      left -= bytes;
      stored += bytes;
    }
  }
  return stored / MIB / (endMs / 1000);
}

Deno.test("Pacer does not let a lane fall behind for throttles that no pace avoids", () => {
  const seed = randomSeed();
  const cases = [
    // Half of what the shard takes comes through, nearly all of the time at the pace it comes.
    { stray: 0.01, offered: 0.5, limit: 1, least: 0.47 },
    { stray: 0.2, offered: 0.5, limit: 1, least: 0.47 },
    { stray: 0.01, offered: 8, limit: 1, least: 0.7 },
    { stray: 0.2, offered: 8, limit: 1, least: 0.6 },
    // What has no limit at all is not held back to one.
    { stray: 0.2, offered: 8, limit: 100, least: 6 },
  ];
  for (const { least, ...load } of cases) {
    const stored = withStrayThrottles({ ...load, seed });
    assert(stored >= least, `${JSON.stringify(load)}: ${stored} MiB/s, seed ${seed}`);
  }
});
