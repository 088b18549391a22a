import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { Buffer } from "node:buffer";
import type { BufferPool } from "./buffer_pool.ts";

/** Cannot stand inside a JSON string, where quotes are escaped. */
const EMPTY_MEMBER = Buffer.from('"Data":""');
const NO_DATA = new Uint8Array(0);
/**
 * So many bytes become a base64 text at a time: one of a megabyte would live until the garbage
 * collector looks at old objects, small ones die young. A multiple of 3, which needs no padding.
 */
const CHUNK_BYTES = 6 * 1024;
const encoder = new TextEncoder();

/** The input of PutRecord, or of PutRecords, as far as it is used here. */
interface PutInput {
  readonly Data?: Uint8Array;
  readonly Records?: readonly { readonly Data?: Uint8Array }[];
}

/** What the two steps of a put share, in the SDK's context of a command. */
const HELD = Symbol("data and body of a put");
interface Held {
  readonly data: readonly Uint8Array[];
  body: Uint8Array | undefined;
}

/**
 * The SDK writes base64 in JavaScript, which takes a third of all that a put costs, signature
 * included. So it gets empty `Data`, and the runtime's own base64 is put into the JSON that it made,
 * in a body from `pool`. That goes back when the put was answered; what failed may still be on its way.
 */
export function useNativeBase64(client: KinesisClient, pool: BufferPool): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const { input, data } = withoutData(args.input as PutInput);
      if (data.length === 0) return await next(args);
      const held: Held = { data, body: undefined };
      Object.assign(context, { [HELD]: held });
      const answer = await next({ ...args, input: input as typeof args.input });
      if (held.body !== undefined) pool.give(held.body);
      return answer;
    },
    { step: "initialize", name: "holdData" },
  );
  client.middlewareStack.add(
    (next, context) => (args) => {
      const held = (context as { readonly [HELD]?: Held })[HELD];
      if (held !== undefined) {
        const request = args.request as { body: string | Uint8Array };
        const { buffer, length } = fillIn(request.body, held.data, pool);
        held.body = buffer;
        request.body = buffer.subarray(0, length);
      }
      return next(args);
    },
    // After the body was made, before its length is taken and it is signed.
    { step: "build", priority: "high", name: "nativeBase64" },
  );
}

/** Takes the data of a put's records out, in order; of another command there is none. */
function withoutData(input: PutInput): { input: PutInput; data: readonly Uint8Array[] } {
  const { Data, Records } = input;
  if (Data !== undefined) return { input: { ...input, Data: NO_DATA }, data: [Data] };
  if (Records === undefined) return { input, data: [] };
  return {
    input: { ...input, Records: Records.map((record) => ({ ...record, Data: NO_DATA })) },
    data: Records.map((record) => record.Data!),
  };
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
