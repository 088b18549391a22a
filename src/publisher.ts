import type { Clock } from "./base/clock.ts";
import { getLogger } from "@logtape/logtape";
import type { AmbiguousMessage, Commit, Truncate } from "./decode/event.ts";
import { RunError, TooLargeError } from "./base/errors.ts";
import type { Change, Emit, EmitRoute, FormatProblem, Formatter } from "./format/formatter.ts";
import type { RecordTarget, Ticket } from "./base/record_writer.ts";
import type { PolicyOptions, StreamOptions } from "./options.ts";
import type { Catalog } from "./postgres/catalog/known_table.ts";
import type { ServerWarning } from "./base/replication_message.ts";
import { describeChange, LeftOut, rememberTable } from "./left_out.ts";
import type { IsWanted } from "./decode/wal2json/left_out_row.ts";
import type { Progress } from "./run_progress.ts";
import { TransactionTotals } from "./transaction_totals.ts";
import type { ChoosesTarget, Detour } from "./routes/router.ts";

const logger = getLogger(["pg2kinesis", "publish"]);

/** Before the catalog is read again for a transaction that it does not see yet: at first, doubled, and at most. */
const NOT_VISIBLE_YET_MS = 5;
const STILL_QUIET_MS = 100;
/** For what a backfill read, which can be read again. */
const READ_ATTEMPTS = 20;
/** What an aggregate adds to one record. */
const MAX_FRAMING_BYTES = 1024;

const encoder = new TextEncoder();

/** So often without a word; then it may take as long as a standby is away. */
const PATIENT_ATTEMPTS = 20;
const STILL_NOT_VISIBLE_MS = 2000;

type UnknownTable = FormatProblem & { readonly kind: "unknown-table" };

export interface PublisherParts {
  readonly clock: Clock;
  readonly formatter: Formatter;
  /** The stream of every change; or what says which one is a change's. */
  readonly writer: RecordTarget | ChoosesTarget;
  /** The stream of a transaction's beginning and end; undefined: there is one stream, or no such record. */
  readonly transactions?: RecordTarget | undefined;
  /** Whether a record goes to each shard that has some of a transaction, behind it. */
  readonly marksCommits?: boolean;
  readonly catalog: Catalog;
  readonly progress: Progress;
  /** Whether the filters let an operation on a table pass, by `schema.table`. */
  readonly isWanted: IsWanted;
  readonly policy: PolicyOptions & Pick<StreamOptions, "onOversize">;
}

/**
 * Formats one change after the other and hands the records to the writer. What cannot be published
 * stops the run, or goes by the policy that the operator chose.
 */
