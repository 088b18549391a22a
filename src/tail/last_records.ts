/** What is kept at most, in bytes of lines. */
const MAX_KEPT_BYTES = 256 * 1024 * 1024;

interface Kept {
  readonly line: Uint8Array;
  /** Never less than that of the line before it in the same shard, so that sorting keeps their order. */
  readonly arrivedAtMs: number;
}

/**
 * Keeps the last lines of a stream whose shards are read side by side: the last ones by the time at which
 * their records arrived, those of one shard in their order.
 */
export class LastRecords {
  readonly #byShard = new Map<string, Kept[]>();
  #bytes = 0;
  /** Lines that were let go because all together took too much memory. */
  letGo = 0;

  constructor(
    private readonly count: number,
    private readonly maxBytes: number = MAX_KEPT_BYTES,
  ) {}

  add(shardId: string, line: Uint8Array, arrivedAtMs: number | undefined): void {
    let kept = this.#byShard.get(shardId);
    if (kept === undefined) this.#byShard.set(shardId, kept = []);
    const atLeast = kept.at(-1)?.arrivedAtMs ?? -Infinity;
    kept.push({ line, arrivedAtMs: Math.max(arrivedAtMs ?? atLeast, atLeast) });
    this.#bytes += line.length;
    // No shard has more than all together; in larger steps, since each moves what is left.
    if (kept.length >= 2 * this.count) this.#drop(kept, kept.length - this.count);
    if (this.#bytes > this.maxBytes) this.#dropOldest();
  }

  /** How many lines `lines` would give. */
  get size(): number {
    let size = 0;
    for (const kept of this.#byShard.values()) size += kept.length;
    return Math.min(size, this.count);
  }

  lines(): Uint8Array[] {
    return this.#inOrder().slice(-this.count).map(({ line }) => line);
  }

  #inOrder(): Kept[] {
    // Stable, so a shard's own order stays.
    return [...this.#byShard.values()].flat().toSorted((a, b) => a.arrivedAtMs - b.arrivedAtMs);
  }

  /** Lets go of those that would not be printed, then of the oldest, down to half of the bytes. */
  #dropOldest(): void {
    const ordered = this.#inOrder();
    const doomed = new Set<Kept>();
    let bytes = this.#bytes;
    for (let i = 0; i < ordered.length && bytes > this.maxBytes / 2; i++) {
      if (i >= ordered.length - this.count) this.letGo++;
      doomed.add(ordered[i]!);
      bytes -= ordered[i]!.line.length;
    }
    for (const kept of this.#byShard.values()) {
      const first = kept.findIndex((one) => !doomed.has(one));
      this.#drop(kept, first < 0 ? kept.length : first);
    }
  }

  #drop(kept: Kept[], count: number): void {
    for (const { line } of kept.splice(0, count)) this.#bytes -= line.length;
  }
}
