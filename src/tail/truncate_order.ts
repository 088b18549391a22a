import type { Shard } from "../kinesis/stream/shard_map.ts";
import { liesIn, type TailedRecord } from "./user_record.ts";

interface SeenTruncate {
  readonly shard: Shard;
  greatest: bigint;
}

/** A row's change behind a TRUNCATE that is above it: the TRUNCATE must come again. */
export interface Uncovered {
  readonly record: TailedRecord;
  readonly position: bigint;
}

/**
 * Verifies that a TRUNCATE removes what it removed in the database, for consumers that let it remove the
 * rows below its position: behind each change that is below it stands a TRUNCATE above that change, in
 * the change's own shard or one that follows. Where shards were merged it may come before, and again.
 * Keeps two numbers for each shard that a table's TRUNCATE was seen in.
 */
export class TruncateOrder {
  readonly #seen = new Map<string, Map<string, SeenTruncate>>();
  /** By table and shard: the change with the greatest position. */
  readonly #uncovered = new Map<string, Map<string, Uncovered>>();

  /** Whether any was seen: before, no row needs to be looked at. */
  get hasTruncates(): boolean {
    return this.#seen.size > 0;
  }

  /** True: it removes rows that no TRUNCATE before it could. */
  truncate(table: string, shard: Shard, position: bigint): boolean {
    const shards = valueOf(this.#seen, table);
    const seen = shards.get(shard.id);
    if (seen === undefined) shards.set(shard.id, { shard, greatest: position });
    else if (position > seen.greatest) seen.greatest = position;

    let removes = false;
    const uncovered = this.#uncovered.get(table);
    for (const [id, change] of uncovered ?? []) {
      if (change.position > position || !liesIn(shard, change.record)) continue;
      uncovered!.delete(id);
      removes = true;
    }
    return removes;
  }

  /** A change of a row that was never seen before. */
  row(table: string, shard: Shard, position: bigint, record: TailedRecord): void {
    for (const { shard: holder, greatest } of this.#seen.get(table)?.values() ?? []) {
      if (position > greatest || !liesIn(holder, record)) continue;
      const uncovered = valueOf(this.#uncovered, table);
      const before = uncovered.get(shard.id);
      if (before === undefined || before.position < position) {
        uncovered.set(shard.id, { record, position });
      }
    }
  }

  /** Those whose TRUNCATE did not come again. */
  *uncovered(): Generator<Uncovered> {
    for (const changes of this.#uncovered.values()) yield* changes.values();
  }
}

function valueOf<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let map = maps.get(key);
  if (map === undefined) maps.set(key, map = new Map());
  return map;
}
