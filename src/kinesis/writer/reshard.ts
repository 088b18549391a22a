import { hashPartitionKey } from "../stream/hash_key.ts";
import type { LaneQueue } from "./lane_queue.ts";
import type { QueuedRecord } from "../aggregate/queued_record.ts";
import { overlap, type Shard, type ShardMap } from "../stream/shard_map.ts";

/** What a lane of a closed shard leaves behind. */
export interface ClosedLane {
  readonly shard: Shard;
  readonly queue: LaneQueue;
  /** The shard that took the last put instead of this one, if one did. */
  readonly movedTo: string | undefined;
}

/**
 * Why a listing cannot be what the stream is now; undefined when it can. The listing may come from a
 * part of the service that has not heard of the reshard yet.
 *
 * @param moved lanes of which a put was answered by another shard
 * @param knownClosed shards that were seen closed before
 */
export function whyStale(
  map: ShardMap,
  moved: Iterable<{ readonly shard: Shard; readonly movedTo: string | undefined }>,
  knownClosed: ReadonlySet<string>,
): string | undefined {
  const gap = map.gap();
  if (gap !== undefined) return gap;
  const reopened = map.open.find((shard) => knownClosed.has(shard.id));
  if (reopened !== undefined) return `closed shard ${reopened.id} is listed as open`;
  for (const { shard, movedTo } of moved) {
    if (movedTo === undefined) continue;
    const holder = map.byId(movedTo);
    if (holder === undefined) return `shard ${movedTo} took a record, but is not listed`;
    // A shard that follows it overlaps it. No reshard explains any other: there is nothing to wait for.
    if (map.byId(shard.id)?.open && overlap(holder, shard)) {
      return `shard ${shard.id} is listed as open, but ${movedTo} took its record`;
    }
  }
  return undefined;
}

/**
 * Hands what the lanes of closed shards hold to the lanes of the shards that follow them, by position:
 * so the order of each partition key goes on, also where a merge joins two lanes. `queueOf` gives the
 * queue, new and empty, of an open shard.
 */
export function regroup(
  closed: readonly ClosedLane[],
  map: ShardMap,
  queueOf: (shard: Shard) => LaneQueue,
): void {
  const sources = closed.map(({ shard, queue, movedTo }) => ({
    shard,
    records: queue.takeApart(movedTo === undefined ? undefined : map.byId(movedTo)),
  }));
  /** Where a record for every shard went last: merged lanes bring it twice. */
  const lastForAll = new Map<LaneQueue, number>();
  for (const { record, shard } of byPosition(sources)) {
    const { partitionKey, data, everyShard, ticket, position } = record;
    if (!everyShard) {
      const target = map.open[map.indexOf(hashPartitionKey(partitionKey))]!;
      queueOf(target).add(partitionKey, data, false, ticket, position);
      continue;
    }
    const targets = map.open.filter((target) => overlap(target, shard)).map(queueOf);
    if (targets.length > 1) ticket.expect(targets.length - 1);
    for (const target of targets) {
      if (lastForAll.get(target) === position) {
        ticket.acknowledge(1);
      } else {
        lastForAll.set(target, position);
        target.add(partitionKey, data, true, ticket, position);
      }
    }
  }
}

interface Source {
  readonly shard: Shard;
  readonly records: Iterable<QueuedRecord>;
}

/** Joins sources that are each in order. */
function* byPosition(
  sources: readonly Source[],
): Generator<{ record: QueuedRecord; shard: Shard }> {
  const heads = sources.map(({ shard, records }) => {
    const iterator = records[Symbol.iterator]();
    return { shard, iterator, record: iterator.next().value as QueuedRecord | undefined };
  });
  for (;;) {
    let first: typeof heads[number] | undefined;
    for (const head of heads) {
      if (head.record === undefined) continue;
      if (first?.record === undefined || head.record.position < first.record.position) first = head;
    }
    if (first?.record === undefined) return;
    yield { record: first.record, shard: first.shard };
    first.record = first.iterator.next().value as QueuedRecord | undefined;
  }
}
