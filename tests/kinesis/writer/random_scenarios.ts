import { assert, assertEquals } from "@std/assert";
import { openStream } from "../../../src/kinesis/stream/open_stream.ts";
import { StreamWriter } from "../../../src/kinesis/writer/stream_writer.ts";
import { WriterMemory } from "../../../src/kinesis/writer/writer_memory.ts";
import type { Ticket } from "../../../src/base/record_writer.ts";
import { lanesBefore, ShardOrder } from "../../../src/tail/shard_order.ts";
import { FaultPlan } from "../../support/fault_server/fault_plan.ts";
import { FaultyService } from "../../support/fault_server/faulty_service.ts";
import { KinesisService } from "../../support/fault_server/kinesis_service.ts";
import type { ShardState, StreamState } from "../../support/fault_server/stream_state.ts";
import { randomFrom } from "../../support/random.ts";
import { isHome, type SeenRecord, seenRecords } from "./seen_by_consumer.ts";
import { SimulatedKinesis } from "./simulated_kinesis.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

const STREAM = "changes";
const HOUR_MS = 3_600_000;
const KIB = 1024;

/** What a scenario met and did. */
export interface ScenarioResult {
  readonly puts: number;
  readonly faults: number;
  readonly userRecords: number;
  readonly duplicates: number;
  readonly reshards: number;
}

/** What was added: `text` is its place among all, so that a reader knows what should come first. */
interface Added {
  readonly partitionKey: string;
  readonly position: number;
  readonly everyShard: boolean;
}

/** A transaction that knows what of it a KCL consumer would see, beside what is acknowledged. */
class CheckedTicket implements Ticket {
  expected = 0;
  acknowledged = 0;
  /** Records that are seen by the KCL; one that goes to every shard counts in each. */
  readonly seen = new Set<string>();
  hasRecordForEveryShard = false;

  expect(records: number): void {
    this.expected += records;
  }

  acknowledge(records: number): void {
    this.acknowledged += records;
    assert(this.acknowledged <= this.expected, "more acknowledged than expected");
    // Copies of merged shards become one, so only the rest can be counted exactly.
    if (this.hasRecordForEveryShard) return;
    assert(this.acknowledged <= this.seen.size, "acknowledged before it was stored");
  }
}

/**
 * Runs one random scenario, all of it decided by the seed: adds × shards × faults × reshards, in
 * virtual time. Throws where a promise of the writer is broken.
 */
export async function runScenario(seed: number): Promise<ScenarioResult> {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const chance = (probability: number) => random() < probability;
  const upTo = (most: number, often = 0.5) => chance(often) ? random() * most : 0;

  const clock = new VirtualClock();
  const aggregation = chance(0.75) ? "kpl" : "none";
  const mayReshard = chance(0.7);
  const mayMerge = mayReshard && chance(0.7);
  const highWaterBytes = KIB << below(6);
  const shardCount = 1 + below(6);
  const service = new KinesisService({
    maxRecordBytes: KIB << below(4),
    shardsPerPage: 1 + below(10),
    listingLagMs: upTo(3_000, 0.3),
    refusesForeignOrdering: chance(0.3),
    mode: chance(0.5) ? "PROVISIONED" : "ON_DEMAND",
    throughput: chance(0.2)
      ? {
        bytesPerSecond: 8 * KIB,
        recordsPerSecond: 1000,
        kind: chance(0.5) ? "bucket" : "window",
      }
      : undefined,
    now: () => clock.now(),
  });
  service.call("CreateStream", { StreamName: STREAM, ShardCount: shardCount });
  const plan = new FaultPlan({
    random,
    slowMs: 100 + below(2_000),
    chances: {
      throttle: upTo(0.2),
      error: upTo(0.1),
      partial: upTo(0.2),
      "cut-before": upTo(0.1),
      "cut-after": upTo(0.1),
      "error-after": upTo(0.1),
      "slow-before": upTo(0.05),
      "slow-after": upTo(0.05),
      split: mayReshard ? upTo(0.05) : 0,
      merge: mayMerge ? upTo(0.05) : 0,
      rescale: mayMerge ? upTo(0.02) : 0,
    },
  });
  const faulty = new FaultyService(service, plan, (ms) => clock.sleep(ms));
  const network = { latencyMs: 1 + below(60), timeoutMs: 300 + below(1_500) };
  const api = new SimulatedKinesis(faulty, clock, network, random);
  const stream = service.stream(STREAM);

  const added: Added[] = [];
  const tickets: CheckedTicket[] = [];
  const ticketOf: CheckedTicket[] = [];
  const seen: SeenRecord[] = [];
  service.onStored = (put) => {
    for (const record of seenRecords(put, stream)) {
      seen.push(record);
      const position = Number.parseInt(record.text);
      assertEquals(record.partitionKey, added[position]!.partitionKey);
      if (record.isSeenByKcl) ticketOf[position]!.seen.add(record.text);
    }
  };
  api.onRequest = (records) => {
    assert(api.putsInFlight < stream.shards.length, "more than one request for a shard");
    const keys = new Set(records.map(({ partitionKey }) => partitionKey));
    assertEquals(keys.size, records.length, "two records of one key in a request");
  };

  const work = async () => {
    const { signal } = new AbortController();
    const options = { name: STREAM, create: false, shardCount: 0 };
    const opened = await openStream(api, options, clock, random, signal);
    const lingerMs = chance(0.2) ? below(200) : 0;
    const memory = new WriterMemory(highWaterBytes);
    const writer = new StreamWriter({
      api,
      stream: opened,
      aggregation,
      lingerMs,
      memory,
      clock,
      random,
    });
    const keys = 1 + below(60);
    const broadcasts = upTo(0.02, 0.4);
    const records = 50 + below(800);
    let batch = 0;
    for (let position = 0; position < records; position++) {
      if (tickets.length === 0 || chance(0.1)) tickets.push(new CheckedTicket());
      const ticket = tickets.at(-1)!;
      const everyShard = chance(broadcasts);
      const partitionKey = everyShard ? "public.t" : `public.t:${below(keys)}`;
      const data = `${position} ${"é".repeat(below(chance(0.05) ? 400 : 30))}`;
      added.push({ partitionKey, position, everyShard });
      ticketOf.push(ticket);
      ticket.hasRecordForEveryShard ||= everyShard;
      const bytes = writer.add(partitionKey, data, ticket, everyShard ? "every shard" : undefined);
      assertEquals(bytes, 0);
      batch++;
      if (chance(0.1)) {
        await writer.flush();
        assert(writer.pendingBytes < highWaterBytes, "flush resolved above the bound");
        batch = 0;
      }
      if (chance(0.02)) await clock.sleep(below(2_000));
      if (mayReshard && chance(0.002)) {
        faulty.reshard(STREAM, mayMerge && chance(0.5) ? "merge" : "split");
      }
    }
    await writer.drain();
    assertEquals([memory.pending.bytes, memory.pending.records], [0, 0]);
    const { reshards } = writer.stats();
    writer.close();
    return reshards;
  };
  const reshards = await clock.run(work(), 10 * HOUR_MS);

  tickets.forEach(({ expected, acknowledged }) => assertEquals(acknowledged, expected));
  const isForOneKey = ({ text }: SeenRecord) => !added[Number.parseInt(text)]!.everyShard;
  checkOrder(added.filter((record) => !record.everyShard), seen.filter(isForOneKey), stream);
  checkOrder(added, seen.filter((record) => record.isSeenByKcl), stream);
  if (aggregation === "kpl") checkShardOrder(seen, stream);
  const duplicates = countDuplicates(added, seen);
  if (plan.total === 0 && !mayReshard) assertEquals(duplicates, 0);
  return {
    puts: plan.puts,
    faults: plan.total,
    userRecords: added.length,
    duplicates,
    reshards,
  };
}

