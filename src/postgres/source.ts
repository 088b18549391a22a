import { getLogger } from "@logtape/logtape";
import { formatLsn, type Lsn } from "../lsn.ts";
import type { PostgresOptions, SlotOptions } from "../options.ts";
import { backoffMs, pause } from "./backoff.ts";
import { connect } from "./connection.ts";
import { failed, PostgresError } from "./postgres_error.ts";
import type { ReplicationMessage } from "./replication_message.ts";
import { ReplicationSession, type ServerIdentity } from "./replication_session.ts";
import { ResumePoint } from "./resume_point.ts";
import { whereToGoOn } from "./same_server.ts";
import { ServerWatch } from "./server_watch.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** Bytes that wait for the pipeline before the socket is no longer read. One message may be larger. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** Without a word from the server for so long, while we read and ask, the connection counts as lost. */
const DEFAULT_SILENCE_MS = 60_000;
/** While the server cannot be reached, the log says so this often. */
const REMINDER_MS = 60_000;

export interface SourceOptions {
  readonly postgres: PostgresOptions;
  readonly slot: SlotOptions;
  /** Where to start; the slot's own position counts when it is later. 0: there. */
  readonly startLsn: Lsn;
  /** What may be confirmed; asked whenever the server is told. */
  readonly flushLsn: () => Lsn;
  /** Ends the iteration, and a connection attempt, but not the feedback: that ends with `close`. */
  readonly signal: AbortSignal;
  /** Default one minute. */
  readonly silenceMs?: number;
  /** For the jitter between attempts to connect. Default `Math.random`. */
  readonly random?: () => number;
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
  readonly isConnected: boolean;
  /** How often the connection was made anew. */
  readonly reconnects: number;
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
 * Follows a slot. A connection that is lost is made anew, for as long as that takes, and the messages
 * go on where they broke off, also in the middle of a transaction.
 * @throws {PostgresError} one line with what to do, when it cannot be followed; so does the iteration,
 * when a loss cannot heal.
 */
export async function openSource(options: SourceOptions): Promise<ReplicationSource> {
  const source = new Source(options);
  await source.connect();
  return source;
}

class Source implements ReplicationSource {
  #session!: ReplicationSession;
  #resume: ResumePoint | undefined;
  #watch: ServerWatch | undefined;
  #server: ServerIdentity | undefined;
  #batches: { readonly messages: ReplicationMessage[]; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  #receivedBytes = 0;
  #receivedLsn: Lsn = 0n;
  /** By us, or before us. */
  #confirmedLsn: Lsn = 0n;
  #sessions = 0;
  #isConnected = false;
  #error: unknown;
  /** Wakes the consumer that waits for a batch. */
  #wake: (() => void) | undefined;
  /** Aborts with the options' signal, and when this source is closed. */
  readonly #closing = new AbortController();
  readonly #ended: AbortSignal;

  constructor(private readonly options: SourceOptions) {
    this.#ended = AbortSignal.any([options.signal, this.#closing.signal]);
    this.#ended.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  get stats(): SourceStats {
    const { receivedLsn, sentLsn } = this.#session;
    return {
      receivedBytes: this.#receivedBytes,
      receivedLsn: receivedLsn > this.#receivedLsn ? receivedLsn : this.#receivedLsn,
      sentLsn: sentLsn > this.#confirmedLsn ? sentLsn : this.#confirmedLsn,
      waitingBytes: this.#waitingBytes,
      isReading: this.#session.isReading,
      isConnected: this.#isConnected,
      reconnects: this.#sessions - 1,
      server: this.#server!,
    };
  }

