import { getLogger } from "@logtape/logtape";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { LastingTrouble } from "../base/lasting_trouble.ts";
import type { RecordWriter } from "../base/record_writer.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { PostgresOptions } from "../options.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import type { BackfillState } from "./backfill_state.ts";
import { Part } from "./chunk.ts";
import { type OpenRequest, printControlMessage } from "./control_message.ts";
import { isForLargeRow } from "./large_row.ts";
import { doneMessage, type HiddenOf, markMessage } from "./mark.ts";
import { openReader } from "./open_reader.ts";
import { Pace } from "./pace.ts";
import { News } from "./news.ts";
import { percentage, printReaderName } from "./progress.ts";
import { Chooser } from "./chooser.ts";
import { settleFailure, StaleRead } from "./read_failure.ts";
import type { ChunkRead, Job, Reader, ReaderParts } from "./reader.ts";
import { BackfillReport } from "./report.ts";
import { RequestTables, type RequestTablesParts } from "./request_tables.ts";
import { FIRST_TIMEOUT_MS, TRY_AGAIN_MS } from "./table_read.ts";
import { sizeUp } from "./table_sizes.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** While anything waits, a mark is written this often, and a snapshot taken. */
const MARK_EVERY_MS = 10_000;
/** So often what was asked is taken over. */
const TAKE_OVER_MS = 1_000;
const NAME_EVERY_MS = 1_000;
/** Tables whose size is not known, or was too low, are asked for it this often. */
const SIZE_EVERY_MS = 10_000;
/** A mark or ping that took longer to come back: the run is behind, and nothing is read. */
const BEHIND_MS = 10_000;
const REMINDER_MS = 60_000;

export interface DriverParts extends ReaderParts, RequestTablesParts {
  readonly slot: string;
  readonly postgres: PostgresOptions;
  readonly state: BackfillState;
  readonly hiddenOf: HiddenOf;
  readonly writer: RecordWriter;
  readonly checkpoint: Checkpoint;
  /** Rows a second; undefined: no limit. */
  readonly rate: number | undefined;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Reads what is asked for, beside the stream, and never ends the run (B11). */
export class BackfillDriver implements Disposable {
  readonly #closing = new AbortController();
  #reader: Reader | undefined;
  readonly #pace: Pace;
  readonly report: BackfillReport;
  readonly #news: News;
  readonly #tables: RequestTables;
  readonly #chooser: Chooser;
  #name = "";
  #namedMs = -Infinity;
  /** What heals by itself, as a failover does, and what does not. */
  readonly #interruption: LastingTrouble;
  readonly #refusal: LastingTrouble;
  #sizedMs = -Infinity;
  readonly #backoff: Backoff;

  constructor(private readonly parts: DriverParts) {
    this.#backoff = new Backoff(parts.random);
    const rate = { repeatMs: REMINDER_MS };
    this.#interruption = new LastingTrouble(parts.clock, { ...rate, quietMs: REMINDER_MS });
    this.#refusal = new LastingTrouble(parts.clock, rate);
    this.#pace = new Pace(parts.writer, parts.clock, parts.rate);
    this.#news = new News(parts.slot);
    this.#tables = new RequestTables(parts, this.#news);
    this.#chooser = new Chooser(parts);
    this.report = new BackfillReport(parts.state, parts.clock);
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#reader?.connection.destroy();
  }

