import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { Buffer } from "node:buffer";
import type { BufferPool } from "./buffer_pool.ts";

/**
 * The SDK writes base64 in JavaScript, which takes a third of all that a put costs, signature
 * included. So it gets empty `Data`, and the runtime's own base64 is put into the JSON that it made.
 */
const DATA = Symbol("data of a put");
/** The buffer that a command's body lies in. */
const BODY = Symbol("body of a put");
/** Cannot stand inside a JSON string, where quotes are escaped. */
const EMPTY_MEMBER = Buffer.from('"Data":""');
/**
 * So many bytes become a base64 text at a time: one of a megabyte would live until the garbage
 * collector looks at old objects, small ones die young. A multiple of 3, which needs no padding.
 */
const CHUNK_BYTES = 6 * 1024;
const encoder = new TextEncoder();

interface Held {
  readonly [DATA]?: readonly Uint8Array[];
  [BODY]?: Uint8Array;
}

/** What stands as `Data` in a command's input; what shall be put is given to {@linkcode holdData}. */
export const NO_DATA: Uint8Array = new Uint8Array(0);

/** Makes `data` the data of a command's records, in order, each of which has {@linkcode NO_DATA}. */
export function holdData<T extends object>(input: T, data: readonly Uint8Array[]): T {
  return Object.assign(input, { [DATA]: data });
}

/**
 * Makes the client put the data of {@linkcode holdData} where it belongs, into bodies from `pool`.
 * {@linkcode releaseBody} gives them back.
 */
export function useNativeBase64(client: KinesisClient, pool: BufferPool): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const held = args.input as Held;
      if (held[DATA] !== undefined) {
        const request = args.request as { body: string | Uint8Array };
        const { buffer, length } = fillIn(request.body, held[DATA], pool);
        held[BODY] = buffer;
        request.body = buffer.subarray(0, length);
      }
      return next(args);
    },
    // After the body was made, before its length is taken and it is signed.
    { step: "build", priority: "high", name: "nativeBase64" },
  );
}

/** Lets the body of an answered command be used again. What failed may still be on its way: not that. */
export function releaseBody(input: object, pool: BufferPool): void {
  const held = input as Held;
  if (held[BODY] !== undefined) pool.give(held[BODY]);
  held[BODY] = undefined;
}

/** Puts the base64 of `data`, in order, into the empty `Data` members of a JSON text. */
export function fillIn(
  json: string | Uint8Array,
  data: readonly Uint8Array[],
  pool: BufferPool,
): { readonly buffer: Uint8Array; readonly length: number } {
  const template = typeof json === "string"
    ? Buffer.from(json)
    : Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  const base64Bytes = data.reduce((sum, { length }) => sum + Math.ceil(length / 3) * 4, 0);
  const buffer = pool.take(template.length + base64Bytes);
  let from = 0;
  let end = 0;
  for (const bytes of data) {
    const found = template.indexOf(EMPTY_MEMBER, from);
    if (found === -1) throw new Error("the SDK no longer writes Data as it did; please report it");
    const start = found + EMPTY_MEMBER.length - 1;
    buffer.set(template.subarray(from, start), end);
    end = writeBase64(bytes, buffer, end + start - from);
    from = start;
  }
  buffer.set(template.subarray(from), end);
  return { buffer, length: end + template.length - from };
}

function writeBase64(bytes: Uint8Array, target: Uint8Array, offset: number): number {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, bytes.length - start);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("base64");
    offset += encoder.encodeInto(text, target.subarray(offset)).written;
  }
  return offset;
}
