import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { formatLsn, type Lsn, parseLsn } from "../../base/lsn.ts";
import type { Timelines } from "../../base/timelines.ts";
import { PLUGINS } from "../../decode/plugins.ts";
import type { SlotOptions } from "../../options.ts";
import type { Connection } from "../connection/connection.ts";
import { readCopyData, readNotice, writeStandbyStatus } from "./copy_data.ts";
import { CopyStream } from "./copy_stream.ts";
import { explainLostStream, explainRefusedStart } from "./decoding_failure.ts";
import { failed, PostgresError } from "../connection/postgres_error.ts";
import type { Keepalive, ReplicationMessage, XLogData } from "../../base/replication_message.ts";
import { readTimelines } from "./read_timelines.ts";
import { AROUND_POOLER } from "../connection/server_refusal.ts";
import { isWaitForStandby, leftOutBy } from "./server_warning.ts";
import { isTrue } from "../connection/text_row.ts";
import { findSlot, type SlotRow } from "../slot/slot_row.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** However patient the server is, it hears from us this often (invariant 3). */
const MAX_STATUS_INTERVAL_MS = 10_000;
/** Acknowledgements are many; what they confirm is sent no more often than this. */
const MIN_CONFIRM_INTERVAL_MS = 100;
/** For the server to answer our last words. */
const CLOSE_TIMEOUT_MS = 3000;
/** The first turn of not reading, in which a busy server fills the socket; each is twice the last. */
const FIRST_SILENCE_MS = 100;
/** A turn of reading, in which what fills the socket is dropped. */
const DROP_MS = 100;

/** What an ordinary session says to a replication command. */
const SYNTAX_ERROR = "42601";

/** The server's identity, from IDENTIFY_SYSTEM, and its timeout. */
export interface ServerIdentity {
  readonly systemId: string;
  readonly timeline: number;
  /** Of its WAL. */
  readonly timelines: Timelines;
  /** End of the server's WAL when the session began. */
  readonly walEnd: Lsn;
  /** `server_version_num`: 150020. */
  readonly version: number;
  /** 0: it waits forever. */
  readonly walSenderTimeoutMs: number;
  readonly isStandby: boolean;
  /** Process id of our walsender. */
  readonly senderPid: number;
}

/**
 * Where to start, on a server whose identity is known; `slot` is its row in `pg_replication_slots`,
 * undefined when there is none.
 */
export type WhereToStart = (
  identity: ServerIdentity,
  slot: SlotRow | undefined,
) => Lsn | Promise<Lsn>;

/** What a session reports to its owner. */
export interface SessionEvents {
  /**
   * Messages, the bytes that were read for them, and those of these that were not kept. True: read no
   * more until `resume`.
   */
  received(batch: ReplicationMessage[], bytes: number, dropped: number): boolean;
  /** Whether of a long message that begins like this the rest, which its length counts, can be dropped. */
  needsOnlyHead(head: XLogData): boolean;
  /** The connection is gone, or what it said was not understood. At most once, and nothing after it. */
  lost(error: PostgresError): void;
  /** Nothing came for `ms`, although the socket was read and answers were asked for. */
  silent(ms: number): void;
  /** What may be confirmed now. */
  flushLsn(): Lsn;
}

/** One START_REPLICATION on one connection. */
export class ReplicationSession {
  #copy: CopyStream;
  #batch: ReplicationMessage[] = [];
  /** Of the reads that made the batch: a large message takes many. */
  #batchBytes = 0;
  /** Those that were not kept. */
  #droppedBytes = 0;
  #last: ReplicationMessage | undefined;
  #receivedLsn: Lsn = 0n;
  #sentLsn: Lsn = 0n;
  #sentAtMs = -Infinity;
  #lastReadMs = 0;
  #statusTimer: ReturnType<typeof setInterval> | undefined;
  #confirmTimer: ReturnType<typeof setTimeout> | undefined;
  /** Replies asked for and not received. The server may send keepalives of its own as well. */
  #unanswered = 0;
  #onAnswer: (() => void) | undefined;
  /** While closing: whether what comes is read and dropped, or left. */
  #dropping = false;
  #state: "starting" | "streaming" | "closing" | "over" = "starting";

  /**
   * Starts streaming from the LSN that `whereToStart` gives for this server, or from what the slot has
   * confirmed, whichever is later. The connection belongs to the session from now on.
   * @throws {PostgresError} one line with what to do.
   */
  static async start(
    connection: Connection,
    slot: SlotOptions,
    whereToStart: WhereToStart,
    events: SessionEvents,
    clock: Clock,
  ): Promise<ReplicationSession> {
    try {
      const identity = await identify(connection);
      const startLsn = await whereToStart(identity, await findSlot(connection, slot.name));
      const session = new ReplicationSession(connection, slot, identity, events, clock);
      await session.#start(startLsn);
      return session;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  private constructor(
    private readonly connection: Connection,
    private readonly slot: SlotOptions,
    readonly identity: ServerIdentity,
    private readonly events: SessionEvents,
    private readonly clock: Clock,
  ) {
    this.#copy = new CopyStream(connection, {
      copyData: (bytes, start, end, missing) => this.#takeCopyData(bytes, start, end, missing),
      needsOnlyHead: (head, missing) => {
        const message = readCopyData(head, 0, head.length, missing);
        return message.kind === "xlogdata" && this.events.needsOnlyHead(message);
      },
      notice: (message) => this.#takeNotice(message),
      endOfRead: (bytes) => this.#endOfRead(bytes),
      broken: (error) => this.#lose(this.#notUnderstood(error)),
    }, clock);
  }

