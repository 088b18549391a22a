import type { Clock } from "./clock.ts";

/** How something is tried again. */
export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** The next pause, in milliseconds. */
  readonly pauseMs: () => number;
  /** Called after each failure but those of an abort; throws what is not tried again. */
  readonly failed: (error: unknown) => void;
}

/**
 * Tries until it works.
 * @throws what `failed` throws; the signal's reason when it aborts.
 */
export async function keepTrying<T>(
  attempt: () => Promise<T>,
  { clock, signal, pauseMs, failed }: Patience,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      failed(error);
    }
    await clock.sleep(pauseMs(), signal);
  }
}
