/** Numbers from `first` to `last`, both included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Which numbers of each transaction were seen. They come in any order, since the changes of a
 * transaction lie in several shards. About 100 bytes for a transaction without gaps.
 */
export class SequenceGaps<Transaction> {
  /** Ascending, apart by at least one number; a number n stands for 0 to n. */
  readonly #seen = new Map<Transaction, number | NumberRange[]>();

  add(transaction: Transaction, seq: number): void {
    const seen = this.#seen.get(transaction);
    if (typeof seen === "number") {
      if (seq <= seen) return;
      if (seq === seen + 1) return void this.#seen.set(transaction, seq);
    } else if (seen === undefined && seq === 0) {
      return void this.#seen.set(transaction, 0);
    }
    const ranges = typeof seen === "number" ? [{ first: 0, last: seen }] : seen ?? [];
    insert(ranges, seq);
    const [only] = ranges;
    const isWhole = ranges.length === 1 && only!.first === 0;
    this.#seen.set(transaction, isWhole ? only!.last : ranges);
  }

  /** What is missing below the greatest number of each transaction. */
  *missing(): Generator<{ transaction: Transaction; ranges: NumberRange[] }> {
    for (const [transaction, seen] of this.#seen) {
      if (typeof seen === "number") continue;
      const ranges: NumberRange[] = [];
      let next = 0;
      for (const { first, last } of seen) {
        if (first > next) ranges.push({ first: next, last: first - 1 });
        next = last + 1;
      }
      yield { transaction, ranges };
    }
  }
}

function insert(ranges: NumberRange[], seq: number): void {
  // Nearly always at the end.
  let place = ranges.length;
  while (place > 0 && ranges[place - 1]!.first > seq) place--;
  const before = ranges[place - 1];
  const after = ranges[place];
  if (before !== undefined && seq <= before.last) return;
  const joinsBefore = before?.last === seq - 1;
  const joinsAfter = after?.first === seq + 1;
  const joined = {
    first: joinsBefore ? before.first : seq,
    last: joinsAfter ? after.last : seq,
  };
  ranges.splice(
    joinsBefore ? place - 1 : place,
    Number(joinsBefore) + Number(joinsAfter),
    joined,
  );
}