  confirm(): void {
    this.#session.confirm();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#watch?.close();
    await this.#session.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReplicationMessage[]> {
    while (!this.#ended.aborted) {
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

  async connect(): Promise<void> {
    const { postgres, slot, flushLsn } = this.options;
    const connection = await connect(postgres, "replication", this.#ended);
    const session = await ReplicationSession.start(
      connection,
      slot,
      (server) => this.#whereToStart(connection, server),
      {
        received: (messages, bytes) => this.#take(messages, bytes),
        lost: (error) => this.#lost(error),
        silent: (ms) => void this.#checkSilence(session, ms),
        flushLsn,
      },
    );
    if (this.#ended.aborted) {
      session.destroy();
      throw this.#ended.reason;
    }
    this.#session = session;
    this.#server = session.identity;
    this.#isConnected = true;
    this.#sessions++;
    // What was acknowledged in the meantime.
    session.confirm();
    this.#watch = await ServerWatch.open(
      postgres,
      connection.attempt,
      this.#ended,
      (error) => session.giveUp(error),
    );
    if (this.#ended.aborted) this.#watch?.close();
  }

  async #whereToStart(
    connection: Parameters<typeof whereToGoOn>[0],
    server: ServerIdentity,
  ): Promise<Lsn> {
    const { startLsn, slot } = this.options;
    if (this.#resume === undefined || this.#server === undefined) {
      const first = server.slotConfirmedLsn ?? 0n;
      this.#confirmedLsn = first > startLsn ? first : startLsn;
      this.#resume = new ResumePoint(this.#confirmedLsn, slot.plugin);
      return startLsn;
    }
    const lsn = await whereToGoOn(connection, server, {
      slotName: slot.name,
      before: this.#server,
      receivedLsn: this.#resume.lsn,
      confirmedLsn: this.stats.sentLsn,
      isInTransaction: this.#resume.isInTransaction,
    });
    if (lsn < this.#resume.lsn) this.#resume.rewind(lsn);
    this.#resume.restart();
    return lsn;
  }

  /** Gives whether reading shall stop. */
  #take(messages: ReplicationMessage[], bytes: number): boolean {
    this.#receivedBytes += bytes;
    const resume = this.#resume!;
    let fresh = messages;
    if (resume.isReplaying) {
      fresh = messages.filter((message) => {
        const wasReplaying = resume.isReplaying;
        return message.kind === "xlogdata"
          ? resume.accept(message)
          : message.kind === "keepalive" || !wasReplaying;
      });
    } else {
      for (const message of messages) {
        if (message.kind === "xlogdata") resume.accept(message);
      }
    }
    if (fresh.length > 0) {
      this.#waitingBytes += bytes;
      this.#batches.push({ messages: fresh, bytes });
      this.#wake?.();
    }
    return this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  #lost(error: PostgresError): void {
    const { receivedLsn, sentLsn } = this.stats;
    this.#receivedLsn = receivedLsn;
    this.#confirmedLsn = sentLsn;
    this.#isConnected = false;
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#ended.aborted) return;
    if (error.transient) void this.#reconnect(error);
    else this.#fail(error);
  }

  async #reconnect(loss: PostgresError): Promise<void> {
    const since = new Date();
    logger.warn("{loss}; connecting again", { loss: loss.message });
    let remindedAt = since.getTime();
    for (let attempt = 0; !this.#ended.aborted; attempt++) {
      await pause(backoffMs(attempt, this.options.random ?? Math.random), this.#ended);
      if (this.#ended.aborted) return;
      try {
        await this.connect();
        logger.info("connected again after {seconds} s; going on from {lsn}", {
          seconds: (Date.now() - since.getTime()) / 1000,
          lsn: formatLsn(this.#resume!.lsn),
        });
        return;
      } catch (error) {
        if (this.#ended.aborted) return;
        if (!(error instanceof PostgresError && error.transient)) return this.#fail(error);
        logger.debug("not connected: {why}", { why: error.message });
        if (Date.now() - remindedAt < REMINDER_MS) continue;
        remindedAt = Date.now();
        logger.warn("not connected since {since}: {why}", {
          since: since.toISOString(),
          why: error.message,
        });
      }
    }
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#wake?.();
  }

  async #checkSilence(session: ReplicationSession, ms: number): Promise<void> {
    if (ms < (this.options.silenceMs ?? DEFAULT_SILENCE_MS)) return;
    // One transaction may keep a walsender decoding for minutes, in which it neither hears nor speaks.
    if (await this.#watch?.isSenderAtWork(session.senderPid)) return;
    session.giveUp(
      failed(
        "the connection to PostgreSQL is lost",
        new Error(`nothing came for ${Math.round(ms / 1000)} s`),
      ),
    );
  }
}