  /** The greatest LSN received. */
  get receivedLsn(): Lsn {
    const last = this.#last;
    if (last?.kind === "keepalive" || last?.kind === "xlogdata") {
      const lsn = last.kind === "keepalive" ? last.walEnd : last.walStart;
      // Changes of a transaction lie before the commits that were received earlier.
      if (lsn > this.#receivedLsn) this.#receivedLsn = lsn;
    }
    return this.#receivedLsn;
  }

  /** The flush LSN last sent to the server. */
  get sentLsn(): Lsn {
    return this.#sentLsn;
  }

  get isReading(): boolean {
    return this.#copy.isReading;
  }

  /** Reads on after `received` asked for a stop. */
  resume(): void {
    if (this.#state === "streaming") this.#copy.resume();
  }

  /** The flush LSN has advanced: the server hears of it soon. */
  confirm(): void {
    if (this.#confirmTimer !== undefined || this.#state !== "streaming") return;
    const wait = this.#sentAtMs + MIN_CONFIRM_INTERVAL_MS - this.clock.now();
    this.#confirmTimer = setTimeout(() => {
      this.#confirmTimer = undefined;
      if (this.events.flushLsn() > this.#sentLsn) this.#sendStatus("reply, please");
    }, Math.max(wait, 0));
  }

  /**
   * Sends the last status update and waits for the server's answer, but not for long; then closes the
   * socket. COPY DONE would make the server send the open transaction to its end.
   */
  async close(): Promise<void> {
    if (this.#state !== "streaming") return;
    this.#state = "closing";
    this.#stopTimers();
    this.#copy.write(this.#status("reply, please"));
    const deadline = this.clock.now() + CLOSE_TIMEOUT_MS;
    // A walsender inside a transaction listens only while it cannot write, and its answer lies behind
    // what it wrote before: so what comes is dropped, in turns with not reading.
    for (let silenceMs = FIRST_SILENCE_MS; this.clock.now() < deadline; silenceMs *= 2) {
      if (await this.#isAnswered(silenceMs)) break;
      this.#dropping = true;
      this.#copy.resume();
      if (await this.#isAnswered(DROP_MS)) break;
      this.#dropping = false;
    }
    this.destroy();
  }

  /** Waits until all replies that were asked for are there, or the connection is gone. */
  async #isAnswered(withinMs: number): Promise<boolean> {
    if (this.#unanswered === 0) return true;
    const answered = new Promise<void>((resolve) => this.#onAnswer = resolve);
    const over = Promise.race([answered, this.connection.lost]).then(() => true);
    return await firstOf(over, withinMs, this.clock) ?? false;
  }

  /** Gives the session up, as if its connection had been lost. */
  giveUp(error: PostgresError): void {
    this.#lose(error);
  }

  /** Lets go at once, without a last word. */
  destroy(): void {
    this.#state = "over";
    this.#stopTimers();
    this.connection.destroy();
  }

  get #name(): string {
    return JSON.stringify(this.slot.name);
  }

  async #start(startLsn: Lsn): Promise<void> {
    const { plugin, publications } = this.slot;
    const options = PLUGINS[plugin].startOptions(publications, this.identity.version)
      .map(([name, value]) => `"${name}" '${value.replaceAll("'", "''")}'`).join(", ");
    const command = `START_REPLICATION SLOT "${this.slot.name.replaceAll('"', '""')}" ` +
      `LOGICAL ${formatLsn(startLsn)} (${options})`;
    this.#state = "streaming";
    let ended: Promise<Error | undefined>;
    try {
      ({ ended } = await this.#copy.start(command));
    } catch (error) {
      throw await explainRefusedStart(error, this.connection, this.identity, this.slot);
    }
    const lost = (why: unknown) =>
      this.#lose(explainLostStream(why, this.connection.place, this.slot));
    ended.then((error) => lost(error ?? new Error("the server ended the replication")));
    this.connection.lost.then(lost);
    this.#lastReadMs = this.clock.now();
    this.#statusTimer = setInterval(() => {
      this.#sendStatus("reply, please");
      // Time in which we do not read says nothing of the server.
      if (!this.isReading) this.#lastReadMs = this.clock.now();
      else this.events.silent(this.clock.now() - this.#lastReadMs);
    }, statusIntervalMs(this.identity.walSenderTimeoutMs, this.slot.silenceMs));
  }

  #takeCopyData(bytes: Uint8Array, start: number, end: number, missing: number): void {
    const message = readCopyData(bytes, start, end, missing);
    this.#droppedBytes += missing;
    if (message.kind === "keepalive") this.#takeKeepalive(message);
    if (this.#state === "streaming") this.#batch.push(message);
  }

  #takeKeepalive(keepalive: Keepalive): void {
    if (!keepalive.replyRequested) {
      if (this.#unanswered > 0) this.#unanswered--;
      if (this.#unanswered === 0) this.#onAnswer?.();
    } else if (this.#state === "streaming") {
      this.#last = keepalive;
      this.#copy.write(this.#status("no reply"));
    }
  }

  #takeNotice(message: Uint8Array): void {
    const notice = readNotice(message);
    const { severity, text } = notice;
    const leftOut = leftOutBy(notice, this.slot.plugin);
    if (leftOut !== undefined) {
      this.#batch.push({ kind: "warning", text, leftOut });
      return;
    }
    const { place } = this.connection;
    if (isWaitForStandby(notice)) {
      logger.warn("{place} sends no changes until a standby has them: {text}", { place, text });
    } else if (severity === "WARNING") {
      logger.warn("{place} says: {severity}: {text}", { place, severity, text });
    } else {
      logger.info("{place} says: {severity}: {text}", { place, severity, text });
    }
  }

  #endOfRead(bytes: number): boolean {
    this.#lastReadMs = this.clock.now();
    if (this.#state !== "streaming") return !this.#dropping;
    this.#batchBytes += bytes;
    if (this.#batch.length === 0) return false;
    const batch = this.#batch, batchBytes = this.#batchBytes, droppedBytes = this.#droppedBytes;
    this.#batch = [];
    this.#batchBytes = this.#droppedBytes = 0;
    this.#last = batch.findLast(({ kind }) => kind !== "warning") ?? this.#last;
    return this.events.received(batch, batchBytes, droppedBytes);
  }

  /** The same bytes would come again. */
  #notUnderstood(error: Error): PostgresError {
    if (error instanceof PostgresError) return error;
    const { message } = failed(`cannot understand what the slot ${this.#name} sends`, error);
    return new PostgresError(message, { transient: false, cause: error });
  }

  #lose(error: PostgresError): void {
    if (this.#state !== "streaming") return;
    this.destroy();
    this.events.lost(error);
  }

  #sendStatus(reply: Reply): void {
    if (this.#state === "streaming") this.#copy.write(this.#status(reply));
  }

  #status(reply: Reply): Uint8Array {
    const flushed = this.events.flushLsn();
    if (flushed > this.#sentLsn) this.#sentLsn = flushed;
    this.#sentAtMs = this.clock.now();
    const received = this.receivedLsn;
    if (reply === "reply, please") this.#unanswered++;
    return writeStandbyStatus({
      written: received > this.#sentLsn ? received : this.#sentLsn,
      flushed: this.#sentLsn,
      replyRequested: reply === "reply, please",
      nowMs: this.clock.wall(),
    });
  }

  #stopTimers(): void {
    clearInterval(this.#statusTimer);
    clearTimeout(this.#confirmTimer);
  }
}

/** What the promise gives, or undefined when the time is over. */
async function firstOf<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  const settled = new AbortController();
  const timeout = clock.sleep(ms, settled.signal).then(() => undefined);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    settled.abort();
  }
}

type Reply = "reply, please" | "no reply";

/**
 * A third of the server's patience, at most ten seconds (invariant 3). It is how often an answer is
 * asked for, so it must lie within our own patience as well. 0: without limit.
 */
export function statusIntervalMs(walSenderTimeoutMs: number, silenceMs: number): number {
  return Math.min(
    MAX_STATUS_INTERVAL_MS,
    (walSenderTimeoutMs || Infinity) / 3,
    (silenceMs || Infinity) / 3,
  );
}

async function identify(connection: Connection): Promise<ServerIdentity> {
  const doing = `identify the server at ${connection.place}`;
  // On this connection, since a role may have a timeout of its own.
  const [settings] = await connection.query(
    doing,
    "SELECT pg_catalog.current_setting('server_version_num') AS version, " +
      "(SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'wal_sender_timeout') AS timeout, " +
      "pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby, pg_catalog.pg_backend_pid() AS pid",
  );
  // Behind the other: what is a primary by then has its last timeline. A standby's may be the one
  // before, and were it promoted in between, it would pass for a primary on that.
  const [system] = await connection.query(doing, "IDENTIFY_SYSTEM").catch((error) => {
    if (!(error instanceof PostgresError && error.code === SYNTAX_ERROR)) throw error;
    throw new PostgresError(
      `${error.message}; this is no replication connection: ${AROUND_POOLER}`,
      {
        transient: false,
        cause: error.cause,
      },
    );
  });
  const timeline = Number(system!.timeline);
  return {
    systemId: system!.systemid!,
    timeline,
    timelines: await readTimelines(connection, timeline),
    walEnd: parseLsn(system!.xlogpos!),
    version: Number(settings!.version),
    walSenderTimeoutMs: Number(settings!.timeout),
    isStandby: isTrue(settings!.standby),
    senderPid: Number(settings!.pid),
  };
}
