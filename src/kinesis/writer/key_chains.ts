export interface Chained {
  readonly partitionKey: string;
  /** Each one added has a greater one. */
  readonly position: number;
  /** The next of its partition key; the chains' own. */
  next: this | undefined;
}

/**
 * Records of which only the first of each partition key may go, so that none passes another of its
 * key. Whatever waits behind a key, the first record of every other one is at hand.
 */
export class KeyChains<T extends Chained> {
  /** The first of each key by position, from `#at` on; those before are taken. */
  #firsts: T[] = [];
  #at = 0;
  readonly #lasts = new Map<string, T>();

  get isEmpty(): boolean {
    return this.#lasts.size === 0;
  }

  add(record: T): void {
    const last = this.#lasts.get(record.partitionKey);
    if (last === undefined) this.#firsts.push(record);
    else last.next = record;
    this.#lasts.set(record.partitionKey, record);
  }

  /** Of those that may go, the one that was added first. */
  peek(): T | undefined {
    return this.#firsts[this.#at];
  }

  /** Takes what `peek` gives, until `giveBack`. */
  take(): void {
    if (this.#at < this.#firsts.length) this.#at++;
  }

  /** Ends the taking: what is stored goes, and makes room for the next of its key. */
  giveBack(isStored: (record: T) => boolean): void {
    if (this.#at === 0) return;
    const back: T[] = [];
    for (const record of this.#firsts.splice(0, this.#at)) {
      if (!isStored(record)) back.push(record);
      else if (record.next !== undefined) back.push(record.next);
      else this.#lasts.delete(record.partitionKey);
    }
    this.#at = 0;
    if (back.length > 0) this.#firsts = merge(back.sort(byPosition), this.#firsts);
  }

  /** All of them, by position. */
  all(): T[] {
    const records: T[] = [];
    for (const first of this.#firsts) {
      for (let record: T | undefined = first; record !== undefined; record = record.next) {
        records.push(record);
      }
    }
    return records.sort(byPosition);
  }
}

function byPosition<T extends Chained>(left: T, right: T): number {
  return left.position - right.position;
}

/** Joins two lists that are each by position. */
function merge<T extends Chained>(left: T[], right: T[]): T[] {
  const merged: T[] = [];
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    merged.push(byPosition(left[l]!, right[r]!) < 0 ? left[l++]! : right[r++]!);
  }
  while (l < left.length) merged.push(left[l++]!);
  while (r < right.length) merged.push(right[r++]!);
  return merged;
}
