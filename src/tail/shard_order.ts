/** One Kinesis record. */
export interface OrderedPut<S, P> {
  readonly shard: S;
  /** Positions of the changes in it that were never seen before, as they stand in it. */
  readonly positions: readonly P[];
  /** Whether all of its user records hash into a shard. */
  readonly liesIn: (shard: S) => boolean;
}

/** The put of a lane that may be out of place. */
interface Free<P> {
  readonly greatest: P;
  /** A greater one had come before it. */
  readonly isBehind: boolean;
  /** Of what came after it. */
  leastAfter: P | undefined;
}

interface LaneSlot<S, P> {
  readonly ancestor: S;
  free: Free<P> | undefined;
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
    const before = state.greatest;
    const isBehind = before !== undefined && least < before;
    const slots = state.slots.filter(({ ancestor }) => liesIn(ancestor));
    const unused = slots.find(({ free }) => free === undefined);
    if (unused !== undefined) {
      unused.free = { greatest, isBehind, leastAfter: undefined };
      return late;
    }
    if (isBehind) {
      const spare = slots.find(({ free }) => !isOutOfPlace(free!));
      if (spare === undefined) return positions.filter((position) => position < before);
      // The one before was in its place; it counts, and this one is the lane's that need not be.
      const { greatest: other } = spare.free!;
      if (other > before) state.greatest = other;
      spare.free = { greatest, isBehind, leastAfter: undefined };
      return late;
    }
    state.greatest = greatest;
    for (const { free } of state.slots) {
      if (free === undefined) continue;
      if (free.leastAfter === undefined || least < free.leastAfter) free.leastAfter = least;
    }
    return late;
  }

  #stateOf(shard: S) {
    let state = this.#shards.get(shard.id);
    if (state === undefined) {
      const slots = this.lanesBefore(shard).map((ancestor) => ({ ancestor, free: undefined }));
      this.#shards.set(shard.id, state = { greatest: undefined, slots });
    }
    return state;
  }
}

function isOutOfPlace<P extends number | bigint>(
  { greatest, isBehind, leastAfter }: Free<P>,
): boolean {
  return isBehind || leastAfter !== undefined && leastAfter < greatest;
}

/** For {@linkcode ShardOrder}: the ancestors of a shard that overlap it and do not cover it, nearest first. */
export function lanesBefore<S>(
  shard: S,
  parentsOf: (shard: S) => readonly S[],
  covers: (outer: S, inner: S) => boolean,
  overlap: (left: S, right: S) => boolean,
): readonly S[] {
  const found = new Set<S>();
  let generation: readonly S[] = [shard];
  while (generation.length > 0) {
    const parents = new Set(generation.flatMap(parentsOf));
    generation = [...parents].filter((parent) => !found.has(parent) && overlap(parent, shard));
    for (const parent of generation) found.add(parent);
  }
  return [...found].filter((ancestor) => !covers(ancestor, shard));
}
