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

  /** At least `bytes` long, at most three times as long as needed; what it holds is left over from its last use. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    let size = SMALLEST_BYTES;
    while (size < bytes) size *= 2;
    if (bytes <= size / 4 * 3 && size > SMALLEST_BYTES) size = size / 4 * 3;
    let buffer: Uint8Array<ArrayBuffer> | undefined;
    for (let free = size; buffer === undefined && free <= size * 2; free = sizeAfter(free)) {
      buffer = this.#free.get(free)?.pop();
    }
    if (buffer === undefined) return new Uint8Array(size);
    this.#freeBytes -= buffer.length;
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

/** The next of the sizes: half as much again as a power of two, or a third more than what lies between. */
function sizeAfter(size: number): number {
  const isPowerOfTwo = (size & (size - 1)) === 0;
  return isPowerOfTwo ? size / 2 * 3 : size / 3 * 4;
}
