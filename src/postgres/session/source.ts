import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import type { Lsn } from "../../base/lsn.ts";
import { PLUGINS } from "../../decode/plugins.ts";
import type { PostgresOptions, SlotOptions } from "../../options.ts";
import { BatchQueue } from "./batch_queue.ts";
import { bounded } from "../connection/bounded.ts";
import { connect, type Connection } from "../connection/connection.ts";
import { failed, PostgresError } from "../connection/postgres_error.ts";
import type { ReplicationMessage, XLogData } from "../../base/replication_message.ts";
import { ReplicationSession, type ServerIdentity } from "./replication_session.ts";
import type { ReplicationSource, SourceStats } from "./replication_source.ts";
import { reconnect } from "./reconnect.ts";
import { ResumePoint } from "./resume_point.ts";
import { SLOT_TAKEN, SlotInDoubt, whereToGoOn } from "./same_server.ts";
import { ServerWatch } from "./server_watch.ts";
import { SlotLease } from "./slot_lease.ts";
import type { SlotRow } from "../slot/slot_row.ts";
import type { SlotState } from "../slot/slot_state.ts";
import type { Read, TimelineGate } from "./timeline_gate.ts";
import { openTimelineGate } from "./open_timeline_gate.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/**
 * Bytes that wait for the pipeline before the socket is no longer read. One message may be larger. More
 * would only let messages grow old: those that two scavenges find alive cost a full garbage collection.
 */
const MAX_WAITING_BYTES = 512 * 1024;
/** Process ids of our own earlier walsenders; the server lets the last ones go soon. */
const MAX_OWN_PIDS = 100;

export interface SourceOptions {
  readonly postgres: PostgresOptions;
  readonly slot: SlotOptions;
  /** Where to start; the slot's own position counts when it is later. 0: there. */
  readonly startLsn: Lsn;
  /** What may be confirmed; asked for each status update. */
  readonly flushLsn: () => Lsn;
  /** Whether of a long message that begins like this the rest can be dropped. Default: never. */
  readonly needsOnlyHead?: (head: XLogData) => boolean;
  /** Ends the iteration, and a connection attempt, but not the feedback: that ends with `close`. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** For the jitter between attempts to connect: numbers in [0, 1). */
  readonly random: () => number;
}

