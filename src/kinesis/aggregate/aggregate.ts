import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import type { BufferPool } from "../client/buffer_pool.ts";
import { KeyTable } from "./key_table.ts";
import { ProtobufReader, varintLength, writeVarint } from "./protobuf.ts";
import type { QueuedRecord } from "./queued_record.ts";
import { RecordRuns } from "./record_runs.ts";
import type { Ticket } from "../../base/record_writer.ts";

/**
 * KPL aggregated records: magic, a protobuf message, the MD5 of the message.
 * https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
 *
 *     AggregatedRecord { repeated string partition_key_table = 1;
 *                        repeated string explicit_hash_key_table = 2; repeated Record records = 3; }
 *     Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
 *              required bytes data = 3; }
 *
 * Keys are written when they are first needed, between the records. Protobuf lets the elements of
 * repeated fields come in any mixture, and every deaggregator uses a protobuf parser; so each user
 * record is encoded once, straight to where it is sent from.
 */
export const AGGREGATE_MAGIC = Uint8Array.of(0xF3, 0x89, 0x9A, 0xC2);

/** The partition key of an aggregate as a whole, as the KPL has it; its hash key is given explicitly. */
export const AGGREGATE_PARTITION_KEY = "a";

const MAGIC_BYTES = 4;
const MD5_BYTES = 16;
const MAX_HASH_KEY_DIGITS = 39;
/** Tags, indexes and lengths of a record, a partition key and a hash key, and the MD5 behind them. */
const MAX_FRAMING_BYTES = 64;
/** Beside key and data of a lone user record that goes as an aggregate. */
export const MAX_LONE_FRAMING_BYTES = MAX_FRAMING_BYTES + MAX_HASH_KEY_DIGITS;
/** Up to here three bytes are set aside for each UTF-16 unit of a text; a longer one is measured. */
const MEASURE_ABOVE_UNITS = 8 * 1024;

const PARTITION_KEY_FIELD = 0x0A;
const HASH_KEY_FIELD = 0x12;
const RECORD_FIELD = 0x1A;
const RECORD_PARTITION_KEY_FIELD = 0x08;
const RECORD_HASH_KEY_FIELD = 0x10;
const RECORD_DATA_FIELD = 0x1A;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What one PutRecord carries. */
export interface PutBody {
  readonly data: Uint8Array;
  readonly partitionKey: string;
  readonly explicitHashKey: string | undefined;
}

/** User records of one shard on their way into one Kinesis record. */
export class Aggregate {
  readonly #pool: BufferPool;
  #buffer: Uint8Array<ArrayBuffer>;
  /** Bytes of magic and protobuf written so far. */
  #length = MAGIC_BYTES;
  #count = 0;
  #partitionKeys: KeyTable | undefined;
  #firstPartitionKey = "";
  #hashKey: string | undefined;
  /** Where the data of the last record begins; it ends at `#length`. */
  #lastDataStart = 0;
  /** Where the key begins that was written last. */
  #keyStart = 0;
  #body: PutBody | undefined;

