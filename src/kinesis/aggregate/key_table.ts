const FIRST_CAPACITY = 32;
/** A key that is not found within so many steps counts as new: to write it twice does no harm. */
const MAX_STEPS = 64;

/**
 * The partition keys of one aggregate by their bytes, which lie in the aggregate itself. A map of
 * strings costs several times as much a record: it flattens and hashes each, and keeps them all.
 */
export class KeyTable {
  #count = 0;
  /** Of each key. */
  #hashes = new Int32Array(FIRST_CAPACITY);
  #starts = new Int32Array(FIRST_CAPACITY);
  #lengths = new Int32Array(FIRST_CAPACITY);
  /** Indexes plus one, by hash, with linear probing; 0 where nothing is. Twice the capacity. */
  #slots = new Int32Array(FIRST_CAPACITY * 2);

  get count(): number {
    return this.#count;
  }

  /** Forgets all keys, but keeps the room for as many. */
  clear(): void {
    this.#count = 0;
    this.#slots.fill(0);
  }

  /** The index of the key that lies in `bytes` at `start`; -1 when it is none of these. */
  find(bytes: Uint8Array, start: number, length: number, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask, steps = 0; steps < MAX_STEPS; slot = (slot + 1) & mask, steps++) {
      const index = this.#slots[slot]! - 1;
      if (index === -1) return -1;
      if (this.#hashes[index] !== hash || this.#lengths[index] !== length) continue;
      const other = this.#starts[index]!;
      let i = 0;
      while (i < length && bytes[other + i] === bytes[start + i]) i++;
      if (i === length) return index;
    }
    return -1;
  }

  /** Takes the key as the next one. Its bytes stay where they are, also when the buffer moves. */
  add(start: number, length: number, hash: number): void {
    if (this.#count === this.#hashes.length) this.#grow();
    this.#hashes[this.#count] = hash;
    this.#starts[this.#count] = start;
    this.#lengths[this.#count] = length;
    this.#count++;
    this.#place(this.#count - 1);
  }

  #place(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[index]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index + 1;
  }

  #grow(): void {
    const capacity = this.#hashes.length * 2;
    this.#hashes = enlarged(this.#hashes, capacity);
    this.#starts = enlarged(this.#starts, capacity);
    this.#lengths = enlarged(this.#lengths, capacity);
    this.#slots = new Int32Array(capacity * 2);
    for (let index = 0; index < this.#count; index++) this.#place(index);
  }
}

function enlarged(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(array);
  return larger;
}