/**
 * Every key's records first appear in the order in which they were added, none missing; and each
 * record for every shard appears, where the key was at home, after the records before it and before
 * those after it. (Another shard's copy may come early when a merge overtakes it, and in an aggregate
 * that the KCL drops it stands in a foreign shard.) `seen` is in the order of arrival, so a parent
 * shard's come before its children's.
 */
function checkOrder(
  added: readonly Added[],
  seen: readonly SeenRecord[],
  stream: StreamState,
): void {
  const keys = new Set(added.filter((record) => !record.everyShard).map((r) => r.partitionKey));
  for (const key of keys) {
    const expected = added.filter((record) => record.everyShard || record.partitionKey === key)
      .map(({ position }) => position);
    const found: number[] = [];
    for (const { text, isExplicit, shardId, partitionKey } of seen) {
      if (isExplicit ? !isHome(stream, shardId, key) : partitionKey !== key) continue;
      const position = Number.parseInt(text);
      const next = expected[found.length];
      if (position === next) found.push(position);
      else if (!isExplicit && position > next!) found.push(position);
    }
    assertEquals(found, expected, `order of ${key}`);
  }
}

/**
 * What a KCL consumer sees first in a shard comes there in the order in which it was added; but for one
 * put of each lane that met a merge by it.
 */
function checkShardOrder(seen: readonly SeenRecord[], stream: StreamState): void {
  const covers = (outer: ShardState, inner: ShardState) =>
    outer.start <= inner.start && inner.end <= outer.end;
  const overlap = (left: ShardState, right: ShardState) =>
    left.start <= right.end && right.start <= left.end;
  const order = new ShardOrder<ShardState, number>((shard) =>
    lanesBefore(shard, ({ parents }) => parents.map((id) => stream.shard(id)), covers, overlap)
  );
  const known = new Set<string>();
  for (const put of Map.groupBy(seen, ({ arrival }) => arrival).values()) {
    const firsts = put.filter(({ text, isSeenByKcl, isExplicit }) =>
      isSeenByKcl && !isExplicit && !known.has(text)
    );
    for (const { text } of firsts) known.add(text);
    const { shardId } = put[0]!;
    const late = order.add({
      shard: stream.shard(shardId),
      positions: firsts.map(({ text }) => Number.parseInt(text)),
      liesIn: ({ start, end }) => put.every(({ hashKey }) => start <= hashKey && hashKey <= end),
    });
    assertEquals(late, [], `late in ${shardId}`);
  }
}

/** User records beyond the first of each, where one copy for each shard is no duplicate. */
function countDuplicates(added: readonly Added[], seen: readonly SeenRecord[]): number {
  const known = new Set<string>();
  for (const { text, shardId } of seen) {
    const position = Number.parseInt(text);
    known.add(added[position]!.everyShard ? `${position} ${shardId}` : String(position));
  }
  return seen.length - known.size;
}
