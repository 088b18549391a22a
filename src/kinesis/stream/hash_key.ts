/**
 * A Kinesis hash key: 128 bits as four unsigned words, most significant first. BigInt would cost more
 * than the MD5 itself, and this is done once a record.
 */
export type HashKey = Uint32Array;

const SINES = Int32Array.from(
  { length: 64 },
  (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);
const MAX_KEY_BYTES = 256 * 3;
const BLOCK_BYTES = 64;

const bytes = new Uint8Array(Math.ceil((MAX_KEY_BYTES + 9) / BLOCK_BYTES) * BLOCK_BYTES);
const words = new Int32Array(bytes.buffer);
const encoder = new TextEncoder();
const result: HashKey = new Uint32Array(4);

/**
 * Gives where Kinesis puts a partition key: the MD5 (RFC 1321) of its UTF-8 bytes. At most 256 UTF-16
 * units. The returned array is used again by the next call. Written here because for such short texts
 * node:crypto takes ten times as long, nearly all of it the way in and out.
 */
export function hashPartitionKey(partitionKey: string): HashKey {
  const length = loadBytes(partitionKey);
  const wordCount = (((length + 8) >>> 6) + 1) * 16;
  bytes.fill(0, length, wordCount * 4);
  bytes[length] = 0x80;
  words[wordCount - 2] = length * 8;

  let a = 0x67452301, b = 0xEFCDAB89 | 0, c = 0x98BADCFE | 0, d = 0x10325476;
  for (let block = 0; block < wordCount; block += 16) {
    const a0 = a, b0 = b, c0 = c, d0 = d;
    for (let i = 0; i < 16; i += 4) {
      a = step(a, b, d ^ (b & (c ^ d)), words[block + i]!, SINES[i]!, 7);
      d = step(d, a, c ^ (a & (b ^ c)), words[block + i + 1]!, SINES[i + 1]!, 12);
      c = step(c, d, b ^ (d & (a ^ b)), words[block + i + 2]!, SINES[i + 2]!, 17);
      b = step(b, c, a ^ (c & (d ^ a)), words[block + i + 3]!, SINES[i + 3]!, 22);
    }
    for (let i = 16; i < 32; i += 4) {
      a = step(a, b, c ^ (d & (b ^ c)), words[block + ((5 * i + 1) & 15)]!, SINES[i]!, 5);
      d = step(d, a, b ^ (c & (a ^ b)), words[block + ((5 * i + 6) & 15)]!, SINES[i + 1]!, 9);
      c = step(c, d, a ^ (b & (d ^ a)), words[block + ((5 * i + 11) & 15)]!, SINES[i + 2]!, 14);
      b = step(b, c, d ^ (a & (c ^ d)), words[block + ((5 * i) & 15)]!, SINES[i + 3]!, 20);
    }
    for (let i = 32; i < 48; i += 4) {
      a = step(a, b, b ^ c ^ d, words[block + ((3 * i + 5) & 15)]!, SINES[i]!, 4);
      d = step(d, a, a ^ b ^ c, words[block + ((3 * i + 8) & 15)]!, SINES[i + 1]!, 11);
      c = step(c, d, d ^ a ^ b, words[block + ((3 * i + 11) & 15)]!, SINES[i + 2]!, 16);
      b = step(b, c, c ^ d ^ a, words[block + ((3 * i + 14) & 15)]!, SINES[i + 3]!, 23);
    }
    for (let i = 48; i < 64; i += 4) {
      a = step(a, b, c ^ (b | ~d), words[block + ((7 * i) & 15)]!, SINES[i]!, 6);
      d = step(d, a, b ^ (a | ~c), words[block + ((7 * i + 7) & 15)]!, SINES[i + 1]!, 10);
      c = step(c, d, a ^ (d | ~b), words[block + ((7 * i + 14) & 15)]!, SINES[i + 2]!, 15);
      b = step(b, c, d ^ (c | ~a), words[block + ((7 * i + 21) & 15)]!, SINES[i + 3]!, 21);
    }
    a = (a + a0) | 0;
    b = (b + b0) | 0;
    c = (c + c0) | 0;
    d = (d + d0) | 0;
  }
  result[0] = swapBytes(a);
  result[1] = swapBytes(b);
  result[2] = swapBytes(c);
  result[3] = swapBytes(d);
  return result;
}

/** Below zero when `left` comes first, zero when equal, above zero otherwise. */
export function compareHashKeys(left: HashKey, right: HashKey): number {
  for (let i = 0; i < 4; i++) {
    const difference = left[i]! - right[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Reads the API's decimal text, 0 to 2^128 - 1. */
export function parseHashKey(decimal: string): HashKey {
  const value = BigInt(decimal);
  if (value < 0n || value >> 128n !== 0n) {
    throw new RangeError(`a hash key has 128 bits, found ${decimal}`);
  }
  return Uint32Array.from([96n, 64n, 32n, 0n], (shift) => Number((value >> shift) & 0xFFFF_FFFFn));
}

export function hashKeyToBigInt(key: HashKey): bigint {
  return key.reduce((value, word) => (value << 32n) | BigInt(word), 0n);
}

function step(a: number, b: number, f: number, word: number, sine: number, turn: number): number {
  const sum = (a + f + word + sine) | 0;
  return (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0;
}

function loadBytes(text: string): number {
  const length = text.length;
  if (length > 256) throw new RangeError(`a partition key has at most 256 units, found ${length}`);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7F) return encoder.encodeInto(text, bytes).written;
    bytes[i] = unit;
  }
  return length;
}

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xFF00) << 8) | ((word >>> 8) & 0xFF00) | (word >>> 24);
}
