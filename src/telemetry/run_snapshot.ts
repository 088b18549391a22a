import type { BackfillProgress } from "../backfill/progress.ts";
import type { WriterStats } from "../base/writer_stats.ts";
import type { Lsn } from "../base/lsn.ts";
import type { SlotState } from "../postgres/slot/slot_state.ts";
import type { Histogram } from "../base/histogram.ts";
import type { Progress } from "../run_progress.ts";

/** `standby`: another client follows the slot, and this run waits. */
export type RunState = "starting" | "standby" | "streaming" | "reconnecting" | "stopping";

/** What a run reads from and writes to. */
export interface RunNames {
  /** Of the server: `host:port`, or the path of its socket. */
  readonly host: string;
  readonly database: string;
  readonly slot: string;
  readonly plugin: string;
  readonly stream: string;
  /** Undefined before the stream is open. */
  readonly region: string | undefined;
}

/** All that is known of a run at a moment: what log, status line, metrics and page are made from. */
export interface Snapshot {
  /**
   * Milliseconds since 1970, as this machine's clock had it at the start and by what passed since:
   * the difference of two of them is the time between, whoever set the clock.
   */
  readonly atMs: number;
  /** Milliseconds since 1970, as this machine's clock has it now. */
  readonly wallMs: number;
  readonly state: RunState;
  /** Since when the state has been this one, as `atMs`. */
  readonly sinceMs: number;
  readonly names: RunNames;
  readonly progress: Readonly<Progress>;
  /** How the rows that were there before are read. */
  readonly backfill: BackfillProgress;
  readonly position: Position | undefined;
  readonly lag: Lag;
  readonly source: SourceView | undefined;
  readonly writer: WriterStats | undefined;
  /** As the server last reported it, and when that was by this machine's clock. */
  readonly slot: SlotState & { readonly askedAtMs: number } | undefined;
  /** From a commit to the acknowledgement of the transaction's last record, in seconds. */
  readonly commitSeconds: Histogram;
}

/** `orders`, `orders and 2 more`; undefined where none is open. */
export function streamsText(streams: WriterStats["streams"] = []): string | undefined {
  const [first, ...more] = streams;
  if (first === undefined) return undefined;
  return more.length === 0 ? first.stream : `${first.stream} and ${more.length} more`;
}

export interface Position {
  readonly confirmedLsn: Lsn;
  readonly receivedLsn: Lsn;
}

/** How far what is stored lies behind what is committed. Undefined: not known (yet). */
export interface Lag {
  /** From the confirmed flush LSN to the end of the server's WAL, whoever wrote it. */
  readonly bytes: number | undefined;
  /** Age of the oldest commit that is not completely stored; 0 when there is none. */
  readonly seconds: number | undefined;
}

export interface SourceView {
  readonly isConnected: boolean;
  readonly lossReason: string | undefined;
  readonly isReading: boolean;
  readonly reconnects: number;
  /** Bytes read from the socket that wait for the pipeline. */
  readonly waitingBytes: number;
}
