/** Bounds of the pauses between tries, in milliseconds. */
const FIRST_MS = 50;
const LONGEST_MS = 5_000;

/**
 * Pauses that double, with full jitter: each one is anywhere between nothing and its bound, so that
 * lanes that failed together do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  #bound = FIRST_MS;

  /** `random` gives numbers in [0, 1). */
  constructor(private readonly random: () => number) {}

  nextMs(): number {
    const pause = this.random() * this.#bound;
    this.#bound = Math.min(this.#bound * 2, LONGEST_MS);
    return pause;
  }

  /** After a success. */
  reset(): void {
    this.#bound = FIRST_MS;
  }
}