  /**
   * `partitionKeys` is this aggregate's until the next one takes it, which ends the adding here. `runs`
   * tell whose records these are, in order; they are empty yet.
   */
  constructor(
    pool: BufferPool,
    sizeHint: number,
    partitionKeys = new KeyTable(),
    readonly runs = new RecordRuns(),
  ) {
    this.#pool = pool;
    this.#partitionKeys = partitionKeys;
    partitionKeys.clear();
    this.#buffer = pool.take(sizeHint);
    this.#buffer.set(AGGREGATE_MAGIC);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of user records and their keys. */
  get length(): number {
    return this.#length - MAGIC_BYTES;
  }

  /** Bytes of the Kinesis record as its limit counts them, partition key included. */
  get putBytes(): number {
    return this.#isPlain
      ? this.#length - this.#lastDataStart + Buffer.byteLength(this.#firstPartitionKey)
      : this.#length + MD5_BYTES + AGGREGATE_PARTITION_KEY.length;
  }

  /**
   * Takes a user record unless the whole would pass `maxBytes`; the first one is always taken.
   * `hashKey` is its explicit hash key, the same for all records of the aggregate that have one.
   */
  tryAdd(
    partitionKey: string,
    data: string | Uint8Array,
    hashKey: string | undefined,
    ticket: Ticket,
    position: number,
    maxBytes: number,
  ): boolean {
    const maxLength = maxBytes - MD5_BYTES - AGGREGATE_PARTITION_KEY.length;
    const isFirst = this.#count === 0;
    if (!isFirst && this.#length + data.length > maxLength) return false;
    const isNewHashKey = hashKey !== undefined && this.#hashKey === undefined;
    const lastDataStart = this.#lastDataStart;
    this.#reserve(spaceFor(partitionKey, data));

    // The key is written where it stays if it is new; only its bytes show whether it is.
    const keys = this.#partitionKeys!;
    const keyEnd = this.#writeKey(this.#length, PARTITION_KEY_FIELD, partitionKey);
    const keyStart = this.#keyStart;
    const keyHash = hashBytes(this.#buffer, keyStart, keyEnd);
    const knownIndex = keys.find(this.#buffer, keyStart, keyEnd - keyStart, keyHash);
    const isNewKey = knownIndex === -1;
    let end = isNewKey ? keyEnd : this.#length;
    if (isNewHashKey) end = this.#writeKey(end, HASH_KEY_FIELD, hashKey);
    end = this.#writeRecord(end, isNewKey ? keys.count : knownIndex, hashKey !== undefined, data);
    if (!isFirst && end > maxLength) {
      this.#lastDataStart = lastDataStart;
      return false;
    }

    if (isNewKey) keys.add(keyStart, keyEnd - keyStart, keyHash);
    if (isNewHashKey) this.#hashKey = hashKey;
    if (isFirst) this.#firstPartitionKey = partitionKey;
    this.#length = end;
    this.#count++;
    this.runs.add(ticket, position);
    return true;
  }

  /**
   * What to put, the same bytes each time; nothing can be added afterwards. A lone user record goes
   * as it is, unless a reader would take it for an aggregate. `shardHashKey` routes an aggregate.
   */
  seal(shardHashKey: string): PutBody {
    if (this.#body !== undefined) return this.#body;
    if (this.#isPlain) {
      this.#body = {
        data: this.#buffer.subarray(this.#lastDataStart, this.#length),
        partitionKey: this.#firstPartitionKey.toWellFormed(),
        explicitHashKey: this.#hashKey,
      };
    } else {
      const message = this.#buffer.subarray(MAGIC_BYTES, this.#length);
      this.#buffer.set(createHash("md5").update(message).digest(), this.#length);
      this.#body = {
        data: this.#buffer.subarray(0, this.#length + MD5_BYTES),
        partitionKey: AGGREGATE_PARTITION_KEY,
        explicitHashKey: shardHashKey,
      };
    }
    this.#partitionKeys = undefined;
    return this.#body;
  }

  /** Lets the buffer be used again; only when nothing reads what was put any more. */
  release(): void {
    this.#pool.give(this.#buffer);
    this.#buffer = new Uint8Array(0);
  }

  /** The user records, read back from the aggregate's own bytes; `data` is not copied. */
  *records(): Generator<QueuedRecord, undefined> {
    const partitionKeys: string[] = [];
    const places = this.runs.places();
    const reader = new ProtobufReader(this.#buffer, MAGIC_BYTES);
    while (reader.offset < this.#length) {
      const field = reader.varint();
      const fieldLength = reader.varint();
      const end = reader.offset + fieldLength;
      if (field === PARTITION_KEY_FIELD) {
        partitionKeys.push(decoder.decode(this.#buffer.subarray(reader.offset, end)));
      } else if (field === RECORD_FIELD) {
        reader.varint();
        const partitionKey = partitionKeys[reader.varint()]!;
        const everyShard = reader.varint() === RECORD_HASH_KEY_FIELD;
        if (everyShard) {
          reader.varint();
          reader.varint();
        }
        const data = this.#buffer.subarray(end - reader.varint(), end);
        const { ticket, position } = places.next().value!;
        yield { partitionKey, data, everyShard, ticket, position };
      }
      reader.offset = end;
    }
  }

  get #isPlain(): boolean {
    return this.#count === 1 &&
      !beginsWithMagic(this.#buffer.subarray(this.#lastDataStart, this.#length));
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = this.#pool.take(needed);
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#pool.give(this.#buffer);
    this.#buffer = larger;
  }

  #writeKey(offset: number, field: number, key: string): number {
    const buffer = this.#buffer;
    const guessedStart = offset + 1 + varintLength(key.length);
    let length = writeAscii(buffer, guessedStart, key);
    let start = guessedStart;
    if (length === -1) {
      length = encoder.encodeInto(key, buffer.subarray(guessedStart)).written;
      start = offset + 1 + varintLength(length);
      if (start !== guessedStart) buffer.copyWithin(start, guessedStart, guessedStart + length);
    }
    buffer[offset] = field;
    writeVarint(buffer, offset + 1, length);
    this.#keyStart = start;
    return start + length;
  }

  /** Writes a Record at `offset` and returns its end. */
  #writeRecord(offset: number, keyIndex: number, hasHashKey: boolean, data: string | Uint8Array) {
    const buffer = this.#buffer;
    const indexBytes = 1 + varintLength(keyIndex) + (hasHashKey ? 2 : 0);
    // The length of a text is guessed as if it were ASCII; where its varints turn out longer, the
    // text moves on.
    const guessedStart = offset + recordHeaderLength(indexBytes, data.length);
    const length = typeof data === "string"
      ? encoder.encodeInto(data, buffer.subarray(guessedStart)).written
      : (buffer.set(data, guessedStart), data.length);
    const start = offset + recordHeaderLength(indexBytes, length);
    if (start !== guessedStart) buffer.copyWithin(start, guessedStart, guessedStart + length);

    buffer[offset] = RECORD_FIELD;
    offset = writeVarint(buffer, offset + 1, indexBytes + 1 + varintLength(length) + length);
    buffer[offset] = RECORD_PARTITION_KEY_FIELD;
    offset = writeVarint(buffer, offset + 1, keyIndex);
    if (hasHashKey) {
      buffer[offset++] = RECORD_HASH_KEY_FIELD;
      buffer[offset++] = 0;
    }
    buffer[offset] = RECORD_DATA_FIELD;
    writeVarint(buffer, offset + 1, length);
    this.#lastDataStart = start;
    return start + length;
  }
}

/** Faster than the encoder for texts as short as keys. Gives the length; -1 when it is not ASCII. */
function writeAscii(buffer: Uint8Array, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7F) return -1;
    buffer[offset + i] = unit;
  }
  return text.length;
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  return hash;
}

/** True when a reader would take the data for an aggregate. */
export function beginsWithMagic(data: Uint8Array): boolean {
  return AGGREGATE_MAGIC.every((byte, i) => data[i] === byte);
}

/**
 * Bytes of the smallest Kinesis record that carries one user record, as the limit counts them: plain,
 * or an aggregate of one. UTF-8 text never begins with the magic: C2 cannot follow F3 89 9A.
 */
export function loneRecordBytes(
  partitionKey: string,
  data: string | Uint8Array,
  hasHashKey: boolean,
): number {
  const plainBytes = plainRecordBytes(partitionKey, data);
  if (typeof data === "string" || !beginsWithMagic(data)) return plainBytes;
  const dataBytes = data.length, keyBytes = plainBytes - dataBytes;
  const hashKeyBytes = hasHashKey ? 2 + MAX_HASH_KEY_DIGITS : 0;
  return MAGIC_BYTES + 1 + varintLength(keyBytes) + keyBytes + hashKeyBytes +
    recordHeaderLength(hasHashKey ? 4 : 2, dataBytes) + dataBytes + MD5_BYTES +
    AGGREGATE_PARTITION_KEY.length;
}

/** Bytes of a plain Kinesis record, as the limit counts them. */
export function plainRecordBytes(partitionKey: string, data: string | Uint8Array): number {
  return Buffer.byteLength(partitionKey) +
    (typeof data === "string" ? Buffer.byteLength(data) : data.length);
}

/** Bytes of a Record before its data; `indexBytes` are its index fields. */
function recordHeaderLength(indexBytes: number, dataBytes: number): number {
  const dataHeader = 1 + varintLength(dataBytes);
  return 1 + varintLength(indexBytes + dataHeader + dataBytes) + indexBytes + dataHeader;
}

/** Bytes that surely hold one more record with its keys, and the MD5. */
function spaceFor(partitionKey: string, data: string | Uint8Array): number {
  const dataBytes = typeof data !== "string"
    ? data.length
    : data.length > MEASURE_ABOVE_UNITS
    ? Buffer.byteLength(data)
    : data.length * 3;
  return partitionKey.length * 3 + dataBytes + MAX_HASH_KEY_DIGITS + MAX_FRAMING_BYTES;
}