  /** Ends when this is disposed. */
  async run(): Promise<void> {
    const { signal } = this.#closing;
    const { state, checkpoint } = this.parts;
    while (!signal.aborted) {
      try {
        checkpoint.hold(state.bound(checkpoint.storedLsn));
        this.report.tick();
        if (state.isIdle && state.mark === undefined) {
          this.#letGo();
          await state.wait(60_000, signal);
          continue;
        }
        await this.#step(signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { state, checkpoint, clock } = this.parts;
    const reader = await this.#connect();
    if (state.noted.areTooMany) state.beginEpoch();
    if (!state.hasJoined) return await this.#join(reader, signal);
    if (state.isPublishing || state.mark !== undefined) {
      const isLate = state.mark !== undefined && clock.now() - state.mark.sentMs > BEHIND_MS;
      if (isLate) state.waitFor("behind", clock.wall());
      return await state.wait(200, signal);
    }
    const [request] = state.ledger.requests;
    if (request === undefined) return await this.#mark(reader);
    if (state.tablesOf !== request.id) return await this.#takeUp(reader, request);
    this.#tables.stop(request);
    const tables = state.tables!;
    for (const table of tables) this.#news.tellEnd(table, request, checkpoint.storedLsn);
    if (tables.every((table) => table.hasEndedBy(checkpoint.storedLsn))) {
      return await this.#finish(reader, request);
    }
    if (tables.some(({ outcome }) => outcome !== undefined && outcome.endLsn === undefined)) {
      return await this.#mark(reader);
    }
    const now = clock.now();
    if (now - this.#sizedMs >= SIZE_EVERY_MS) {
      this.#sizedMs = now;
      await sizeUp(reader, tables);
    }
    const isDue = now - state.lastMarkMs >= MARK_EVERY_MS || state.noted.areMany ||
      state.ledger.hasUntaken && now - state.lastMarkMs >= TAKE_OVER_MS;
    if (state.roundTripMs > BEHIND_MS) {
      state.waitFor("behind", clock.wall());
      return await this.#mark(reader);
    }
    const cause = this.#pace.waitsFor(now);
    state.waitFor(cause, clock.wall());
    const jobs = cause === undefined ? await this.#chooser.choose(reader, now) : [];
    await this.#showName(reader);
    if (jobs.length > 0) await this.#read(reader, jobs);
    else if (isDue) await this.#mark(reader);
    else await state.wait(100, signal);
  }

  async #connect(): Promise<Reader> {
    if (this.#reader !== undefined) return this.#reader;
    const { postgres, state } = this.parts;
    const reader = await openReader(postgres, this.parts, this.#closing.signal);
    this.#reader = reader;
    reader.connection.lost.then(() => {
      if (this.#reader === reader) this.#letGo();
    });
    state.beginEpoch();
    state.waitFor(undefined, 0);
    this.#name = "";
    this.#namedMs = -Infinity;
    return reader;
  }

  #letGo(): void {
    this.#reader?.connection.destroy();
    this.#reader = undefined;
  }

  /** Asks the stream whether it has come as far (B1). */
  async #join(reader: Reader, signal: AbortSignal): Promise<void> {
    const { state, slot, clock } = this.parts;
    if (state.ping === undefined) {
      const number = state.takeNumber();
      state.ping = { number, sentMs: clock.now() };
      try {
        await reader.emit(printControlMessage({ kind: "ping", slot, run: state.run, number }));
      } catch (error) {
        state.ping = undefined;
        throw error;
      }
    }
    if (!state.hasJoined) await state.wait(1000, signal);
  }

  async #takeUp(reader: Reader, request: OpenRequest): Promise<void> {
    await this.#tables.lookUp(reader, request);
    this.#chooser.isAlone = false;
    this.#sizedMs = this.parts.clock.now();
  }

  /** All tables of the request have ended, if no more have come to it. */
  async #finish(reader: Reader, request: OpenRequest): Promise<void> {
    const { state, slot, clock } = this.parts;
    if (await this.#tables.findMore(reader, request)) return;
    const number = state.takeNumber();
    const { length } = state.tables!;
    const givenUp = state.tables!.filter(({ outcome }) => outcome?.complete === false);
    state.mark = { number, sentMs: clock.now() };
    state.lastMarkMs = clock.now();
    try {
      await reader.emit(printControlMessage(doneMessage(state, slot, number, request.id)));
    } catch (error) {
      if (state.mark?.number === number) state.mark = undefined;
      throw error;
    }
    this.#news.tell(request, { news: "done", tables: givenUp.length });
    await this.#tellNews(reader);
    logger.info("backfill {request} has ended: {tables} tables, {givenUp} of them given up", {
      request: request.id,
      tables: length,
      givenUp: givenUp.length,
    });
  }

  async #read(reader: Reader, jobs: readonly Job[]): Promise<void> {
    const { state, clock } = this.parts;
    const beganMs = clock.wall();
    for (const { table } of jobs) table.beganMs ??= beganMs;
    const maxRows = this.#pace.rowsAtOnce;
    const timeoutMs = Math.max(FIRST_TIMEOUT_MS, ...jobs.map(({ table }) => table.timeoutMs));
    const limits = { maxBytes: this.#pace.chunkBytes(), maxRows, timeoutMs };
    let number = 0;
    const { epoch } = state;
    try {
      await reader.read(jobs, limits, (read) => {
        // What was noted since the snapshot was forgotten meanwhile.
        if (state.epoch !== epoch) throw new StaleRead();
        const arrived = this.#arrived(read);
        number = arrived.number;
        return arrived.mark;
      });
      this.#chooser.isAlone = false;
      this.#backoff.reset();
      this.#interruption.over();
      this.#refusal.over();
      // Larger rows may lie behind.
      for (const job of jobs) {
        job.table.maxRows *= 2;
        job.table.lostReads = 0;
        if (isForLargeRow(job)) job.table.largeRow = undefined;
      }
    } catch (error) {
      // Rows are never published without their mark.
      if (number > 0 && state.chunk?.number === number) state.chunk = undefined;
      if (number > 0 && state.mark?.number === number) state.mark = undefined;
      const meaning = await settleFailure(error, jobs, reader, this.parts, number > 0);
      if (meaning === "one of several") this.#chooser.isAlone = true;
      if (meaning === "connection") {
        if (jobs.length > 1) this.#chooser.isAlone = true;
        throw error;
      }
      if (meaning === "ended with its connection") this.#letGo();
      return;
    }
    await this.#tellNews(reader);
  }

  async #tellNews(reader: Reader): Promise<void> {
    try {
      await reader.notify(this.#news.take());
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      logger.debug("nobody could be told of a backfill: {message}", { message: error.message });
    }
  }

  /** Says in `pg_stat_activity` how far it is. To find that out takes longer with each table. */
  async #showName(reader: Reader): Promise<void> {
    const { state, slot, clock } = this.parts;
    if (clock.now() - this.#namedMs < NAME_EVERY_MS) return;
    this.#namedMs = clock.now();
    const { progress } = this.report;
    const current = progress.tables.find((table) => table.waiting !== undefined) ??
      progress.tables.find((table) => table.state === "reading");
    const name = printReaderName({
      percentage: percentage(progress),
      slot,
      doing: state.waiting?.cause ?? current?.waiting?.cause ?? "reading",
      table: current?.name ?? "",
    });
    if (name === this.#name) return;
    await reader.query(
      "show how far the backfill is",
      "SELECT pg_catalog.set_config('application_name', $1, false)",
      [name],
    );
    this.#name = name;
  }

  /** Writes a mark with no rows behind it. */
  async #mark(reader: Reader): Promise<void> {
    await this.#read(reader, []);
  }

  #arrived({ snapshot, parts }: ChunkRead) {
    const { state, slot, checkpoint, clock, hiddenOf } = this.parts;
    state.noted.forget(snapshot);
    const number = state.takeNumber();
    const [request] = state.ledger.requests;
    const held = parts.map((part) =>
      new Part(part, snapshot, state.noted.of(part.table.plan!.relation.qualifiedName))
    );
    for (const { table, isVoid, rows } of held) {
      table.waiting = undefined;
      if (isVoid) table.notBeforeMs = clock.now() + TRY_AGAIN_MS;
      this.#pace.read(rows.size, clock.now());
    }
    state.chunk = { number, request: request?.id ?? "", snapshot, parts: held };
    state.mark = { number, sentMs: clock.now() };
    state.lastMarkMs = clock.now();
    return {
      number,
      mark: printControlMessage(markMessage(state, slot, number, checkpoint.storedLsn, hiddenOf)),
    };
  }

  /** The connection failed, or a mark could not be written: tried again, for as long as it takes. */
  async #failed(error: unknown): Promise<void> {
    const { clock, state } = this.parts;
    this.#letGo();
    state.waitFor("connection", clock.wall());
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof PostgresError)) {
      logger.debug("a backfill failed: {error}", { error });
    }
    const isPassing = error instanceof PostgresError && error.transient;
    const trouble = isPassing ? this.#interruption : this.#refusal;
    if (trouble.failed(message) !== undefined) {
      logger.error(
        "a backfill cannot go on, and the slot keeps the WAL behind its last mark: {message}",
        { message },
      );
    }
    await clock.sleep(this.#backoff.nextMs(), this.#closing.signal);
  }
}
