import type { Lsn } from "../../base/lsn.ts";
import {
  type Keepalive,
  readUint64,
  XLogData,
  XLOGDATA_HEADER_BYTES,
} from "../../base/replication_message.ts";

/**
 * The messages inside CopyData of the streaming replication protocol, and the notices between them.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */

/** A backend message begins with its type and its length. */
const MESSAGE_HEADER_BYTES = 5;

/** Milliseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

const XLOGDATA = "w".charCodeAt(0);
const KEEPALIVE = "k".charCodeAt(0);
const KEEPALIVE_BYTES = 18;

/**
 * Reads the CopyData message that lies from `start` to `end`; `missing` bytes of it were not kept.
 * @throws {SyntaxError} when it is neither XLogData nor a keepalive.
 */
export function readCopyData(
  bytes: Uint8Array,
  start: number,
  end: number,
  missing = 0,
): XLogData | Keepalive {
  const payloadStart = start + MESSAGE_HEADER_BYTES;
  const length = end - payloadStart;
  const type = length > 0 ? bytes[payloadStart] : undefined;
  if (type === XLOGDATA && length >= XLOGDATA_HEADER_BYTES) {
    return new XLogData(bytes, payloadStart, end, missing);
  }
  if (type === KEEPALIVE && length === KEEPALIVE_BYTES) {
    return {
      kind: "keepalive",
      walEnd: readUint64(bytes, payloadStart + 1),
      replyRequested: bytes[end - 1] === 1,
    };
  }
  throw new SyntaxError(
    `a replication message of type ${type ?? "?"} and ${length} bytes is not known`,
  );
}

export interface StandbyStatus {
  /** Received. */
  readonly written: Lsn;
  /** Durably stored: the server may forget what is before it. */
  readonly flushed: Lsn;
  readonly replyRequested: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** A standby status update, as a whole CopyData message. */
export function writeStandbyStatus(status: StandbyStatus): Uint8Array {
  const message = new Uint8Array(MESSAGE_HEADER_BYTES + 34);
  const view = new DataView(message.buffer);
  view.setUint8(0, "d".charCodeAt(0));
  view.setUint32(1, message.length - 1);
  view.setUint8(5, "r".charCodeAt(0));
  view.setBigUint64(6, status.written);
  view.setBigUint64(14, status.flushed);
  // Applied: what is flushed is all that will ever be done with it.
  view.setBigUint64(22, status.flushed);
  view.setBigInt64(30, BigInt(status.nowMs - POSTGRES_EPOCH_MS) * 1000n);
  view.setUint8(38, status.replyRequested ? 1 : 0);
  return message;
}

/** The fields of a NoticeResponse that matter here. */
export interface Notice {
  /** Not translated, other than in what npm:pg gives: `WARNING`, `NOTICE`, … */
  readonly severity: string;
  /** SQLSTATE. */
  readonly code: string;
  /** Message, detail and hint on one line. */
  readonly text: string;
  /** Of the server's source, where the notice was written; empty when it does not say. */
  readonly file: string;
  readonly routine: string;
}

/** Reads a whole NoticeResponse: fields of one byte of type and a text that ends with a zero. */
export function readNotice(message: Uint8Array): Notice {
  const fields = new Map<string, string>();
  const decoder = new TextDecoder();
  let offset = MESSAGE_HEADER_BYTES;
  while (offset < message.length && message[offset] !== 0) {
    const end = message.indexOf(0, offset);
    if (end === -1) throw new SyntaxError("a notice of PostgreSQL does not end");
    fields.set(
      String.fromCharCode(message[offset]!),
      decoder.decode(message.subarray(offset + 1, end)),
    );
    offset = end + 1;
  }
  const text = ["M", "D", "H"].map((type) => fields.get(type)).filter((part) => part);
  return {
    severity: fields.get("V") ?? fields.get("S") ?? "",
    code: fields.get("C") ?? "",
    file: fields.get("F")?.replace(/^.*[/\\]/, "") ?? "",
    routine: fields.get("R") ?? "",
    text: text.join(" ").replace(/\s*[\r\n]+\s*/g, " "),
  };
}
