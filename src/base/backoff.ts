/** Of the pauses between tries, in milliseconds. */
export interface BackoffBounds {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** A service or a server is back within seconds of a failure: no longer than 5 s. */
const USUAL_BOUNDS: BackoffBounds = { firstMs: 50, longestMs: 5_000 };

/**
 * Pauses that double, with full jitter: each is anywhere between nothing and its bound, so that lanes,
 * or hosts, that failed together do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  #boundMs: number;

  /** `random` gives numbers in [0, 1). */
  constructor(
    private readonly random: () => number,
    private readonly bounds: BackoffBounds = USUAL_BOUNDS,
  ) {
    this.#boundMs = bounds.firstMs;
  }

  nextMs(): number {
    const pauseMs = this.random() * this.#boundMs;
    this.#boundMs = Math.min(this.#boundMs * 2, this.bounds.longestMs);
    return pauseMs;
  }

  /** After a success. */
  reset(): void {
    this.#boundMs = this.bounds.firstMs;
  }
}
