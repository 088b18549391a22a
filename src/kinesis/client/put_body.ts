import { Buffer } from "node:buffer";
import type { PutRecordRequest, RecordToPut } from "./kinesis_api.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { streamParameter } from "./stream_arn.ts";

/** The body of a put, in a buffer from the pool, which is to get it back. */
export interface PutBody {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly length: number;
}

/**
 * So many bytes become a base64 text at a time: one of a megabyte would live until the garbage
 * collector looks at old objects, small ones die young. A multiple of 3, which needs no padding.
 */
const CHUNK_BYTES = 6 * 1024;
/** Most bytes of a UTF-16 unit in UTF-8. */
const UTF8_BYTES = 3;
const encoder = new TextEncoder();

/**
 * The JSON of PutRecord. What is undefined is left out: Kinesis takes a null for a value.
 * https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html
 */
export function putRecordBody(request: PutRecordRequest, pool: BufferPool): PutBody {
  const { partitionKey, explicitHashKey, sequenceNumberForOrdering, data } = request;
  const members = JSON.stringify({
    ...streamParameter(request.streamName),
    PartitionKey: partitionKey,
    ExplicitHashKey: explicitHashKey,
    SequenceNumberForOrdering: sequenceNumberForOrdering,
  });
  return write([`${members.slice(0, -1)},"Data":"`, data, '"}'], pool);
}

/** The JSON of PutRecords. https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html */
export function putRecordsBody(
  streamName: string,
  records: readonly RecordToPut[],
  pool: BufferPool,
): PutBody {
  const parts: (string | Uint8Array)[] = ['{"Records":['];
  records.forEach(({ partitionKey, explicitHashKey, data }, index) => {
    const members = JSON.stringify({
      PartitionKey: partitionKey,
      ExplicitHashKey: explicitHashKey,
    });
    parts.push(`${index === 0 ? "" : ","}${members.slice(0, -1)},"Data":"`, data, '"}');
  });
  parts.push(`],${JSON.stringify(streamParameter(streamName)).slice(1)}`);
  return write(parts, pool);
}

/** Texts as UTF-8, and bytes as base64, one behind the other. */
function write(parts: readonly (string | Uint8Array)[], pool: BufferPool): PutBody {
  let most = 0;
  for (const part of parts) {
    most += typeof part === "string" ? part.length * UTF8_BYTES : Math.ceil(part.length / 3) * 4;
  }
  const buffer = pool.take(most);
  let length = 0;
  for (const part of parts) {
    length = typeof part === "string"
      ? length + encoder.encodeInto(part, buffer.subarray(length)).written
      : writeBase64(part, buffer, length);
  }
  return { buffer, length };
}

function writeBase64(bytes: Uint8Array, target: Uint8Array, offset: number): number {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, bytes.length - start);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("base64");
    offset += encoder.encodeInto(text, target.subarray(offset)).written;
  }
  return offset;
}
