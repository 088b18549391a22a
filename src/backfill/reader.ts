// @ts-types="@types/pg"
import pg from "pg";
import type { Clock } from "../base/clock.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { OutputPlugin } from "../options.ts";
import { SNAPSHOT_QUERY } from "../postgres/catalog/catalog_queries.ts";
import {
  oldestRunning,
  parseSnapshot,
  type Snapshot,
} from "../postgres/catalog/transaction_snapshot.ts";
import { bounded } from "../postgres/connection/bounded.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import { failed } from "../postgres/connection/postgres_error.ts";
import type { PartRead } from "./chunk.ts";
import { EMIT_STATEMENT } from "./control_message.ts";
import { FetchTooLarge, isForLargeRow, largeBytes, NotLarge } from "./large_row.ts";
import { NEWS_CHANNEL } from "./progress.ts";
import { readPublications } from "./publication_facts.ts";
import {
  isPlan,
  type NoPlan,
  outlineOf,
  type PlanOutline,
  planRead,
  type ReadPlan,
} from "./read_plan.ts";
import { bytesOf, ReadRow } from "./read_row.ts";
import {
  begin,
  CURSOR,
  declare,
  FINDING_PATH,
  isOfNames,
  lock,
  PRINT_PATH,
  rowsOfKeys,
  rowTexts,
  scanRows,
  unreadColumns,
} from "./read_sql.ts";
import { type Candidate, readCandidates, readTableFacts } from "./read_facts.ts";
import { sameNames } from "./table_obstacles.ts";
import type { AgainEntry, TableRead } from "./table_read.ts";
import { MAX_ROW_BYTES } from "./whole_messages.ts";

/** Of one FETCH. A client that stands still leaves the server writing no more than the sockets hold. */
const FETCH_BYTES = 128 * 1024;
/** The first FETCH is for one row; a small table is read with few. */
const FETCH_GROWTH = 4;
/** A FETCH whose rows are so much larger than those before them is given up, and made smaller. */
const MAX_FETCH_BYTES = MAX_ROW_BYTES;
/** Beside the statements' own limits: the way to the server went silent. */
const SILENCE_MS = 20_000;
/** A database may have many tables. */
const LOOK_UP_MS = 60_000;
/** A read that takes longer is ended with what it has. */
const LONG_READ_MS = 2_500;
const NEWS_AT_ONCE = 500;

/** What is to be read of a table. */
export interface Job {
  readonly table: TableRead;
  /** Keys to be read by themselves; undefined: the scan goes on. */
  readonly again: readonly (readonly [key: string, entry: AgainEntry])[] | undefined;
}

export interface ReaderParts {
  readonly plugin: OutputPlugin;
  readonly publications: readonly string[];
  readonly needsPrimaryKey: boolean;
  /** Columns that are excluded, by the name that the plugin gives the table. */
  readonly excludedOf: (qualifiedName: string) => ReadonlySet<string>;
  readonly clock: Clock;
}

/** Somebody changed the table since it was looked up: its backfill goes on in another way. */
export class TableChanged extends Error {
  constructor(
    readonly table: TableRead,
    /** Undefined: it is gone. */
    readonly plan: ReadPlan | undefined,
    /** Why it cannot be read any more. */
    readonly reason: string | undefined,
  ) {
    super(`the table ${table.name} was changed`);
  }
}

/** What a read of several tables gave, in one snapshot. */
export interface ChunkRead {
  readonly snapshot: Snapshot;
  readonly parts: readonly PartRead[];
}

/** Reads tables on one connection, which is the primary's, and writes marks. */
export class Reader {
  /** The table whose lock was asked for last. */
  locking: TableRead | undefined;
  /** Of what is fetched now. */
  #onLargeRow = () => this.connection.destroy();

  constructor(
    readonly connection: Connection,
    /** `server_version_num`. */
    readonly version: number,
    private readonly parts: ReaderParts,
    private readonly signal: AbortSignal,
  ) {}

  /** The run ends, and what fails now fails for that. */
  get isClosing(): boolean {
    return this.signal.aborted;
  }

  /** A row has come, or begins to, that is too large to be read. */
  largeRow(): void {
    this.#onLargeRow();
  }

  query(doing: string, text: string, values?: readonly unknown[], ms = SILENCE_MS) {
    return bounded(this.connection, this.connection.query(doing, text, values), ms, this.signal);
  }

