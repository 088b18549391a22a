import { systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";

/** After a stop signal, for whoever reads to take what is being written. */
const PATIENCE_MS = 1_000;
/** Before a pipe that somebody made non-blocking is tried again. */
const RETRY_MS = 20;

/**
 * Writes to stdout, no faster than it is read. False when the reader has gone, as `| head` does, or took
 * nothing after the signal: a clean end.
 * @throws {RunError} when it cannot be written, as on a full disk.
 */
export async function writeOut(text: string, stop?: AbortSignal): Promise<boolean> {
  const out = openStdout(stop);
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(await out.write(rest));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/**
 * stdout, of which a write fails with `BrokenPipe` also when nobody has read a while after the signal, so
 * that a pager that waits for a key does not keep the program.
 */
export function openStdout(stop?: AbortSignal): { write(bytes: Uint8Array): Promise<number> } {
  return {
    async write(bytes) {
      const { promise: givenUp, reject } = Promise.withResolvers<never>();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const giveUpSoon = () => {
        const error = new Deno.errors.BrokenPipe("nobody reads the output");
        timer = setTimeout(() => reject(error), PATIENCE_MS);
      };
      stop?.addEventListener("abort", giveUpSoon);
      if (stop?.aborted) giveUpSoon();
      try {
        return await Promise.race([writeSome(bytes), givenUp]);
      } finally {
        stop?.removeEventListener("abort", giveUpSoon);
        clearTimeout(timer);
      }
    },
  };
}

async function writeSome(bytes: Uint8Array): Promise<number> {
  while (true) {
    try {
      return await Deno.stdout.write(bytes);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw error;
      if (!(error instanceof Deno.errors.WouldBlock)) {
        throw new RunError(`cannot write to stdout: ${whyNot(error)}`, { cause: error });
      }
      await systemClock.sleep(RETRY_MS);
    }
  }
}

function whyNot(error: unknown): string {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  switch (code) {
    case "ENOSPC":
      return "no space is left there; free some, or send the output elsewhere";
    case "EBADF":
      return "it is closed; send it to a file or a pipe";
    default:
      return `${message ?? error}; send the output elsewhere`;
  }
}
