import type { Lsn } from "./lsn.ts";
import type { Timelines } from "./timelines.ts";

/**
 * One XLogData message of the streaming replication protocol: a header of 25 bytes ('w', WAL start,
 * WAL end, server clock), then what the output plugin wrote.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 *
 * Header and view are made only where they are asked for: a drain sees hundreds of thousands of these,
 * and thousands of them wait in line.
 */
export class XLogData {
  readonly kind = "xlogdata";
  #payload: Uint8Array | undefined;

  /**
   * The CopyData payload lies from `start` to `end` of `bytes`, which must not be reused; what lies around
   * it belongs to others. `missing` bytes that followed were not kept: the decoder said that it does not
   * need them.
   */
  constructor(
    readonly bytes: Uint8Array,
    readonly start = 0,
    readonly end = bytes.length,
    private readonly missing = 0,
  ) {}

  /** Where in `bytes` begins what the output plugin wrote. */
  get dataStart(): number {
    return this.start + XLOGDATA_HEADER_BYTES;
  }

  /** The CopyData payload as far as it was kept, not copied. */
  get payload(): Uint8Array {
    return this.#payload ??= this.bytes.subarray(this.start, this.end);
  }

  /** Of the whole CopyData payload, kept or not. */
  get length(): number {
    return this.end - this.start + this.missing;
  }

  /** Where the message begins in the WAL; for a COMMIT message, the end LSN of its transaction. */
  get walStart(): Lsn {
    return readUint64(this.bytes, this.start + 1);
  }

  /** What the output plugin wrote. */
  get data(): Uint8Array {
    return this.bytes.subarray(this.dataStart, this.end);
  }

  /** Copies what the output plugin wrote into `target`, or into a new array where that is of another length. */
  copyData(target: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const from = this.dataStart;
    const length = this.end - from;
    const copy = target.length === length ? target : new Uint8Array(length);
    for (let at = 0; at < length; at++) copy[at] = this.bytes[from + at]!;
    return copy;
  }

  /** One byte of what the output plugin wrote; undefined behind its end. */
  dataAt(index: number): number | undefined {
    const at = this.dataStart + index;
    return at < this.end ? this.bytes[at] : undefined;
  }
}

export const XLOGDATA_HEADER_BYTES = 25;

/** A primary keepalive: how far the server's decoding has come. */
export interface Keepalive {
  readonly kind: "keepalive";
  readonly walEnd: Lsn;
  readonly replyRequested: boolean;
}

/** The walsender says, at this place among the messages, that it left something out. */
export interface ServerWarning {
  readonly kind: "warning";
  /** One line: the message, then its detail and hint where there are any. */
  readonly text: string;
  /**
   * A change of a table without replica identity (wal2json), a publication that is not there (pgoutput
   * of 18), or something that only the text tells.
   */
  readonly leftOut: "row" | "publication" | "unclear";
}

/** What follows was sent by a server whose WAL has this history. */
export interface TimelineNews {
  readonly kind: "timeline";
  readonly timelines: Timelines;
  /**
   * Where its history left that of the server before, as after the promotion of a standby: what came
   * behind that is not in it. Undefined: nowhere.
   */
  readonly branch: Lsn | undefined;
}

export type ReplicationMessage = XLogData | Keepalive | ServerWarning | TimelineNews;

const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** Reads a big-endian unsigned 64-bit integer. By way of one view, since a new one costs far more. */
export function readUint64(bytes: Uint8Array, offset: number): bigint {
  if (offset + 8 > bytes.length) throw new RangeError(`no 64-bit integer at ${offset}`);
  for (let i = 0; i < 8; i++) scratch[i] = bytes[offset + i]!;
  return scratchView.getBigUint64(0);
}
