/** The bytes of an ASCII literal. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Whether `bytes` has `expected` at `at`. */
export function hasAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[at + index] !== expected[index]) return false;
  }
  return true;
}

/** Whether `bytes[start, end)` equals `expected`. */
export function equals(
  bytes: Uint8Array,
  start: number,
  end: number,
  expected: Uint8Array,
): boolean {
  return end - start === expected.length && hasAt(bytes, start, expected);
}

/**
 * A map whose keys are runs of bytes inside messages, so that looking up the table of a change makes
 * no string. The caller hashes the bytes while it looks for their end; any hash will do.
 *
 * It is a cache: a database that makes tables for ever must not grow it for ever, so it forgets
 * everything once it holds {@linkcode MAX_ENTRIES}.
 */
export class ByteKeyedCache<V> {
  #buckets = new Map<number, { readonly key: Uint8Array; readonly value: V }[]>();
  #size = 0;

  get(hash: number, bytes: Uint8Array, start: number, end: number): V | undefined {
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) return undefined;
    for (const entry of bucket) {
      if (equals(bytes, start, end, entry.key)) return entry.value;
    }
    return undefined;
  }

  set(hash: number, bytes: Uint8Array, start: number, end: number, value: V): void {
    if (this.#size >= MAX_ENTRIES) {
      this.#buckets.clear();
      this.#size = 0;
    }
    const entry = { key: bytes.slice(start, end), value };
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [entry]);
    else bucket.push(entry);
    this.#size++;
  }
}

const MAX_ENTRIES = 50_000;
