/**
 * Waits for what was asked on a connection. A stop, or no end within `ms` (0: no limit), ends the
 * connection, and so the wait: over a way that went silent it would be one without end.
 */
export async function bounded<T>(
  connection: { destroy(): void },
  work: Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T> {
  const destroy = () => connection.destroy();
  const timer = ms > 0 ? setTimeout(destroy, ms) : undefined;
  signal?.addEventListener("abort", destroy);
  if (signal?.aborted) destroy();
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", destroy);
  }
}
