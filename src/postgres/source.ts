import type { Lsn } from "../lsn.ts";
import type { PostgresOptions, SlotOptions } from "../options.ts";
import { connect } from "./connection.ts";
import type { PostgresError } from "./postgres_error.ts";
import type { ReplicationMessage } from "./replication_message.ts";
import { ReplicationSession, type ServerIdentity } from "./replication_session.ts";

/** Bytes that wait for the pipeline before the socket is no longer read. One message may be larger. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;

export interface SourceOptions {
  readonly postgres: PostgresOptions;
  readonly slot: SlotOptions;
  /** Where to start; the slot's own position counts when it is later. 0: there. */
  readonly startLsn: Lsn;
  /** What may be confirmed; asked whenever the server is told. */
  readonly flushLsn: () => Lsn;
  /** Ends the iteration, and a connection attempt, but not the feedback: that ends with `close`. */
  readonly signal: AbortSignal;
}

/** What a source has seen, for progress and metrics. */
export interface SourceStats {
  /** Bytes read since the start, the protocol's own included. */
  readonly receivedBytes: number;
  /** The greatest LSN received; how far the server's decoding has come. */
  readonly receivedLsn: Lsn;
  /** The flush LSN that the server was told last. */
  readonly sentLsn: Lsn;
  /** Bytes that wait for the pipeline. */
  readonly waitingBytes: number;
  /** Whether the socket is read. */
  readonly isReading: boolean;
  readonly server: ServerIdentity;
}

/** The slot's messages, an array for each read of the socket. To be iterated once. */
export interface ReplicationSource extends AsyncIterable<readonly ReplicationMessage[]> {
  /** The flush LSN has advanced: the server hears of it within a tenth of a second. */
  confirm(): void;
  /** Tells the server the flush LSN for the last time, and lets go of it. */
  close(): Promise<void>;
  readonly stats: SourceStats;
}

/**
 * Follows a slot.
 * @throws {PostgresError} one line with what to do; so does the iteration, when the connection is lost.
 */
export async function openSource(options: SourceOptions): Promise<ReplicationSource> {
  const source = new Source(options);
  await source.connect(options.startLsn);
  return source;
}

class Source implements ReplicationSource {
  #session!: ReplicationSession;
  #batches: { readonly messages: ReplicationMessage[]; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  #receivedBytes = 0;
  #error: PostgresError | undefined;
  /** Wakes the consumer that waits for a batch. */
  #wake: (() => void) | undefined;

  constructor(private readonly options: SourceOptions) {
    options.signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  async connect(startLsn: Lsn): Promise<void> {
    const { postgres, slot, signal, flushLsn } = this.options;
    const connection = await connect(postgres, "replication", signal);
    this.#session = await ReplicationSession.start(connection, slot, startLsn, {
      received: (messages, bytes) => this.#take(messages, bytes),
      lost: (error) => {
        this.#error = error;
        this.#wake?.();
      },
      flushLsn,
    });
  }

  get stats(): SourceStats {
    return {
      receivedBytes: this.#receivedBytes,
      receivedLsn: this.#session.receivedLsn,
      sentLsn: this.#session.sentLsn,
      waitingBytes: this.#waitingBytes,
      isReading: this.#session.isReading,
      server: this.#session.identity,
    };
  }

  confirm(): void {
    this.#session.confirm();
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReplicationMessage[]> {
    const { signal } = this.options;
    while (!signal.aborted) {
      const batch = this.#batches.shift();
      if (batch !== undefined) {
        this.#waitingBytes -= batch.bytes;
        yield batch.messages;
        // Half empty, so that reading is not switched at every batch.
        if (this.#waitingBytes <= MAX_WAITING_BYTES / 2) this.#session.resume();
      } else if (this.#error !== undefined) {
        throw this.#error;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = undefined;
      }
    }
  }

  #take(messages: ReplicationMessage[], bytes: number): boolean {
    this.#receivedBytes += bytes;
    this.#waitingBytes += bytes;
    this.#batches.push({ messages, bytes });
    this.#wake?.();
    return this.#waitingBytes >= MAX_WAITING_BYTES;
  }
}
