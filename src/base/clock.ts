/** Time as a parameter: tests run hours of it in a moment. */
export interface Clock {
  /** Milliseconds that only ever grow, for whatever is measured. On most systems they do not count while the host sleeps. */
  now(): number;
  /** Milliseconds since 1970, for display only: setting the clock moves them, backwards too. */
  wall(): number;
  /** Resolves after `ms` milliseconds, or as soon as `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
    });
  },
};

/** So much less than before is no step back, but that the two clocks are not read at once. */
const UNEVEN_MS = 50;

/**
 * Milliseconds that only ever grow, and count the time in which the host slept: what the wall clock
 * went ahead of the other one since the last call is counted too. So a step forward of the wall clock
 * counts as time that has passed; a step back takes nothing away. To be asked now and then, since a
 * sleep and a step back between two calls cancel each other out.
 */
export function countingSleep(clock: Pick<Clock, "now" | "wall">): () => number {
  let aheadMs = clock.wall() - clock.now();
  let sleptMs = 0;
  return () => {
    const nowMs = clock.now();
    const ahead = clock.wall() - nowMs;
    if (ahead > aheadMs) sleptMs += ahead - aheadMs;
    if (ahead > aheadMs || ahead < aheadMs - UNEVEN_MS) aheadMs = ahead;
    return nowMs + sleptMs;
  };
}
