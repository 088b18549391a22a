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

/** Rows, each with the position of the change that made it what it is. */
type Rows = Map<string, number>;

/** A copy as docs/consuming.md makes it: by the highest position of each row, for all shards. */
class Copy {
  readonly rows: Rows = new Map();
  readonly #highest = new Map<string, number>();

  apply(name: string, position: number): void {
    const { operation, table, row } = readName(name);
    if (operation === "truncate") {
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
 * of a generation in either order.
 */
export function* replayForConsumers(
  committed: readonly CommittedChange[],
  published: readonly PublishedChange[],
  shards: readonly DumpedShard[],
  positions: ReadonlyMap<string, number>,
): Generator<string> {
  const expected = new Copy();
  committed.forEach(({ name }, position) => expected.apply(name, position));
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
        yield `${kind}: ${row} is of ${nameAt(committed, is)}, not ${nameAt(committed, should)}`;
      }
    }
  }
}

function nameAt(committed: readonly CommittedChange[], position: number | undefined): string {
  return position === undefined ? "nothing" : `"${committed[position]!.name}"`;
}