export class Publisher {
  readonly #parts: PublisherParts;
  /** Undefined: there is one stream. */
  readonly #router: ChoosesTarget | undefined;
  /** Of the change that is being published; undefined before the first one whose stream is chosen. */
  #writer: RecordTarget | undefined;
  /** Of records of a transaction's beginning and end. */
  readonly #transactions: RecordTarget | undefined;
  /** Whether that is known already. */
  #isAimed = true;
  #detour: Detour | undefined;
  /** Of the change that is being published; `emit` is one function, not one a row. */
  #change: Change | undefined;
  #ticket: Ticket | undefined;
  #emitted = 0;
  /** Of those, what the stream took. */
  #taken = 0;
  readonly #totals: TransactionTotals | undefined;
  readonly #leftOut: LeftOut;
  /** Tables that the catalog did not have when it was read for them. */
  readonly #unknown = new Set<string>();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#leftOut = new LeftOut(parts.isWanted, parts.policy, parts.progress);
    if ("targetOf" in parts.writer) this.#router = parts.writer;
    else this.#writer = parts.writer;
    this.#transactions = parts.transactions ?? this.#writer;
    this.#totals = parts.marksCommits ? new TransactionTotals() : undefined;
  }

  /**
   * Publishes one change. A promise comes back only in the rare case that the catalog must be read, or a
   * stream opened.
   */
  publish(change: Change, ticket: Ticket): Promise<void> | undefined {
    this.#totals?.receive(change);
    if (this.#router !== undefined && change.kind === "truncate" && change.relations.length > 1) {
      return this.#publishTables(change, 0, ticket);
    }
    return this.#publish(change, ticket);
  }

  /** Each table of a TRUNCATE for itself: they may have streams of their own. */
  #publishTables(change: Truncate, first: number, ticket: Ticket): Promise<void> | undefined {
    for (let index = first; index < change.relations.length; index++) {
      const relations = [change.relations[index]!];
      const waiting = this.#publish({ ...change, seq: change.seq + index, relations }, ticket);
      if (waiting !== undefined) {
        return waiting.then(() => this.#publishTables(change, index + 1, ticket));
      }
    }
  }

  #publish(change: Change, ticket: Ticket): Promise<void> | undefined {
    const problem = this.#format(change, ticket);
    if (problem === undefined) return this.#published(change);
    if (this.#mayFormatLater(change, problem)) {
      return this.#publishAfterReading(change, ticket, problem);
    }
    this.#leftOut.change(change, problem);
  }

  #published(change: Change): undefined {
    if (this.#emitted === 0) this.#parts.progress.filtered++;
    if (this.#taken > 0) this.#totals?.publish(change);
    return undefined;
  }

  /** The end of a transaction, whose records have the same ticket as those of its changes. */
  commit(commit: Commit, ticket: Ticket): void {
    const totals = this.#totals;
    this.#parts.formatter.commit?.(commit, (partitionKey, data, route) => {
      const targets = route === "shards of the transaction"
        ? totals!.targets
        : [this.#transactions!];
      for (const target of targets) {
        const bytes = route === "shards of the transaction"
          ? target.add(partitionKey, data, ticket, "noted shards")
          : target.add(partitionKey, data, ticket);
        if (bytes === 0) continue;
        throw new RunError(
          `the record of the end of the transaction ${commit.transaction.xid} has ${bytes} bytes, and ` +
            `the stream takes ${target.maxRecordBytes}; raise its MaxRecordSizeInKiB (up to 10240), or ` +
            "go on without --transaction-records",
        );
      }
    }, totals?.published);
    totals?.clear();
  }

  /**
   * Publishes what a backfill read, or that it has ended. No policy stops the run for it: why it cannot be
   * published comes back, for an operator.
   */
  publishRead(
    change: Change,
    ticket: Ticket,
  ): string | undefined | Promise<string | undefined> {
    const problem = this.#tryRead(change, ticket);
    if (problem === undefined || typeof problem === "string") return problem;
    return this.#publishReadLater(change, ticket, problem);
  }

  async #publishReadLater(
    change: Change,
    ticket: Ticket,
    reason: FormatProblem | Detour,
  ): Promise<string | undefined> {
    let problem: string | FormatProblem | Detour | undefined = reason;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      if (attempt > 1) await this.#parts.clock.sleep(STILL_QUIET_MS);
      if (problem.kind === "unopened") {
        const failure = await problem.opening.then(() => undefined, (error) => error);
        if (failure instanceof RunError) return failure.message;
        if (failure !== undefined) throw failure;
      } else if (problem.kind === "unread") await this.#parts.catalog.readAgain(problem.relation);
      else if (problem.kind === "unknown-table") await this.#parts.catalog.refresh();
      else break;
      problem = this.#tryRead(change, ticket);
      if (problem === undefined || typeof problem === "string") return problem;
    }
    return "reason" in problem
      ? problem.reason
      : "the catalog does not show yet what its table is a partition of";
  }

  #tryRead(change: Change, ticket: Ticket): string | FormatProblem | Detour | undefined {
    try {
      return this.#format(change, ticket);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      return error.message;
    }
  }

  /** Whether every record of a change is one that the stream can take. */
  fits(change: Change): boolean {
    const target = this.#router === undefined ? this.#writer! : this.#router.targetOf(change);
    if ("kind" in target) return false;
    const { maxRecordBytes } = target;
    let fits = true;
    const measure: Emit = (partitionKey, data) => {
      const bytes = typeof data === "string" ? encoder.encode(data).length : data.length;
      fits &&= bytes + 4 * partitionKey.length + MAX_FRAMING_BYTES <= maxRecordBytes;
    };
    try {
      return this.#parts.formatter.format(change, measure) === undefined && fits;
    } catch (error) {
      if (!(error instanceof TooLargeError || error instanceof RunError)) throw error;
      return false;
    }
  }

  /** The walsender says, behind what it sent at `place`, that it left something out (invariant 7). */
  leftOut(warning: ServerWarning, place: string): void {
    this.#leftOut.byServer(warning, place);
  }

  leaveOutMessage(message: AmbiguousMessage): void {
    this.#leftOut.message(message);
  }

  /** Whether reading the catalog again would help. */
  #mayFormatLater(
    change: Change,
    problem: FormatProblem | Detour,
  ): problem is Detour | UnknownTable {
    if (problem.kind === "unread" || problem.kind === "unopened") return true;
    if (problem.kind !== "unknown-table") return false;
    const { table } = problem;
    // A table may be made under an old name.
    return !this.#unknown.has(table) || !this.#parts.catalog.isRead(table, change.transaction!.xid);
  }

  async #publishAfterReading(
    change: Change,
    ticket: Ticket,
    reason: Detour | UnknownTable,
  ): Promise<void> {
    let wait = reason;
    for (let attempt = 0;; attempt++) {
      if (wait.kind === "unopened") await wait.opening;
      else if (wait.kind === "unread") await this.#parts.catalog.readAgain(wait.relation);
      else await this.#parts.catalog.refresh();
      const problem = this.#format(change, ticket);
      if (problem === undefined) return this.#published(change);
      if (problem.kind === "unknown-table") rememberTable(this.#unknown, problem.table);
      if (!this.#mayFormatLater(change, problem)) return this.#leftOut.change(change, problem);
      const isOpening = wait.kind === "unopened" || problem.kind === "unopened";
      wait = problem;
      if (isOpening) continue;
      if (attempt === PATIENT_ATTEMPTS) this.#sayWhyWaiting(change);
      const pauseMs = attempt < PATIENT_ATTEMPTS
        ? Math.min(NOT_VISIBLE_YET_MS * 2 ** attempt, STILL_QUIET_MS)
        : STILL_NOT_VISIBLE_MS;
      await this.#parts.clock.sleep(pauseMs);
    }
  }

  #sayWhyWaiting(change: Change): void {
    logger.warn(
      "waiting with {change}: its transaction is decoded, but neither its commit, which may wait " +
        "for a synchronous standby, nor its table is visible yet",
      { change: describeChange(change) },
    );
  }

  #format(change: Change, ticket: Ticket): FormatProblem | Detour | undefined {
    this.#change = change;
    this.#ticket = ticket;
    this.#emitted = 0;
    this.#taken = 0;
    this.#isAimed = this.#router === undefined;
    this.#detour = undefined;
    try {
      const problem = this.#parts.formatter.format(change, this.#emit);
      return this.#detour ?? problem;
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      if (!this.#isAimed && !this.#aim()) return this.#detour;
      // As good as emitted: it is not filtered out.
      this.#oversize(this.#emitted++, Infinity, `${error.bytes} bytes or more`);
    }
  }

  /** Finds the stream of the present change, once it is known that it has records; false: not yet. */
  #aim(): boolean {
    if (this.#detour !== undefined) return false;
    const target = this.#router!.targetOf(this.#change!);
    if ("kind" in target) {
      this.#detour = target;
      return false;
    }
    this.#writer = target;
    return this.#isAimed = true;
  }

  readonly #emit: Emit = (partitionKey, data, route) => {
    if (!this.#isAimed && !this.#aim()) return;
    const index = this.#emitted++;
    const bytes = this.#add(partitionKey, data, route);
    if (bytes > 0) this.#oversize(index, index, `${bytes} bytes`);
  };

  #add(partitionKey: string, data: string | Uint8Array, route: EmitRoute | undefined): number {
    if (route === "transactions") return this.#transactions!.add(partitionKey, data, this.#ticket!);
    const every = route === "every shard" ? route : undefined;
    this.#totals?.enter(this.#change!, this.#writer!);
    const bytes = this.#writer!.add(partitionKey, data, this.#ticket!, every);
    if (bytes === 0) this.#taken++;
    return bytes;
  }

  /**
   * The change's records from `first` to `last` can never be stored: their place in the order is taken by
   * what the policy says.
   */
  #oversize(first: number, last: number, size: string): void {
    const change = this.#change!;
    const { policy, progress } = this.#parts;
    const writer = this.#writer!;
    const what = `the record of ${describeChange(change)} has ${size}, and the stream takes ` +
      `${writer.maxRecordBytes}`;
    switch (policy.onOversize) {
      case "stop":
        throw new RunError(
          `${what}; raise the stream's MaxRecordSizeInKiB (up to 10240), or choose ` +
            `--on-oversize key-only (the change without its columns) or --on-oversize skip`,
        );
      case "skip":
        progress.skipped.oversize++;
        logger.warn("skipped: {what}", { what });
        return;
      case "key-only": {
        let next = 0;
        this.#formatKeyOnly(what, (partitionKey, data, route) => {
          const position = next++;
          if (position < first || position > last) return;
          if (route === "transactions") return;
          const still = this.#add(partitionKey, data, route);
          if (still > 0) {
            throw new RunError(`${what}; without its columns it still has ${still} bytes`);
          }
        });
        progress.keyOnly++;
        logger.warn("published without its columns: {what}", { what });
        return;
      }
      default:
        return policy.onOversize satisfies never;
    }
  }

  #formatKeyOnly(what: string, emit: Emit): void {
    try {
      this.#parts.formatter.formatKeyOnly(this.#change!, emit);
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      throw new RunError(`${what}; it is too large to find its key in it`, { cause: error });
    }
  }
}