  /**
   * Reads up to `maxBytes` of memory, `maxRows` rows, then calls `arrived`, and writes the mark that it gives
   * in the same transaction.
   */
  async read(
    jobs: readonly Job[],
    limits: { readonly maxBytes: number; readonly maxRows: number; readonly timeoutMs: number },
    arrived: (read: ChunkRead) => string,
  ): Promise<void> {
    await this.query("begin to read", begin(this.version, limits.timeoutMs));
    try {
      // Before the snapshot: one from before a rewriting ALTER would find the table empty.
      for (const { table } of jobs) {
        this.locking = table;
        await this.query(`lock ${table.name}`, lock(table.plan!));
      }
      const [seen] = await this.query("take a snapshot", SNAPSHOT_QUERY);
      const snapshot = parseSnapshot(seen!.snapshot!);
      const plans = await this.#lookUp(jobs.map(({ table }) => table));
      const parts: PartRead[] = [];
      const endMs = this.parts.clock.now() + LONG_READ_MS;
      let { maxBytes, maxRows } = limits;
      for (const job of jobs) {
        if (parts.length > 0 && (maxBytes <= 0 || maxRows <= 0 || this.parts.clock.now() > endMs)) {
          break;
        }
        const { part, bytes } = await this.#readPart(
          job,
          plans.get(job.table)!,
          Math.max(1, maxBytes),
          Math.max(1, maxRows),
          limits.timeoutMs,
          endMs,
          parts.length > 0,
        );
        parts.push(part);
        maxBytes -= bytes;
        maxRows -= part.rows.length;
      }
      const mark = arrived({ snapshot, parts });
      await this.query("write a mark", EMIT_STATEMENT, [mark]);
    } catch (error) {
      await this.query("end the read", "ROLLBACK").catch(() => {});
      throw error;
    }
    await this.query("commit a mark", "COMMIT");
  }

  /** Writes a message that ends no read. */
  async emit(message: string): Promise<void> {
    await this.query("begin to write", begin(this.version, 5000));
    try {
      await this.query("write a control message", EMIT_STATEMENT, [message]);
    } catch (error) {
      await this.query("give up writing", "ROLLBACK").catch(() => {});
      throw error;
    }
    await this.query("commit a control message", "COMMIT");
  }

  /**
   * Tells whoever listens. By itself: a notification that the server refuses, as where its queue is full, must
   * not hold up a mark.
   */
  async notify(news: readonly string[]): Promise<void> {
    for (let from = 0; from < news.length; from += NEWS_AT_ONCE) {
      await this.query(
        "notify",
        "SELECT pg_catalog.pg_notify($1, n) FROM pg_catalog.unnest($2::pg_catalog.text[]) n",
        [NEWS_CHANNEL, news.slice(from, from + NEWS_AT_ONCE)],
      );
    }
  }

  /** An xid: what older transactions did is seen by whatever is asked next. */
  async oldestRunning(): Promise<number> {
    const [seen] = await this.query("take a snapshot", SNAPSHOT_QUERY);
    return oldestRunning(seen!.snapshot!);
  }

  /** All that is called a table. */
  candidates(): Promise<Candidate[]> {
    return bounded(this.connection, readCandidates(this.connection), LOOK_UP_MS, this.signal);
  }

  /** How tables can be read now, or why not, outside of any read. */
  plan(oids: readonly number[]): Promise<Map<number, ReadPlan | NoPlan>> {
    return this.#outside(() => this.#plans(oids, LOOK_UP_MS));
  }

  /** Asks the catalog, outside of any read. */
  ask(doing: string, text: string, values: readonly unknown[]) {
    return this.#outside(() => this.query(doing, text, values, LOOK_UP_MS));
  }

  async #outside<T>(look: () => Promise<T>): Promise<T> {
    await this.query("begin to look up tables", begin(this.version, LOOK_UP_MS));
    try {
      return await look();
    } finally {
      await this.query("end of looking up tables", "ROLLBACK");
    }
  }

  async #plans(
    oids: readonly number[],
    ms = SILENCE_MS,
  ): Promise<Map<number, ReadPlan | NoPlan>> {
    const { plugin, publications, needsPrimaryKey } = this.parts;
    const { connection, version, signal } = this;
    await this.query("print as the walsender", PRINT_PATH);
    const reading = readTableFacts(connection, undefined, oids);
    const tables = await bounded(connection, reading, ms, signal);
    const follows = { plugin, publications, version, needsPrimaryKey };
    const published = PLUGINS[plugin].usesPublications && tables.length > 0
      ? await this.#published(publications, oids, ms)
      : undefined;
    return new Map(
      tables.map((each) => [each.oid, planRead(each, published?.get(each.oid) ?? [], follows)]),
    );
  }

  async #published(publications: readonly string[], oids: readonly number[], ms: number) {
    await this.query("find names in the catalog", FINDING_PATH);
    const reading = readPublications(this.connection, publications, oids, this.version);
    return await bounded(this.connection, reading, ms, this.signal);
  }

  /** Under the lock: what a table is now. */
  async #lookUp(tables: readonly TableRead[]): Promise<Map<TableRead, ReadPlan>> {
    const plans = await this.#plans(tables.map(({ oid }) => oid));
    const found = new Map<TableRead, ReadPlan>();
    for (const table of tables) {
      const plan = plans.get(table.oid);
      const before = table.plan!;
      if (plan === undefined) throw new TableChanged(table, undefined, undefined);
      if (!isPlan(plan)) {
        throw new TableChanged(table, undefined, plan.reason);
      }
      const names = (each: PlanOutline) => each.key.map(({ name }) => name);
      const isSame = plan.facts.name === before.facts.name &&
        plan.relation.qualifiedName === before.relation.qualifiedName &&
        sameNames(names(plan), names(before));
      if (!isSame) throw new TableChanged(table, plan, undefined);
      // Columns may have come.
      table.plan = outlineOf(plan);
      found.set(table, plan);
    }
    return found;
  }

  async #readPart(
    { table, again }: Job,
    plan: ReadPlan,
    maxBytes: number,
    maxRows: number,
    timeoutMs: number,
    endMs: number,
    hasCursor: boolean,
  ): Promise<{ readonly part: PartRead; readonly bytes: number }> {
    const { plugin, excludedOf, needsPrimaryKey, clock } = this.parts;
    const { round } = table;
    const isLarge = isForLargeRow({ table, again });
    if (isLarge) maxRows = 1;
    const form = isLarge ? "lengths" : "values";
    const excluded = unreadColumns(
      plan,
      excludedOf(plan.relation.qualifiedName),
      needsPrimaryKey,
    );
    const query = again === undefined
      ? scanRows(plan, excluded, table.after, form)
      : rowsOfKeys(plan, excluded, again.map(([, { values }]) => values), form);
    // Names that changes gave are found as the walsender prints them. A row filter is nobody's to lead astray.
    const isByName = again !== undefined && isOfNames(plan) && plan.filter === undefined;
    const statement = declare(query, hasCursor, isByName ? PRINT_PATH : undefined);
    await this.query(`read ${table.name}`, statement, undefined, timeoutMs + SILENCE_MS);
    const rows: ReadRow[] = [];
    let bytes = 0;
    let isScanned = false;
    for (let count = 1; !isScanned;) {
      const left = Math.min(maxRows, table.maxRows) - rows.length;
      if (again === undefined && (left <= 0 || bytes >= maxBytes || clock.now() > endMs)) break;
      if (again === undefined) count = Math.min(count, left);
      const { length } = rows;
      const fetched = await this.#fetch(table.name, count, length, timeoutMs, (values) => {
        bytes += bytesOf(values);
        const texts = rowTexts(plan, values);
        rows.push(new ReadRow(plan, texts, plugin, isLarge ? largeBytes(plan, texts) : undefined));
      });
      isScanned = fetched.rows < count;
      // Which keys have no row is known only at the end.
      if (again !== undefined && again.length > 1 && bytes > MAX_FETCH_BYTES) {
        throw new FetchTooLarge(rows.length);
      }
      const fit = Math.floor(FETCH_BYTES / Math.max(1, fetched.bytes / Math.max(1, fetched.rows)));
      count = Math.max(1, Math.min(count * FETCH_GROWTH, fit));
    }
    return {
      part: { table, rows, isScanned: again === undefined && isScanned, again, round },
      bytes,
    };
  }

  /** Rows are counted as they come, so that those which are far larger than the last do not fill the memory. */
  async #fetch(
    name: string,
    count: number,
    before: number,
    timeoutMs: number,
    take: (values: (string | null)[]) => void,
  ): Promise<{ readonly rows: number; readonly bytes: number }> {
    let rows = 0, bytes = 0;
    const { connection } = this;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    /** Why the connection was ended, which would say no more than that it was. */
    let tooLarge: FetchTooLarge | undefined;
    const giveUp = () => {
      tooLarge ??= new FetchTooLarge(before + rows);
      connection.destroy();
    };
    this.#onLargeRow = giveUp;
    const query = new pg.Query<(string | null)[]>({
      text: `FETCH ${count} FROM ${CURSOR}`,
      rowMode: "array",
    } as pg.QueryConfig);
    query.on("row", (values) => {
      bytes += bytesOf(values as (string | null)[]);
      if (rows > 0 && bytes > MAX_FETCH_BYTES) {
        giveUp();
        return;
      }
      rows++;
      try {
        take(values as (string | null)[]);
      } catch (error) {
        reject(error);
      }
    });
    query.on("end", () => resolve());
    query.on("error", (error) => reject(error));
    connection.client.query(query);
    try {
      await bounded(
        connection,
        connection.untilDestroyed(promise),
        timeoutMs + SILENCE_MS,
        this.signal,
      );
    } catch (error) {
      if (error instanceof NotLarge) throw error;
      throw tooLarge ?? failed(`cannot read ${name}`, error);
    }
    return { rows, bytes };
  }
}
