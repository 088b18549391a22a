const SMALLEST_BYTES = 4 * 1024;

/**
 * Buffers of few sizes, powers of two and half as much again, that are used again. A lane that fills a
 * megabyte a second would otherwise leave as much for the garbage collector, and sixteen quiet lanes
 * must not hold a megabyte each.
 */
export class BufferPool {
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #freeBytes = 0;

  /** `maxFreeBytes` is kept at most for later; what is given back beyond it is let go. */
  constructor(readonly maxFreeBytes: number) {}

  /** At least `bytes` long; what it holds is left over from its last use. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    let size = SMALLEST_BYTES;
    while (size < bytes) size *= 2;
    if (bytes <= size / 4 * 3 && size > SMALLEST_BYTES) size = size / 4 * 3;
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return new Uint8Array(size);
    this.#freeBytes -= size;
    return buffer;
  }

  /** Only what `take` gave, once nothing else looks at it. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const size = buffer.length;
    if (this.#freeBytes + size > this.maxFreeBytes) return;
    const sameSize = this.#free.get(size);
    if (sameSize === undefined) this.#free.set(size, [buffer]);
    else sameSize.push(buffer);
    this.#freeBytes += size;
  }
}
