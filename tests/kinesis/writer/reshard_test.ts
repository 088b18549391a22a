import { assertEquals } from "@std/assert";
import type { LaneQueue } from "../../../src/kinesis/writer/lane_queue.ts";
import type { QueuedRecord } from "../../../src/kinesis/aggregate/queued_record.ts";
import { regroup, whyStale } from "../../../src/kinesis/writer/reshard.ts";
import type { ListedShard } from "../../../src/kinesis/client/listed_shard.ts";
import { type Shard, ShardMap } from "../../../src/kinesis/stream/shard_map.ts";
import { hashKeyOf } from "../../support/read_back.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

const END = 1n << 128n;
const HALF = END / 2n;

function listed(id: string, start: bigint, end: bigint, isClosed = false): ListedShard {
  return {
    ShardId: id,
    HashKeyRange: { StartingHashKey: String(start), EndingHashKey: String(end - 1n) },
    SequenceNumberRange: isClosed ? { EndingSequenceNumber: "9" } : {},
  };
}

/** A queue that only remembers. */
class FakeQueue implements Partial<LaneQueue> {
  readonly added: { text: string; everyShard: boolean; position: number }[] = [];
  storedIn: Shard | undefined;

  constructor(private readonly records: readonly QueuedRecord[] = []) {}

  add(_key: string, data: string | Uint8Array, everyShard: boolean, _: unknown, position: number) {
    const text = new TextDecoder().decode(data as Uint8Array);
    this.added.push({ text, everyShard, position });
  }

  takeApart(storedIn: Shard | undefined): Iterable<QueuedRecord> {
    this.storedIn = storedIn;
    return this.records;
  }
}

const asQueue = (queue: FakeQueue) => queue as unknown as LaneQueue;

function record(
  position: number,
  partitionKey: string,
  ticket = new CountingTicket(),
): QueuedRecord {
  const data = new TextEncoder().encode(String(position));
  return { partitionKey, data, everyShard: partitionKey === "*", ticket, position };
}

/** Keys that hash into the lower and the upper half. */
const LOW = Array.from({ length: 100 }, (_, i) => `k${i}`).filter((k) => hashKeyOf(k) < HALF);
const HIGH = Array.from({ length: 100 }, (_, i) => `k${i}`).filter((k) => hashKeyOf(k) >= HALF);

function run(
  map: ShardMap,
  closed: readonly { id: string; records: readonly QueuedRecord[]; movedTo?: string }[],
) {
  const queues = new Map(map.open.map((shard) => [shard, new FakeQueue()]));
  const sources = closed.map(({ id, records, movedTo }) => ({
    shard: map.byId(id)!,
    queue: new FakeQueue(records),
    movedTo,
  }));
  regroup(
    sources.map((source) => ({ ...source, queue: asQueue(source.queue) })),
    map,
    (shard) => asQueue(queues.get(shard)!),
  );
  const added = Object.fromEntries([...queues].map(([{ id }, queue]) => [id, queue.added]));
  return { added, sources };
}

const positions = (added: readonly { position: number }[] = []) => added.map((r) => r.position);

Deno.test("regroup gives a split lane's records to the halves in their order", () => {
  const map = ShardMap.fromListing([
    listed("whole", 0n, END, true),
    listed("low", 0n, HALF),
    listed("high", HALF, END),
  ]);
  const records = Array.from({ length: 20 }, (_, i) => record(i, (i % 3 ? LOW : HIGH)[i]!));
  const { added, sources } = run(map, [{ id: "whole", records, movedTo: "low" }]);
  assertEquals(positions(added["low"]), records.map((r) => r.position).filter((p) => p % 3 !== 0));
  assertEquals(positions(added["high"]), [0, 3, 6, 9, 12, 15, 18]);
  assertEquals(sources[0]!.queue.storedIn?.id, "low");
});

Deno.test("regroup joins merged lanes by position", () => {
  const map = ShardMap.fromListing([
    listed("low", 0n, HALF, true),
    listed("high", HALF, END, true),
    listed("whole", 0n, END),
  ]);
  const { added, sources } = run(map, [
    { id: "high", records: [1, 4, 5, 9].map((n) => record(n, HIGH[0]!)) },
    { id: "low", records: [0, 2, 3, 7, 8].map((n) => record(n, LOW[0]!)) },
  ]);
  assertEquals(positions(added["whole"]), [0, 1, 2, 3, 4, 5, 7, 8, 9]);
  assertEquals(sources[0]!.queue.storedIn, undefined);
});

Deno.test("regroup gives a record for every shard to each shard that follows, once", () => {
  const quarter = END / 4n;
  const map = ShardMap.fromListing([
    listed("a", 0n, HALF, true),
    listed("b", HALF, END, true),
    listed("first", 0n, quarter),
    listed("middle", quarter, HALF + quarter),
    listed("last", HALF + quarter, END),
  ]);
  const ticket = new CountingTicket();
  ticket.expect(2);
  const { added } = run(map, [
    { id: "a", records: [record(5, "*", ticket)] },
    { id: "b", records: [record(4, HIGH[0]!), record(5, "*", ticket)] },
  ]);
  const forAll = (id: string) => added[id]!.filter((r) => r.everyShard).map((r) => r.position);
  assertEquals([forAll("first"), forAll("middle"), forAll("last")], [[5], [5], [5]]);
  assertEquals(ticket.expected - ticket.acknowledged, 3);
});

Deno.test("whyStale believes a listing only when it explains what was seen", () => {
  const shards = { low: listed("low", 0n, HALF), high: listed("high", HALF, END) };
  const closedWhole = listed("whole", 0n, END, true);
  const after = ShardMap.fromListing([closedWhole, shards.low, shards.high]);
  const before = ShardMap.fromListing([listed("whole", 0n, END)]);
  const whole = before.byId("whole")!;
  const moved = [{ shard: whole, movedTo: "low" }];
  const none = new Set<string>();
  assertEquals(whyStale(after, moved, none), undefined);
  assertEquals(whyStale(before, [{ shard: whole, movedTo: undefined }], none), undefined);
  assertEquals(whyStale(before, moved, none), "shard low took a record, but is not listed");
  assertEquals(
    whyStale(after, [{ shard: whole, movedTo: "lower" }], none),
    "shard lower took a record, but is not listed",
  );
  const halfTold = ShardMap.fromListing([listed("whole", 0n, END), {
    ...shards.low,
    SequenceNumberRange: { EndingSequenceNumber: "9" },
  }]);
  assertEquals(
    whyStale(halfTold, moved, none),
    "shard whole is listed as open, but low took its record",
  );
  // No reshard explains that one half took what the other one holds.
  const low = after.byId("low")!;
  assertEquals(whyStale(after, [{ shard: low, movedTo: "high" }], none), undefined);
  assertEquals(whyStale(before, [], new Set(["whole"])), "closed shard whole is listed as open");
  assertEquals(
    whyStale(ShardMap.fromListing([closedWhole, shards.low]), moved, none),
    `no open shard holds hash key ${HALF}`,
  );
});
