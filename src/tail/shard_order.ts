/** One Kinesis record. */
export interface OrderedPut<S, P> {
  readonly shard: S;
  /** Positions of the changes in it that were never seen before, as they stand in it. */
  readonly positions: readonly P[];
  /** Whether all of its user records hash into a shard. */
  readonly liesIn: (shard: S) => boolean;
}

/** A put that may have been ahead of what another lane had waiting. */
interface Ahead<P> {
  readonly greatest: P;
  /** Least of what came after it; above `greatest`, it was not ahead of anything. */
  leastAfter: P | undefined;
}

interface LaneSlot<S, P> {
  readonly ancestor: S;
  ahead: Ahead<P> | undefined;
}

/**
 * Verifies that all changes of a shard, when aggregated, are first stored in the order of their
 * commits. Where shards were merged, one put of each lane that came before may be ahead of what the
 * others had waiting: whoever puts learns of the merge by the answer. Keeps a few numbers for a shard.
 */
export class ShardOrder<S extends { readonly id: string }, P extends number | bigint> {
  readonly #shards = new Map<string, { greatest: P | undefined; slots: LaneSlot<S, P>[] }>();

  /**
   * @param lanesBefore the shards that a shard came from, through any number of reshards, of which it
   *   holds a part beside parts of others; in a shard that only splits led to there is none
   */
  constructor(private readonly lanesBefore: (shard: S) => readonly S[]) {}

  /** The positions that come after a greater one, and may not. */
  add({ shard, positions, liesIn }: OrderedPut<S, P>): readonly P[] {
    if (positions.length === 0) return [];
    const state = this.#stateOf(shard);
    const late: P[] = [];
    let least: P = positions[0]!;
    let greatest = least;
    for (const position of positions) {
      if (position < greatest) late.push(position);
      if (position < least) least = position;
      if (position > greatest) greatest = position;
    }
    const slots = state.slots.filter(({ ancestor }) => liesIn(ancestor));
    const free = slots.find(({ ahead }) => ahead === undefined);
    if (free !== undefined) {
      free.ahead = { greatest, leastAfter: undefined };
      return late;
    }
    const before = state.greatest;
    if (before !== undefined && least < before) {
      const spare = slots.find(({ ahead }) => !isAhead(ahead!));
      if (spare === undefined) return positions.filter((position) => position < before);
      // The one before was in its place: this one is the lane's that may be ahead, or behind.
      const { greatest: other } = spare.ahead!;
      if (other > before) state.greatest = other;
      spare.ahead = { greatest, leastAfter: undefined };
      return late;
    }
    state.greatest = greatest;
    for (const { ahead } of state.slots) {
      if (ahead !== undefined && (ahead.leastAfter === undefined || least < ahead.leastAfter)) {
        ahead.leastAfter = least;
      }
    }
    return late;
  }

  #stateOf(shard: S) {
    let state = this.#shards.get(shard.id);
    if (state === undefined) {
      const slots = this.lanesBefore(shard).map((ancestor) => ({ ancestor, ahead: undefined }));
      this.#shards.set(shard.id, state = { greatest: undefined, slots });
    }
    return state;
  }
}

function isAhead<P extends number | bigint>({ greatest, leastAfter }: Ahead<P>): boolean {
  return leastAfter !== undefined && leastAfter < greatest;
}

/** What a lineage needs of a shard. */
export interface Descendant {
  readonly id: string;
  readonly parents: readonly string[];
}

/** For {@linkcode ShardOrder}: the ancestors of a shard that overlap it and do not cover it, nearest first. */
export function lanesBefore<S extends Descendant>(
  shard: S,
  byId: (id: string) => S | undefined,
  covers: (outer: S, inner: S) => boolean,
  overlap: (left: S, right: S) => boolean,
): readonly S[] {
  const found = new Set<S>();
  let generation: readonly S[] = [shard];
  while (generation.length > 0) {
    const parents = new Set(generation.flatMap(({ parents }) => parents));
    generation = Array.from(parents, byId).filter((parent) =>
      parent !== undefined && !found.has(parent) && overlap(parent, shard)
    ) as S[];
    for (const parent of generation) found.add(parent);
  }
  return [...found].filter((ancestor) => !covers(ancestor, shard));
}
