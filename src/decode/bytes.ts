import { columnBudget } from "./column_budget.ts";

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
 * It is a cache: a database that keeps creating tables must not make it grow forever, so it forgets
 * everything once it holds {@linkcode MAX_ENTRIES}, or when the columns that are remembered are too many.
 */
export class ByteKeyedCache<V> {
  #buckets = new Map<number, { readonly key: Uint8Array; readonly value: V }[]>();
  #size = 0;
  #epoch = columnBudget.epoch;

  get(hash: number, bytes: Uint8Array, start: number, end: number): V | undefined {
    if (this.#epoch !== columnBudget.epoch) this.#forget();
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) return undefined;
    for (const entry of bucket) {
      if (equals(bytes, start, end, entry.key)) return entry.value;
    }
    return undefined;
  }

  set(hash: number, bytes: Uint8Array, start: number, end: number, value: V): void {
    if (this.#size >= MAX_ENTRIES) this.#forget();
    const entry = { key: bytes.slice(start, end), value };
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [entry]);
    else bucket.push(entry);
    this.#size++;
  }

  #forget(): void {
    this.#buckets.clear();
    this.#size = 0;
    this.#epoch = columnBudget.epoch;
  }
}

/** Keeps runs of bytes once that come again and again; it, too, forgets which there were. */
export class ByteInterner {
  #buckets = new Map<number, Uint8Array[]>();
  #size = 0;

  /** A copy of `bytes[start, end)`, the same for the same bytes. */
  intern(bytes: Uint8Array, start: number, end: number): Uint8Array {
    let hash = end - start;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    const bucket = this.#buckets.get(hash);
    const known = bucket?.find((each) => equals(bytes, start, end, each));
    if (known !== undefined) return known;
    if (this.#size >= MAX_ENTRIES) {
      this.#buckets.clear();
      this.#size = 0;
    }
    const copy = bytes.slice(start, end);
    if (bucket === undefined) this.#buckets.set(hash, [copy]);
    else bucket.push(copy);
    this.#size++;
    return copy;
  }
}

const MAX_ENTRIES = 50_000;
