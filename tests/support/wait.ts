/** How long a condition may take on a machine that many tests share. */
const DEFAULT_TIMEOUT_MS = 30_000;

export interface WaitOptions {
  /** What is waited for; the failure says that it did not happen. */
  readonly what: string;
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** Asked when the time is over: what was found instead. */
  readonly found?: () => unknown;
}

/**
 * Asks again and again until `condition` gives something other than false, null or undefined, and
 * gives that. An exception in it ends the wait at once.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { what, timeoutMs = DEFAULT_TIMEOUT_MS, intervalMs = 20, found } = options;
  const deadline = performance.now() + timeoutMs;
  while (true) {
    const value = await condition();
    if (value !== false && value !== null && value !== undefined) {
      return value as Exclude<T, false | null | undefined>;
    }
    if (performance.now() >= deadline) {
      const rest = found === undefined ? "" : `; found ${describe(await found())}`;
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}${rest}`);
    }
    await sleep(intervalMs);
  }
}

/** Resolves after `ms` milliseconds. For polling; a test itself waits for conditions. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function describe(value: unknown): string {
  return typeof value === "string" ? value : Deno.inspect(value, { depth: 6 });
}
