/** What goes to stderr, which log lines and a status line share. */
import { LineWriter } from "./line_writer.ts";

/** For whoever reads the log to take some of its last lines. */
const LAST_WORDS_MS = 2_000;

/** By threads of their own: neither the run nor its end waits for a reader that has stopped. */
const writer = new LineWriter({ write: (bytes) => Deno.stderr.write(bytes) });
let isOver = false;

/** Writes a line soon, below what was written before and above the status line. */
export function writeLine(line: string): void {
  writer.writeLine(line);
}

/** Makes the line that says how many are missing at its place. */
export function sayDroppedWith(sayDropped: (count: number) => string): void {
  writer.sayDropped = sayDropped;
}

/** Shows `text` in the terminal's last line, in the place of what stood there; empty: takes it away. */
export function showStatus(text: string): void {
  if (!isOver) writer.showStatus(text);
}

/** Writes what is still to be written, and waits a few seconds at most. To be called before the process ends. */
export async function lastWords(): Promise<void> {
  isOver = true;
  writer.showStatus("");
  await writer.flush(LAST_WORDS_MS);
}
