import type { Lsn } from "../lsn.ts";

/**
 * One XLogData message of the streaming replication protocol: a header of 25 bytes ('w', WAL start,
 * WAL end, server clock), then what the output plugin wrote.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 *
 * The header is read only where it is asked for: a drain sees hundreds of thousands of these.
 */
export class XLogData {
  readonly kind = "xlogdata";
  /** `payload` is the whole CopyData payload; it is not copied and must not be reused. */
  constructor(readonly payload: Uint8Array) {}

  /** Where the message begins in the WAL; for a COMMIT message, the end LSN of its transaction. */
  get walStart(): Lsn {
    return readUint64(this.payload, 1);
  }

  /** What the output plugin wrote. */
  get data(): Uint8Array {
    return this.payload.subarray(XLOGDATA_HEADER_BYTES);
  }
}

export const XLOGDATA_HEADER_BYTES = 25;

/** A primary keepalive: how far the server's decoding has come. */
export interface Keepalive {
  readonly kind: "keepalive";
  readonly walEnd: Lsn;
  readonly replyRequested: boolean;
}

/**
 * The walsender says, at this place among the messages, that it left something out: a change of a
 * table without replica identity (wal2json), a publication that is not there (pgoutput of 18).
 */
export interface ServerWarning {
  readonly kind: "warning";
  /** One line: the message, then its detail and hint where there are any. */
  readonly text: string;
  /** SQLSTATE. */
  readonly code: string;
}

/**
 * The server goes on with another timeline (a standby was promoted), which left the one before at
 * `branch`: what came behind that is not in its history.
 */
export interface TimelineSwitch {
  readonly kind: "timeline";
  readonly branch: Lsn;
}

export type ReplicationMessage = XLogData | Keepalive | ServerWarning | TimelineSwitch;

const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** Reads a big-endian unsigned 64-bit integer. By way of one view, since a new one costs far more. */
export function readUint64(bytes: Uint8Array, offset: number): bigint {
  if (offset + 8 > bytes.length) throw new RangeError(`no 64-bit integer at ${offset}`);
  for (let i = 0; i < 8; i++) scratch[i] = bytes[offset + i]!;
  return scratchView.getBigUint64(0);
}
