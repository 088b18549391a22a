import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { XLogData } from "../base/replication_message.ts";
import type { Timelines } from "../base/timelines.ts";
import type { TransactionEvent } from "./event.ts";

export interface Decoder {
  /** The history of the WAL that is decoded from now on; timeline 1 unless set. */
  set timelines(timelines: Timelines);
  /**
   * Decodes one message of the output plugin; undefined for messages that only teach the decoder
   * (pgoutput's Relation, Type and Origin), and for logical messages that are not published. Throws a {@linkcode DecodeError} for anything it does
   * not understand to the last byte.
   */
  decode(message: XLogData): TransactionEvent | undefined;
  /**
   * Whether `decode` needs no more of a message than its first bytes, as of a logical message that is
   * not published. Changes nothing, and throws nothing.
   */
  needsOnlyHead(head: XLogData): boolean;
}

/** A message of the output plugin could not be understood. Names the LSN and the byte or character. */
export class DecodeError extends Error {
  override name = "DecodeError";
  constructor(readonly plugin: string, readonly lsn: Lsn, readonly position: number, what: string) {
    super(
      `cannot decode a ${plugin} message at LSN ${formatLsn(lsn)}, position ${position}: ${what}`,
    );
  }
}

/**
 * A table has a column of a type that the catalog, as it was last read, does not have. Nothing was
 * taken from the message: read the catalog again, then decode the same message once more. A type that
 * is gone for good then gets the name that the plugin gave it.
 */
export class UnknownTypeError extends DecodeError {
  override name = "UnknownTypeError";
  readonly oid: number;
  constructor(
    plugin: string,
    lsn: Lsn,
    position: number,
    { oid, table, column }: { oid: number; table: string; column: string },
  ) {
    super(
      plugin,
      lsn,
      position,
      `the catalog has no type with OID ${oid}, of column ${column} of ${table}`,
    );
    this.oid = oid;
  }
}
