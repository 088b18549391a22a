import type { Lsn } from "../../base/lsn.ts";
import type { PostgresError } from "../connection/postgres_error.ts";
import type { ReplicationMessage } from "../../base/replication_message.ts";
import type { ServerIdentity } from "./replication_session.ts";
import type { SlotState } from "../slot/slot_state.ts";

/** What a source has seen, for progress and metrics. */
export interface SourceStats {
  /** Bytes read since the start, the protocol's own included. */
  readonly receivedBytes: number;
  /** The greatest LSN received; how far the server's decoding has come. */
  readonly receivedLsn: Lsn;
  /** The flush LSN last sent to the server. */
  readonly sentLsn: Lsn;
  /** Bytes that wait for the pipeline. */
  readonly waitingBytes: number;
  /** Whether the socket is read. */
  readonly isReading: boolean;
  readonly isConnected: boolean;
  /** Why there is no connection, as the last attempt to make one said; undefined while there is one. */
  readonly lossReason: string | undefined;
  /** `host:port` or the path of the socket that the present or last connection is made to. */
  readonly place: string;
  /** How often the connection was reopened. */
  readonly reconnects: number;
  readonly server: ServerIdentity;
}

/** The slot's messages, an array for each read of the socket. To be iterated once. */
export interface ReplicationSource extends AsyncIterable<readonly ReplicationMessage[]> {
  /** The flush LSN has advanced: the server hears of it within a tenth of a second. */
  confirm(): void;
  /** Tells the server the flush LSN for the last time, and lets go of it. */
  close(): Promise<void>;
  /**
   * Whether the slot is ours as far as can be known, so that what was read from it may be stored. It
   * is not while another client holds it; with `standby` also not while the server does not say so.
   */
  readonly isOurs: boolean;
  /** Resolves, also while nobody iterates, when the slot is another's: there is nothing to go on with. */
  readonly taken: Promise<PostgresError>;
  /** Asks the server about the slot, beside the stream; undefined while there is no connection to ask. */
  slotState(): Promise<SlotState | undefined>;
  readonly stats: SourceStats;
}
