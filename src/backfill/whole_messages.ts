import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { MessageFramer } from "../postgres/session/message_framer.ts";

const MIB = 1024 * 1024;
/** No record can be as large, and whoever writes such rows must not fill the memory. */
export const MAX_ROW_BYTES = 48 * MIB;
const DATA_ROW = "D".charCodeAt(0);
const LONG_BYTES = MIB;
/** So many bytes of a long message leave garbage that is worth a look. */
const LOOK_EVERY_BYTES = 4 * MIB;
/** Enough that V8 looks at once. */
const PRESSURE_BYTES = 96 * MIB;

/**
 * Gives pg's parser whole messages, from between two statements on. By itself it gathers a long one in
 * buffers that double, which for a row of 20 MB leaves 64 MB of garbage. Measured with fifteen such rows, on
 * Deno 2.9: a peak of 181 to 194 MiB in the place of 298.
 *
 * Of a row of more than {@linkcode MAX_ROW_BYTES} nothing is kept: `onLargeRow` is called behind the messages
 * before it, and has to end the connection.
 */
export function gatherWholeMessages(stream: Duplex, onLargeRow: () => void): void {
  const [toParser] = stream.listeners("data") as ((chunk: Buffer) => void)[];
  /** The messages that are whole in the chunk at hand lie side by side. */
  let chunk = new Uint8Array();
  let start = 0;
  let end = 0;
  /** For one long message after the other: the parser makes strings of it at once. */
  let room = new Uint8Array();
  const makeRoom = (bytes: number) => {
    if (room.length < bytes) room = new Uint8Array(bytes);
    return room.subarray(0, bytes);
  };
  let hasLargeRow = false;
  const framer = new MessageFramer(
    (bytes, from, to) => {
      if (bytes === chunk) {
        if (start === end) start = from;
        end = to;
        return;
      }
      toParser!(asBuffer(bytes, from, to));
      if (to - from > LONG_BYTES) lookForGarbage();
    },
    (head, missing) => {
      const isLarge = head[0] === DATA_ROW && head.length + missing > MAX_ROW_BYTES;
      hasLargeRow ||= isLarge;
      return isLarge;
    },
    makeRoom,
  );
  let gathered = 0;
  stream.removeListener("data", toParser!);
  stream.on("data", (arrived: Buffer) => {
    chunk = new Uint8Array(arrived.buffer as ArrayBuffer, arrived.byteOffset, arrived.length);
    start = end = 0;
    try {
      framer.push(chunk);
    } catch (error) {
      stream.destroy(error as Error);
      return;
    }
    if (end > start) toParser!(asBuffer(chunk, start, end));
    if (hasLargeRow) return onLargeRow();
    gathered = framer.heldBytes > LONG_BYTES ? gathered + chunk.length : 0;
    if (gathered < LOOK_EVERY_BYTES) return;
    gathered = 0;
    lookForGarbage();
  });
}

function asBuffer(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start);
}

/**
 * V8 does not notice what the reads of a socket leave behind, but it counts arrays. Nothing touches this one,
 * so the system gives no memory for it.
 */
function lookForGarbage(): void {
  try {
    new ArrayBuffer(PRESSURE_BYTES);
  } catch {
    // A system that promises no more than it has: it goes without.
  }
}
