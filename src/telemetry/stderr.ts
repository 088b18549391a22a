import { systemClock } from "../clock.ts";

/** Writes to stderr, which log lines and a status line share. */

const encoder = new TextEncoder();

/** Milliseconds after which a log reader that takes nothing loses lines. */
const PATIENCE_MS = 1000;

/** To the beginning of the line, and all of it gone. */
const CLEAR_LINE = "\r\x1b[K";

/** What stands in the terminal's last line; empty: nothing. */
let status = "";

/**
 * Writes a line before it returns; a status line moves on below it. A log nobody reads any more does
 * not stop the run.
 */
export function writeLine(line: string): void {
  if (status === "") write(line + "\n");
  else write(`${CLEAR_LINE}${line}\n${status}`);
}

/** Shows `text` in the terminal's last line, in the place of what stood there; empty: takes it away. */
export function showStatus(text: string): void {
  if (text === status) return;
  status = text;
  write(CLEAR_LINE + text);
}

function write(text: string): void {
  let rest = encoder.encode(text);
  const giveUp = systemClock.now() + PATIENCE_MS;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(Deno.stderr.writeSync(rest));
    } catch (error) {
      // Somebody else made the pipe non-blocking, and its reader is slow.
      if (!(error instanceof Deno.errors.WouldBlock) || systemClock.now() > giveUp) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
