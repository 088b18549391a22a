/** How long small reads are held up to become one. */
export const GATHER_MS = 1;
/** A read of this many bytes is worth its cost. */
const LARGE_READ_BYTES = 16 * 1024;
/** So many small reads in a row, each of them so soon after the one before, are a stream of them. */
const SMALL_READS = 4;
const SOON_MS = 0.5;
/** A small read so soon behind a large one: the stream goes on, and we have caught up with it. */
const CAUGHT_UP_MS = 10;

/**
 * Says when to let bytes gather before the next read. A walsender writes message by message; reading
 * them one by one takes four times the processor time, here and of the walsender that wakes us. Reads
 * that come now and then are never held up, so an idle or lightly loaded slot loses no time.
 */
export class ReadPacer {
  #smallReads = 0;
  #wasLarge = false;
  #lastMs = -Infinity;

  /** Whether to gather after a read of `bytes` at `nowMs`, from a monotonic clock. */
  shouldGather(bytes: number, nowMs: number): boolean {
    const sinceMs = nowMs - this.#lastMs;
    const wasLarge = this.#wasLarge;
    this.#lastMs = nowMs;
    this.#wasLarge = bytes >= LARGE_READ_BYTES;
    if (this.#wasLarge) {
      this.#smallReads = 0;
      return false;
    }
    if (wasLarge && sinceMs < CAUGHT_UP_MS) return true;
    if (sinceMs >= SOON_MS) {
      this.#smallReads = 0;
      return false;
    }
    this.#smallReads++;
    if (this.#smallReads < SMALL_READS) return false;
    this.#smallReads = 0;
    return true;
  }
}
