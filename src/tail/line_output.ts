/** Pieces of this size go out at once. */
const CHUNK_BYTES = 64 * 1024;

/** Nobody reads the output any more. */
export class ReaderGone extends Error {
  override name = "ReaderGone";
}

/** Where lines go; `Deno.stdout`, or a test's. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Collects lines and writes them in large pieces. Without blocking, so that a stop signal is heard while
 * a pager keeps the pipe full.
 */
export class LineOutput {
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #length = 0;

  constructor(private readonly sink: Sink) {}

  /** A promise comes back only when something had to be written out. */
  add(line: Uint8Array): Promise<void> | undefined {
    if (this.#length + line.length <= CHUNK_BYTES) {
      this.#buffer.set(line, this.#length);
      this.#length += line.length;
      return undefined;
    }
    return this.#addSlowly(line);
  }

  /** @throws {ReaderGone} */
  async flush(): Promise<void> {
    const length = this.#length;
    this.#length = 0;
    await this.#write(this.#buffer.subarray(0, length));
  }

  async #addSlowly(line: Uint8Array): Promise<void> {
    await this.flush();
    if (line.length > CHUNK_BYTES) await this.#write(line);
    else await this.add(line);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      while (bytes.length > 0) bytes = bytes.subarray(await this.sink.write(bytes));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw new ReaderGone();
      throw error;
    }
  }
}
