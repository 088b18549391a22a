import type { CommittedChange } from "./committed.ts";
import type { DumpedShard } from "./fault_server_process.ts";
import { parentsFirst } from "./parents_first.ts";
import type { PublishedChange } from "./published.ts";

/** What a name says beside its transaction. */
function readName(name: string): { operation: string; table: string; row: string } {
  const [, operation = "", table = "", id = ""] = name.split(" ");
  return { operation, table, row: `${table} ${id}` };
}

export function isTruncate({ name }: Pick<PublishedChange, "name">): boolean {
  return readName(name).operation === "truncate";
}

/** A copy as docs/consuming.md makes it: by the highest position of each row, for all shards. */
class Copy {
  /** Each with the position of the change that made it what it is. */
  readonly rows = new Map<string, number>();
  /** Of rows, and for `TABLE *` of the TRUNCATEs of a table. */
  readonly #highest = new Map<string, number>();

  /** The greatest position that a row or its table had. */
  highest(row: string): number {
    const all = row.replace(/ .*/, " *");
    return Math.max(this.#highest.get(row) ?? -1, this.#highest.get(all) ?? -1);
  }

  apply(name: string, position: number): void {
    const { operation, table, row } = readName(name);
    if (operation === "message") return;
    if (operation === "truncate") {
      this.#highest.set(row, Math.max(position, this.#highest.get(row) ?? -1));
      for (const [other, at] of this.rows) {
        if (at < position && other.startsWith(`${table} `)) this.rows.delete(other);
      }
      return;
    }
    if (position <= (this.#highest.get(row) ?? -1)) return;
    this.#highest.set(row, position);
    if (operation === "delete") this.rows.delete(row);
    else this.rows.set(row, position);
  }
}

/**
 * Reads the stream as several consumers do, and gives what their copies have that the database has not,
 * and the other way round: one built on the KCL and one that applies every record, each with the shards
 * of a generation in either order. A row of which the stream has a change that a failover lost may be
 * what that left, until the database changes it again.
 */
export function* replayForConsumers(
  committed: readonly CommittedChange[],
  published: readonly PublishedChange[],
  shards: readonly DumpedShard[],
  positions: ReadonlyMap<string, number>,
): Generator<string> {
  const expected = new Copy();
  committed.forEach(({ name, isLost }, position) => {
    if (!isLost) expected.apply(name, position);
  });
  const byShard = Map.groupBy(published, ({ shardId }) => shardId);
  for (const isReversed of [false, true]) {
    const order = parentsFirst(isReversed ? shards.toReversed() : shards);
    for (const kind of ["KCL", "every record"] as const) {
      const copy = new Copy();
      for (const { id } of order) {
        for (const { name, isSeen } of byShard.get(id) ?? []) {
          const position = positions.get(name);
          if (position !== undefined && (isSeen || kind !== "KCL")) copy.apply(name, position);
        }
      }
      for (const row of new Set([...expected.rows.keys(), ...copy.rows.keys()])) {
        const [should, is] = [expected.rows.get(row), copy.rows.get(row)];
        if (should === is) continue;
        const highest = copy.highest(row);
        if (committed[highest]?.isLost && highest > expected.highest(row)) continue;
        yield `${kind}: ${row} is of ${nameAt(committed, is)}, not ${nameAt(committed, should)}`;
      }
    }
  }
}

function nameAt(committed: readonly CommittedChange[], position: number | undefined): string {
  return position === undefined ? "nothing" : `"${committed[position]!.name}"`;
}
