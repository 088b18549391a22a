import { formatLsn, type Lsn } from "../lsn.ts";
import type { XLogData } from "../postgres/replication_message.ts";
import type { TransactionEvent } from "./event.ts";

export interface Decoder {
  /**
   * Decodes one message of the output plugin; undefined for messages that only teach the decoder
   * (pgoutput's Relation, Type and Origin). Throws a {@linkcode DecodeError} for anything it does
   * not understand to the last byte.
   */
  decode(message: XLogData): TransactionEvent | undefined;
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
