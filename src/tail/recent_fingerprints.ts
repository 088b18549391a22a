import { createHash } from "node:crypto";

/** Fingerprints in a generation, of 16 to 32 bytes each. */
const GENERATION = 2_000_000;
const FIRST_SLOTS = 1024;
const EMPTY = -1;

/**
 * Remembers the last two to four million fingerprints, in up to 64 MB: when the younger generation is
 * full, the older one is forgotten as a whole.
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
    return this.#younger.has(fingerprint) || this.#older.has(fingerprint);
  }

  add(fingerprint: number): void {
    if (this.#younger.size >= this.generation) {
      this.onForget();
      this.#older = this.#younger;
      this.#younger = new Generation();
    }
    this.#younger.add(fingerprint);
  }
}

/** A set of numbers from 0 on, with open addressing: a Set takes four times as much. */
class Generation {
  size = 0;
  #slots = new Float64Array(FIRST_SLOTS).fill(EMPTY);

  has(fingerprint: number): boolean {
    return this.#slots[this.#place(fingerprint)] === fingerprint;
  }

  add(fingerprint: number): void {
    const place = this.#place(fingerprint);
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
    const old = this.#slots;
    this.#slots = new Float64Array(old.length * 2).fill(EMPTY);
    for (const fingerprint of old) {
      if (fingerprint !== EMPTY) this.#slots[this.#place(fingerprint)] = fingerprint;
    }
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