/**
 * Follows a slot. A lost connection is reopened, for as long as that takes, and the messages
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
  /** Of a session with a standby. */
  #gate: TimelineGate | undefined;
  #server: ServerIdentity | undefined;
  readonly #ownPids: Set<number> = new Set();
  /** Another client was seen to hold the slot since the connection was lost. */
  #wasTaken = false;
  readonly #clock: Clock;
  readonly #lease: SlotLease;
  /** Where the timelines ended that the pipeline still works on; each lies behind the one before. */
  readonly #branches: Lsn[] = [];
  readonly #queue = new BatchQueue();
  #receivedBytes = 0;
  #receivedLsn: Lsn = 0n;
  /** By us, or before us. */
  #confirmedLsn: Lsn = 0n;
  #sessions = 0;
  #isConnected = false;
  #lossReason: string | undefined;
  #place = "";
  #error: unknown;
  /** Aborts with the options' signal, and when this source is closed. */
  readonly #closing = new AbortController();
  readonly #ended: AbortSignal;
  readonly taken: Promise<PostgresError>;
  #setTaken!: (error: PostgresError) => void;

  constructor(private readonly options: SourceOptions) {
    this.#clock = options.clock;
    this.#lease = new SlotLease(this.#clock);
    this.taken = new Promise((resolve) => this.#setTaken = resolve);
    this.#ended = AbortSignal.any([options.signal, this.#closing.signal]);
    this.#ended.addEventListener("abort", () => this.#queue.wake(), { once: true });
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
      lossReason: this.#lossReason,
      place: this.#place,
      reconnects: this.#sessions - 1,
      server: this.#server!,
    };
  }

  get isOurs(): boolean {
    return !this.#wasTaken && this.#lease.isValid;
  }

  confirm(): void {
    this.#session.confirm();
  }

  async slotState(): Promise<SlotState | undefined> {
    return await this.#watch?.slotState(this.options.slot.name);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#watch?.close();
    this.#closeGate();
    await this.#session.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly ReplicationMessage[]> {
    while (!this.#ended.aborted) {
      const messages = this.#queue.shift();
      if (messages !== undefined) {
        yield messages;
        // Whoever comes for more has worked this off.
        const [first] = messages;
        if (first?.kind === "timeline" && first.branch !== undefined) this.#branches.shift();
        // Half empty, so that reading is not switched at every batch.
        if (this.#hasRoom) this.#session.resume();
      } else if (this.#error !== undefined) {
        throw this.#error;
      } else {
        await this.#queue.wait();
      }
    }
  }

  get #waitingBytes(): number {
    return this.#queue.bytes + (this.#gate?.bytes ?? 0);
  }

  get #hasRoom(): boolean {
    return this.#waitingBytes <= MAX_WAITING_BYTES / 2;
  }

  async connect(): Promise<void> {
    const { postgres, slot } = this.options;
    const connection = await connect(postgres, "replication", this.#ended);
    let isAdopted = false;
    let lostEarly: PostgresError | undefined;
    // Only once it is streaming do keepalives show that the server is there.
    const session: ReplicationSession = await bounded(
      connection,
      ReplicationSession.start(
        connection,
        slot,
        async (server, row) => {
          if (server.isStandby) {
            const end = (error: PostgresError) =>
              isAdopted ? session.giveUp(error) : lostEarly = error;
            this.#gate = await openTimelineGate(postgres, connection, server, this.#ended, {
              pass: (read) => this.#passed(read),
              end,
            });
          }
          return this.#whereToStart(connection, server, row);
        },
        {
          received: (messages, bytes, dropped) => {
            const read = { messages, bytes, dropped };
            if (this.#gate === undefined) this.#take(read);
            else this.#gate.push(read);
            return this.#waitingBytes >= MAX_WAITING_BYTES;
          },
          needsOnlyHead: (head) => this.options.needsOnlyHead?.(head) ?? false,
          // An error that comes with the first messages is there before the session is.
          lost: (error) => isAdopted ? this.#lost(error) : lostEarly = error,
          silent: (ms) => void this.#checkSilence(session, ms),
          flushLsn: () => this.#flushLsn(),
        },
        this.#clock,
      ),
      slot.silenceMs,
      this.#ended,
    ).catch((error) => {
      this.#closeGate();
      throw error;
    });
    if (this.#ended.aborted) {
      session.destroy();
      this.#closeGate();
      throw this.#ended.reason;
    }
    isAdopted = true;
    this.#session = session;
    this.#server = session.identity;
    this.#isConnected = true;
    this.#lossReason = undefined;
    this.#place = connection.place;
    this.#wasTaken = false;
    this.#lease.begin();
    this.#sessions++;
    // What was acknowledged in the meantime, and what was taken of a first read.
    session.confirm();
    if (this.#hasRoom) session.resume();
    const watch = new ServerWatch(
      postgres,
      connection.attempt,
      (error) => session.giveUp(error),
      this.#clock,
      this.options.random,
    );
    this.#watch = watch;
    if (slot.standby) void this.#keepLease(session, watch);
    if (lostEarly === undefined) return;
    session.destroy();
    this.#lost(lostEarly);
  }

  #closeGate(): void {
    this.#gate?.close();
    this.#gate = undefined;
  }

  /** What the checkpoint has of a timeline that is left says nothing of the next one. */
  #flushLsn(): Lsn {
    // A server that turns out to be another one keeps all it has.
    if (this.#resume!.isComparing) return 0n;
    const flushLsn = this.options.flushLsn();
    const [branch] = this.#branches;
    return branch !== undefined && flushLsn > branch ? branch : flushLsn;
  }

  #whereToStart(
    connection: Connection,
    server: ServerIdentity,
    row: SlotRow | undefined,
  ): Lsn {
    const { startLsn, slot, postgres } = this.options;
    this.#ownPids.add(server.senderPid);
    if (this.#ownPids.size > MAX_OWN_PIDS) this.#ownPids.delete(firstOf(this.#ownPids));
    const slotLsn = row?.confirmedFlushLsn ?? 0n;
    const { timelines } = server;
    if (this.#resume === undefined || this.#server === undefined) {
      this.#confirmedLsn = slotLsn > startLsn ? slotLsn : startLsn;
      this.#resume = new ResumePoint(this.#confirmedLsn, PLUGINS[slot.plugin]);
      this.#queue.push([{ kind: "timeline", timelines, branch: undefined }], 0);
      return startLsn;
    }
    const { lsn, branch } = whereToGoOn(connection.place, server, row, {
      options: slot,
      database: postgres.database,
      before: this.#server,
      receivedLsn: this.#resume.lsn,
      confirmedLsn: this.stats.sentLsn,
      isInTransaction: this.#resume.isInTransaction,
      wasTaken: this.#wasTaken,
      heldBy: (pid) => this.#heldBy(pid),
    });
    if (slot.standby || this.#wasTaken) {
      const how = this.#wasTaken ? "followed" : "may have followed";
      throw new SlotInDoubt(
        `another client ${how} the slot ${JSON.stringify(slot.name)} while the connection was lost`,
      );
    }
    if (branch !== undefined) this.#leaveTimeline(branch);
    this.#queue.push([{ kind: "timeline", timelines, branch }], 0);
    if (lsn < this.#resume.lsn) this.#resume.rewind(lsn);
    return this.#resume.restart(slotLsn);
  }

  /** The server has not yet let go of our dead session, or another client was faster. */
  #heldBy(pid: number): never {
    const name = JSON.stringify(this.options.slot.name);
    if (this.#ownPids.has(pid)) {
      throw new PostgresError(
        `the server still holds the slot ${name} for our lost connection (its process ${pid})`,
        { transient: true },
      );
    }
    const message = `the slot ${name} is taken: the server's process ${pid} serves it to another ` +
      "client, which reads again what this run has not stored";
    if (this.options.slot.standby) {
      throw new PostgresError(message, { transient: false, code: SLOT_TAKEN });
    }
    if (!this.#wasTaken) logger.warn("{message}; nothing more is put", { message });
    this.#wasTaken = true;
    throw new PostgresError(message, { transient: true });
  }

  #leaveTimeline(branch: Lsn): void {
    this.#branches.push(branch);
    if (this.#confirmedLsn > branch) this.#confirmedLsn = branch;
    if (this.#receivedLsn > branch) this.#receivedLsn = branch;
  }

  async #keepLease(session: ReplicationSession, watch: ServerWatch): Promise<void> {
    const { walSenderTimeoutMs, senderPid } = session.identity;
    const why = await this.#lease.keep({
      walSenderTimeoutMs,
      ask: () => watch.isHeldBy(this.options.slot.name, senderPid),
      isOver: () => this.#session !== session || !this.#isConnected,
      signal: this.#ended,
    });
    if (why === undefined) return;
    session.giveUp(failed("the connection to PostgreSQL is lost", new Error(why)));
  }

  #passed(read: Read): void {
    this.#take(read);
    // The pipeline, which else resumes, may get nothing of it.
    if (this.#isConnected && this.#hasRoom) this.#session.resume();
  }

  #take({ messages, bytes, dropped }: Read): void {
    this.#receivedBytes += bytes;
    const fresh = this.#resume!.freshOf(messages);
    if (fresh.length > 0) this.#queue.push(fresh, bytes - dropped);
  }

  #lost(error: PostgresError): void {
    const { receivedLsn, sentLsn } = this.stats;
    this.#receivedLsn = receivedLsn;
    this.#confirmedLsn = sentLsn;
    this.#isConnected = false;
    this.#watch?.close();
    this.#watch = undefined;
    this.#closeGate();
    if (this.options.slot.standby) this.#lease.end();
    if (this.#ended.aborted) return;
    if (error.transient) void this.#reconnect(error);
    else this.#fail(error);
  }

  async #reconnect(loss: PostgresError): Promise<void> {
    try {
      await reconnect(loss, {
        clock: this.#clock,
        random: this.options.random,
        signal: this.#ended,
        connect: () => this.connect().then(() => this.#resume!.lsn),
        lost: (why) => this.#lossReason = why,
      });
    } catch (error) {
      if (!this.#ended.aborted) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#error = error;
    if (error instanceof PostgresError && error.code === SLOT_TAKEN) {
      this.#lease.end();
      this.#queue.clear();
      this.#setTaken(error);
    }
    this.#queue.wake();
  }

  async #checkSilence(session: ReplicationSession, ms: number): Promise<void> {
    const { silenceMs } = this.options.slot;
    if (silenceMs === 0 || ms < silenceMs) return;
    // One transaction may keep a walsender decoding for minutes, in which it neither hears nor speaks.
    if (await this.#watch?.isSenderAtWork(session.identity.senderPid)) return;
    session.giveUp(
      failed(
        "the connection to PostgreSQL is lost",
        new Error(`nothing came for ${Math.round(ms / 1000)} s`),
      ),
    );
  }
}

function firstOf<T>(set: ReadonlySet<T>): T {
  return set.values().next().value!;
}
