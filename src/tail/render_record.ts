import { Buffer } from "node:buffer";
import { printableJson } from "../base/printable.ts";
import type { TailedRecord } from "./user_record.ts";

const encoder = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const LINE_FEED = 0x0A;
const TAB = 0x09;
const DELETE = 0x7F;

/** A record as a line: its data, or with `json` all that is known of it. */
export function renderRecord(record: TailedRecord, json: boolean): Uint8Array {
  return json ? renderJson(record) : renderText(record.data);
}

/**
 * A record's data as one line, its line feed included. Text stands as it is. What would end the line,
 * steer a terminal or turn its text round is written as `\n`, `\r`, `\x1b` or `\u202e`, and each byte
 * that is no UTF-8 as `\xff`; a backslash stays alone, so that JSON stays the same JSON. Whoever needs the exact bytes asks for `renderJson`.
 */
export function renderText(data: Uint8Array): Uint8Array {
  // With --record-separator newline a record has its line feed already.
  if (data.at(-1) === LINE_FEED) data = data.subarray(0, -1);
  let isPlain = true;
  for (let i = 0; i < data.length; i++) {
    const byte = data[i]!;
    if ((byte < 0x20 && byte !== TAB) || byte >= DELETE) {
      isPlain = false;
      break;
    }
  }
  if (!isPlain) return encoder.encode(escaped(data) + "\n");
  const line = new Uint8Array(data.length + 1);
  line.set(data);
  line[data.length] = LINE_FEED;
  return line;
}

/** C0 without tab. JSON has none of them but as it is written here or between its values. */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0A-\x1F]/g;

function escaped(data: Uint8Array): string {
  const text = asText(data);
  if (text !== undefined) return safe(text);
  // Piece by piece: what is UTF-8 stays readable.
  let line = "";
  for (let i = 0; i < data.length;) {
    const length = sequenceLength(data, i);
    if (length === 0) line += hex(data[i++]!);
    else {
      line += safe(strictUtf8.decode(data.subarray(i, i + length)));
      i += length;
    }
  }
  return line;
}

/** What stands in the strings of JSON is escaped as there, so that the line is the same JSON. */
function safe(text: string): string {
  return printableJson(text.replace(CONTROLS, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    return hex(character.charCodeAt(0));
  }));
}

const hex = (byte: number) => "\\x" + byte.toString(16).padStart(2, "0");

/** Bytes of the UTF-8 character at `start`; 0 when there is none. */
function sequenceLength(data: Uint8Array, start: number): number {
  const first = data[start]!;
  const length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return start + length <= data.length &&
      asText(data.subarray(start, start + length)) !== undefined
    ? length
    : 0;
}

/**
 * A record as a line of JSON:
 *
 *     {"shard":"shardId-000000000000","sequence_number":"4953…","sub_sequence":0,
 *      "partition_key":"public.t:1","explicit_hash_key":"0","arrival":"2026-11-22T08:01:02.123Z",
 *      "data":"…"}
 *
 * `"stream"` stands in front where several are read. `sub_sequence` is left out for a plain record, `explicit_hash_key` where none is known. Data that is
 * not UTF-8 comes as base64, with `"encoding":"base64"`.
 */
export function renderJson(record: TailedRecord): Uint8Array {
  const { data, arrivedAtMs } = record;
  const text = asText(data);
  const line = JSON.stringify({
    stream: record.stream,
    shard: record.shardId,
    sequence_number: record.sequenceNumber,
    sub_sequence: record.subSequence,
    partition_key: record.partitionKey,
    explicit_hash_key: record.explicitHashKey,
    arrival: arrivedAtMs === undefined ? undefined : new Date(arrivedAtMs).toISOString(),
    ...text === undefined ? { data: base64(data), encoding: "base64" } : { data: text },
  });
  return encoder.encode(printableJson(line) + "\n");
}

function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
}

/** Undefined for bytes that are not UTF-8. */
export function asText(data: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(data);
  } catch {
    return undefined;
  }
}
