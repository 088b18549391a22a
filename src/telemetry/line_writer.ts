import { systemClock } from "../base/clock.ts";

/** Where lines go; `Deno.stderr`, or a test's. */
export interface LineSink {
  /** Gives how many of the bytes were taken. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Characters that wait; a reader that is slow for a moment loses nothing. */
const MAX_WAITING = 2 * 1024 * 1024;
/** Characters of one write, but for a line that is longer. */
const CHUNK = 32 * 1024;
/** Before a pipe that somebody made non-blocking is tried again. */
const RETRY_MS = 20;

/** To the beginning of the line, and all of it gone. */
const CLEAR_LINE = "\r\x1b[K";

const encoder = new TextEncoder();

/** A line, or how many were dropped at that place. */
type Entry = string | { dropped: number };

/**
 * Writes lines, and below them a status line, without ever waiting for whoever reads them: not the
 * thread either, as a write to a full pipe or a stopped terminal would. What finds the queue full, or
 * cannot be written, is dropped, and a line says how many as soon as one can be written again.
 */
export class LineWriter {
  readonly #queue: Entry[] = [];
  /** Characters in `#queue`. */
  #waiting = 0;
  /** What the last line is to be, and what it is; empty: nothing. */
  #wanted = "";
  #shown = "";
  /** Something failed in the middle of a line. */
  #isBroken = false;
  #writing: Promise<void> | undefined;
  /** Bytes that the sink has taken. */
  #taken = 0;

  /** `sayDropped` makes the line that says how many are missing. */
  constructor(
    private readonly sink: LineSink,
    public sayDropped: (count: number) => string = (count) => `${count} lines are missing here`,
  ) {}

  /** The line without its end. */
  writeLine(line: string): void {
    if (this.#waiting > 0 && this.#waiting + line.length > MAX_WAITING) this.#drop(1);
    else {
      this.#queue.push(line);
      this.#waiting += line.length;
    }
    this.#start();
  }

  /** Shows `text` in the terminal's last line, in the place of what stood there; empty: takes it away. */
  showStatus(text: string): void {
    this.#wanted = text;
    this.#start();
  }

  /**
   * Resolves when all is written, or cannot be; when nothing of it was taken for `idleMs`; and at the
   * latest after five times that.
   */
  async flush(idleMs: number): Promise<void> {
    this.#start();
    for (let turn = 0; turn < 5 && this.#writing !== undefined; turn++) {
      const before = this.#taken;
      const written = new AbortController();
      await Promise.race([this.#writing, systemClock.sleep(idleMs, written.signal)]);
      written.abort();
      if (this.#taken === before) return;
    }
  }

  #drop(count: number): void {
    const last = this.#queue.at(-1);
    if (typeof last === "object") last.dropped += count;
    else this.#queue.push({ dropped: count });
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => this.#writing = undefined);
  }

  async #writeAll(): Promise<void> {
    // Lines that are logged in one go become one write.
    await undefined;
    while (this.#queue.length > 0 || this.#wanted !== this.#shown) {
      if (!await this.#writeChunk()) return;
    }
  }

  /** Gives whether all of it was written. */
  async #writeChunk(): Promise<boolean> {
    const entries: Entry[] = [];
    const texts = [(this.#isBroken ? "\n" : "") + (this.#shown === "" ? "" : CLEAR_LINE)];
    for (let length = 0; this.#queue.length > 0 && length < CHUNK;) {
      const entry = this.#queue.shift()!;
      if (typeof entry === "string") this.#waiting -= entry.length;
      const text = (typeof entry === "string" ? entry : this.sayDropped(entry.dropped)) + "\n";
      length += text.length;
      entries.push(entry);
      texts.push(text);
    }
    const status = this.#wanted;
    texts.push(status);
    const parts = texts.map((text) => encoder.encode(text));
    const written = await this.#write(parts);
    if (written === Infinity) {
      this.#shown = status;
      this.#isBroken = false;
      return true;
    }
    this.#putBack(entries, parts, written);
    return false;
  }

  /** How many bytes of the parts were written; Infinity: all. */
  async #write(parts: readonly Uint8Array[]): Promise<number> {
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let length = 0;
    for (const part of parts) {
      bytes.set(part, length);
      length += part.length;
    }
    for (let done = 0; done < length;) {
      try {
        const taken = await this.sink.write(bytes.subarray(done));
        done += taken;
        this.#taken += taken;
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) return done;
        await systemClock.sleep(RETRY_MS);
      }
    }
    return Infinity;
  }

  /** Counts what of a write that failed is lost. */
  #putBack(entries: readonly Entry[], parts: readonly Uint8Array[], written: number): void {
    let end = parts[0]!.length;
    let lost = 0;
    entries.forEach((entry, place) => {
      const begin = end;
      end += parts[place + 1]!.length;
      if (end <= written) return;
      this.#isBroken ||= written > begin;
      lost += typeof entry === "string" ? 1 : entry.dropped;
    });
    const first = this.#queue[0];
    if (typeof first === "object") first.dropped += lost;
    else if (lost > 0) this.#queue.unshift({ dropped: lost });
    // It is tried again with the next line.
    this.#wanted = this.#shown = "";
  }
}
