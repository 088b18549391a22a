import { createHash } from "node:crypto";
import { beginsWithMagic } from "./aggregate.ts";

/** One user record of an aggregate. */
export interface AggregatedUserRecord {
  readonly partitionKey: string;
  /** Decimal; undefined where its partition key alone says where it belongs. */
  readonly explicitHashKey: string | undefined;
  /** Not copied: a part of the aggregate's bytes. */
  readonly data: Uint8Array;
}

const MAGIC_BYTES = 4;
const MD5_BYTES = 16;

/** Field number and wire type, as protobuf packs them into one varint. */
const PARTITION_KEY_TAG = 0x0A;
const HASH_KEY_TAG = 0x12;
const RECORD_TAG = 0x1A;
const RECORD_PARTITION_KEY_TAG = 0x08;
const RECORD_HASH_KEY_TAG = 0x10;
const RECORD_DATA_TAG = 0x1A;

/** What protobuf's own parsers do with a string that is not UTF-8: they replace what is wrong. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Takes an aggregated record of the KPL apart; `aggregate.ts` describes its form. Undefined: this is none,
 * but a plain record that is one user record. The bytes may be anybody's: without the magic, with a
 * wrong MD5, or with a message that is not the form's, they are a plain record, as for the Kinesis
 * Client Library.
 * https://github.com/awslabs/amazon-kinesis-client/blob/master/amazon-kinesis-client/src/main/java/software/amazon/kinesis/retrieval/AggregatorUtil.java
 */
export function deaggregate(data: Uint8Array): readonly AggregatedUserRecord[] | undefined {
  if (data.length < MAGIC_BYTES + MD5_BYTES || !beginsWithMagic(data)) return undefined;
  const message = data.subarray(MAGIC_BYTES, data.length - MD5_BYTES);
  const md5 = createHash("md5").update(message).digest();
  if (!md5.equals(data.subarray(data.length - MD5_BYTES))) return undefined;
  try {
    return readMessage(message);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The bytes are not a message of the form. */
class Malformed extends Error {
  override name = "Malformed";
}

interface RawRecord {
  readonly partitionKeyIndex: number;
  readonly hashKeyIndex: number | undefined;
  readonly data: Uint8Array;
}

function readMessage(message: Uint8Array): AggregatedUserRecord[] {
  const partitionKeys: string[] = [];
  const hashKeys: string[] = [];
  const records: RawRecord[] = [];
  const reader = new CheckedReader(message);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    if (tag === PARTITION_KEY_TAG) partitionKeys.push(decoder.decode(reader.bytes()));
    else if (tag === HASH_KEY_TAG) hashKeys.push(decoder.decode(reader.bytes()));
    else if (tag === RECORD_TAG) records.push(readRecord(reader.bytes()));
    else reader.skip(tag);
  }
  // Only now: keys may come behind the records that name them.
  return records.map(({ partitionKeyIndex, hashKeyIndex, data }) => ({
    partitionKey: entry(partitionKeys, partitionKeyIndex),
    explicitHashKey: hashKeyIndex === undefined ? undefined : hashKey(hashKeys, hashKeyIndex),
    data,
  }));
}

function readRecord(bytes: Uint8Array): RawRecord {
  let partitionKeyIndex: number | undefined;
  let hashKeyIndex: number | undefined;
  let data: Uint8Array | undefined;
  const reader = new CheckedReader(bytes);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    if (tag === RECORD_PARTITION_KEY_TAG) partitionKeyIndex = reader.varint();
    else if (tag === RECORD_HASH_KEY_TAG) hashKeyIndex = reader.varint();
    else if (tag === RECORD_DATA_TAG) data = reader.bytes();
    else reader.skip(tag);
  }
  if (partitionKeyIndex === undefined || data === undefined) throw new Malformed();
  return { partitionKeyIndex, hashKeyIndex, data };
}

function entry(table: readonly string[], index: number): string {
  const found = table[index];
  if (found === undefined) throw new Malformed();
  return found;
}

function hashKey(table: readonly string[], index: number): string {
  const text = entry(table, index);
  if (!/^\d{1,39}$/.test(text) || BigInt(text) >> 128n !== 0n) throw new Malformed();
  return text;
}

/** Reads protobuf that may be anything. https://protobuf.dev/programming-guides/encoding/ */
class CheckedReader {
  #offset = 0;

  constructor(private readonly buffer: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.#offset === this.buffer.length;
  }

  /** Up to ten bytes. What is above 2^53 loses digits, and is too much for all that is read here. */
  varint(): number {
    let value = 0;
    for (let i = 0, unit = 1; i < 10; i++, unit *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7F) * unit;
      if (byte < 0x80) return value;
    }
    throw new Malformed();
  }

  /** A field with its length in front. */
  bytes(): Uint8Array {
    return this.#take(this.varint());
  }

  /** Passes over a field that the form does not have; groups, which nobody writes, are refused. */
  skip(tag: number): void {
    if (tag < 8 || tag > 0xFFFF_FFFF) throw new Malformed();
    switch (tag % 8) {
      case 0:
        this.varint();
        return;
      case 1:
        this.#take(8);
        return;
      case 2:
        this.bytes();
        return;
      case 5:
        this.#take(4);
        return;
      default:
        throw new Malformed();
    }
  }

  #byte(): number {
    const byte = this.buffer[this.#offset++];
    if (byte === undefined) throw new Malformed();
    return byte;
  }

  #take(length: number): Uint8Array {
    if (length > this.buffer.length - this.#offset) throw new Malformed();
    const start = this.#offset;
    this.#offset += length;
    return this.buffer.subarray(start, this.#offset);
  }
}
