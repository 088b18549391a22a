import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { Buffer } from "node:buffer";

/**
 * The SDK writes base64 in JavaScript, which takes a third of all that a put costs, signature
 * included. So it gets empty `Data`, and the runtime's own base64 is put into the JSON that it made.
 */
const DATA = Symbol("data of a put");
/** Cannot stand inside a JSON string, where quotes are escaped. */
const EMPTY_MEMBER = Buffer.from('"Data":""');
const encoder = new TextEncoder();

/** What stands as `Data` in a command's input; what shall be put is given to {@linkcode holdData}. */
export const NO_DATA: Uint8Array = new Uint8Array(0);

/** Makes `data` the data of a command's records, in order, each of which has {@linkcode NO_DATA}. */
export function holdData<T extends object>(input: T, data: readonly Uint8Array[]): T {
  return Object.assign(input, { [DATA]: data });
}

/** Makes the client put the data of {@linkcode holdData} where it belongs. */
export function useNativeBase64(client: KinesisClient): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const data = (args.input as { readonly [DATA]?: readonly Uint8Array[] })[DATA];
      if (data !== undefined) {
        const request = args.request as { body: string | Uint8Array };
        request.body = fillIn(request.body, data);
      }
      return next(args);
    },
    // After the body was made, before its length is taken and it is signed.
    { step: "build", priority: "high", name: "nativeBase64" },
  );
}

/** Puts the base64 of `data`, in order, into the empty `Data` members of a JSON text. */
export function fillIn(json: string | Uint8Array, data: readonly Uint8Array[]): Uint8Array {
  const template = typeof json === "string"
    ? Buffer.from(json)
    : Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  const base64Bytes = data.reduce((sum, { length }) => sum + Math.ceil(length / 3) * 4, 0);
  const body = new Uint8Array(template.length + base64Bytes);
  let from = 0;
  let end = 0;
  for (const bytes of data) {
    const found = template.indexOf(EMPTY_MEMBER, from);
    if (found === -1) throw new Error("the SDK no longer writes Data as it did; please report it");
    const start = found + EMPTY_MEMBER.length - 1;
    body.set(template.subarray(from, start), end);
    end += start - from;
    const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
    end += encoder.encodeInto(base64, body.subarray(end)).written;
    from = start;
  }
  body.set(template.subarray(from), end);
  return body;
}
