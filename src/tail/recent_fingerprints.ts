import { createHash } from "node:crypto";

/** Fingerprints in a generation, of 24 to 48 bytes each. */
const GENERATION = 2_000_000;
const FIRST_SLOTS = 1024;
const EMPTY = -1;

/**
 * Remembers the last two to four million fingerprints, and 32 bits with each, in up to 96 MB: when the
 * younger generation is full, the older one is forgotten as a whole.
 */
export class RecentFingerprints {
  #older = new Generation();
  #younger = new Generation();

  /** `onForget` is called before a generation is forgotten. */
  constructor(
    private readonly onForget: () => void = () => {},
    private readonly generation = GENERATION,
  ) {}

  has(fingerprint: number): boolean {
    return this.get(fingerprint) !== undefined;
  }

  /** What was given with it last; undefined when it is not known. */
  get(fingerprint: number): number | undefined {
    return this.#younger.get(fingerprint) ?? this.#older.get(fingerprint);
  }

  /** `value`: 32 bits, unsigned. */
  add(fingerprint: number, value = 0): void {
    if (this.#younger.size >= this.generation) {
      this.onForget();
      this.#older = this.#younger;
      this.#younger = new Generation();
    }
    this.#younger.add(fingerprint, value);
  }
}

/** A map of numbers from 0 on, with open addressing: a Map takes four times as much. */
class Generation {
  size = 0;
  #slots = new Float64Array(FIRST_SLOTS).fill(EMPTY);
  #values = new Uint32Array(FIRST_SLOTS);

  get(fingerprint: number): number | undefined {
    const place = this.#place(fingerprint);
    return this.#slots[place] === fingerprint ? this.#values[place] : undefined;
  }

  add(fingerprint: number, value: number): void {
    const place = this.#place(fingerprint);
    this.#values[place] = value;
    if (this.#slots[place] === fingerprint) return;
    this.#slots[place] = fingerprint;
    this.size++;
    if (this.size * 2 > this.#slots.length) this.#grow();
  }

  /** Where it is, or where it would be put. */
  #place(fingerprint: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let place = (fingerprint >>> 0) & mask;
    while (slots[place] !== EMPTY && slots[place] !== fingerprint) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const slots = this.#slots;
    const values = this.#values;
    this.#slots = new Float64Array(slots.length * 2).fill(EMPTY);
    this.#values = new Uint32Array(slots.length * 2);
    slots.forEach((fingerprint, i) => {
      if (fingerprint === EMPTY) return;
      const place = this.#place(fingerprint);
      this.#slots[place] = fingerprint;
      this.#values[place] = values[i]!;
    });
  }
}

/**
 * 53 bits that stand for a text: among four million others the chance of meeting an equal one is one in
 * two thousand million. The hash is cyrb53, public domain.
 */
export function fingerprint(text: string): number {
  let high = 0xDEADBEEF, low = 0x41C6CE57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x9E3779B1);
    low = Math.imul(low ^ unit, 0x5F356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85EBCA6B) ^ Math.imul(low ^ (low >>> 13), 0xC2B2AE35);
  low = Math.imul(low ^ (low >>> 16), 0x85EBCA6B) ^ Math.imul(high ^ (high >>> 13), 0xC2B2AE35);
  return 0x1_0000_0000 * (low & 0x1F_FFFF) + (high >>> 0);
}

/** The same for bytes that belong to a text. */
export function fingerprintOfBytes(text: string, bytes: Uint8Array): number {
  const digest = createHash("md5").update(`${text}\0`).update(bytes).digest();
  return digest.readUIntBE(0, 6);
}

/** 32 bits that stand for bytes: FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
export function contentHash(bytes: Uint8Array): number {
  let hash = 0x811C9DC5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash >>> 0;
}
