/** Milliseconds before the first attempt to connect again, at most; each further one doubles it. */
const FIRST_MS = 100;
/** A server is back within seconds of a restart or a failover: no longer than this. */
const LONGEST_MS = 5000;

/**
 * How long to wait before an attempt, counted from 0: full jitter, so that many programs do not come
 * back to a server at the same moment. `random` is in [0, 1).
 */
export function backoffMs(attempt: number, random: () => number): number {
  return Math.min(FIRST_MS * 2 ** Math.min(attempt, 20), LONGEST_MS) * (0.5 + random() / 2);
}
