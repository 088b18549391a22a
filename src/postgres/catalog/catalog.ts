import { getLogger } from "@logtape/logtape";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { keepTrying } from "../../base/keep_trying.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import { bounded } from "../connection/bounded.ts";
import { SNAPSHOT_QUERY, SOME_TABLES_QUERY, TABLES_QUERY } from "./catalog_queries.ts";
import type { PostgresOptions } from "../../options.ts";
import { connect, type Connection } from "../connection/connection.ts";
import type { TextRow } from "../connection/text_row.ts";
import type { Catalog, KnownTable, TableName } from "./known_table.ts";
import { KnownTables } from "./known_tables.ts";
import { Healing } from "../connection/healing.ts";
import type { PostgresError } from "../connection/postgres_error.ts";
import { RecentReads } from "./recent_reads.ts";
import { PRINTING_PATH } from "../connection/session_settings.ts";
import { parseSnapshot, type Snapshot } from "./transaction_snapshot.ts";
import { TypeNames } from "./type_names.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** Longer than the two statements may take by themselves: the way to the server went silent. */
const SILENCE_MS = 130_000;

/** Of attempts to read it again that fail. */
const SAYING_RATE = { repeatMs: 60_000, quietMs: 1_000 };

/** `statement_timeout`: the next time would take as long. */
const TIMED_OUT = "57014";

/**
 * Tables are read again, for changes that wait for it, at most so often, and for a fifth of the time: all
 * that came in the meantime needs no other reading.
 */
const MIN_SPACING_MS = 20;
/** Between readings that nobody waits for. */
const SOON_MS = 1000;
const SPACING_FACTOR = 4;

/** A catalog that holds a connection until it is closed. */
export interface PgCatalog extends Catalog {
  close(): void;
}

/**
 * Reads `pg_catalog` of the database, for which a role needs no right on any table.
 * @throws {PostgresError} one line; the signal's reason when it aborts while connecting.
 */
export async function loadCatalog(
  postgres: PostgresOptions,
  clock: Clock,
  random: () => number,
  signal?: AbortSignal,
): Promise<PgCatalog> {
  const catalog = new LoadedCatalog(postgres, clock, random, signal);
  try {
    await catalog.refresh();
    return catalog;
  } catch (error) {
    catalog.close();
    throw error;
  }
}

class LoadedCatalog implements PgCatalog {
  version = 0;
  #connection: Connection | undefined;
  readonly #healing: Healing;
  readonly #closing = new AbortController();
  readonly #stop: AbortSignal;
  /** What was seen when all tables were read. */
  #snapshot: Snapshot | undefined;
  readonly #tables = new KnownTables();
  readonly #reads = new RecentReads();
  readonly #types = new TypeNames();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** Who reads has the connection for itself. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Runs while tables are to be read that nobody waits for. */
  #soon: ReturnType<typeof setTimeout> | undefined;
  /** When tables may be read again together. */
  #notBeforeMs = -Infinity;

  constructor(
    private readonly postgres: PostgresOptions,
    private readonly clock: Clock,
    private readonly random: () => number,
    signal?: AbortSignal,
  ) {
    this.#healing = new Healing(clock);
    const { signal: closing } = this.#closing;
    this.#stop = signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  get hasVirtualColumns(): boolean {
    return this.#tables.hasVirtualColumns;
  }

  table(qualifiedName: string): KnownTable | undefined {
    return this.#tables.table(qualifiedName);
  }

  tables(): Iterable<KnownTable> {
    return this.#tables.present();
  }

  typeName(oid: number, typmod: number): string | undefined {
    return this.#types.get(oid, typmod);
  }

  domainBase(type: string): string | null | undefined {
    return this.#types.domainBase(type);
  }

  loadTypes(): Promise<void> {
    return this.#read(
      (connection) => asPrinted(connection, () => this.#types.readWanted(connection)),
    );
  }

  isRead(qualifiedName: string, xid: number): boolean {
    return (this.#snapshot?.(xid) ?? false) || this.#reads.isRead(qualifiedName, xid);
  }

  /**
   * Calls during a refresh share the one after it, since what they look for may be younger than
   * what the running one sees.
   */
  refresh(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#refresh().finally(() => this.#running = undefined);
      return this.#running;
    }
    this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.refresh();
    });
    return this.#next;
  }

  async readAgain(table: TableName): Promise<void> {
    const asked = this.#reads.chooseFor(table);
    const restMs = this.#notBeforeMs - this.clock.now();
    if (asked.length > 1 || asked[0] !== table) {
      await this.clock.sleep(Math.max(0, restMs), this.#stop);
    }
    await this.#readSome(asked);
  }

  readSoon(table: TableName): void {
    this.#reads.use(table);
    if (this.#soon !== undefined) return;
    const timer = setTimeout(() => {
      this.#readSome(this.#reads.choose()).catch((error) => {
        logger.debug("the tables in use were not read again: {error}", { error });
      }).finally(() => this.#soon = undefined);
    }, SOON_MS);
    Deno.unrefTimer(timer);
    this.#soon = timer;
  }

  async #readSome(asked: readonly TableName[]): Promise<void> {
    const { snapshot, rows, tookMs } = await this.#read(
      async (connection) => {
        if (this.#types.hasUnread) {
          await asPrinted(connection, () => this.#types.readDomains(connection));
        }
        return readSome(connection, asked, this.clock);
      },
    );
    const changed = this.#tables.update(
      asked.map(({ schema, table }) => `${schema}.${table}`),
      rows,
      snapshot,
      this.#readBefore,
    );
    this.#reads.note(asked, snapshot);
    if (changed) this.version++;
    this.#notBeforeMs = this.clock.now() + Math.max(MIN_SPACING_MS, SPACING_FACTOR * tookMs);
  }

  readonly #readBefore = (qualifiedName: string) =>
    this.#reads.snapshotOf(qualifiedName) ?? this.#snapshot;

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#soon);
    this.#connection?.destroy();
  }

  async #refresh(): Promise<void> {
    const { snapshot, tables } = await this.#read(
      (connection) => this.#ask(connection),
      (error) => error.code !== TIMED_OUT,
    );
    this.#tables.replace(tables, snapshot, this.#readBefore);
    this.#snapshot = snapshot;
    this.#reads.noteAll(snapshot);
    this.version++;
  }

  #read<T>(
    ask: (connection: Connection) => Promise<T>,
    isWorthIt: (error: PostgresError) => boolean = () => true,
  ): Promise<T> {
    const reading = this.#turn.then(() => this.#readInTurn(ask, isWorthIt));
    this.#turn = reading.catch(() => {});
    return reading;
  }

  /**
   * A lost connection is reopened, for as long as that takes: who waits for a table cannot go
   * on without. Only the first reading fails at once.
   */
  #readInTurn<T>(
    ask: (connection: Connection) => Promise<T>,
    isWorthIt: (error: PostgresError) => boolean,
  ): Promise<T> {
    const backoff = new Backoff(this.random);
    const trouble = new LastingTrouble(this.clock, SAYING_RATE);
    let failures = 0;
    const failed = (error: unknown) => {
      this.#connection?.destroy();
      this.#connection = undefined;
      if (!this.#healing.heals(error) || !isWorthIt(error) || this.version === 0) throw error;
      failures++;
      const { message: why } = error;
      logger.debug("the catalog's connection is reopened: {why}", { why });
      const lasted = trouble.failed(why);
      if (lasted === undefined) return;
      logger.warn("cannot read the tables and their keys since {since}: {why}", {
        since: lasted.since,
        why,
      });
    };
    return keepTrying(async () => {
      this.#connection ??= await connect(this.postgres, "ordinary", this.#stop);
      return await bounded(this.#connection, ask(this.#connection), SILENCE_MS, this.#stop);
    }, {
      clock: this.clock,
      signal: this.#stop,
      // One that was lost long ago is reopened at once.
      pauseMs: () => failures === 1 ? 0 : backoff.nextMs(),
      failed,
    });
  }

  async #ask(connection: Connection): Promise<CatalogRows> {
    const [seen] = await connection.query("read what the catalog shows", SNAPSHOT_QUERY);
    const tables = await connection.query("read the catalog's tables", TABLES_QUERY);
    await asPrinted(connection, async () => {
      await this.#types.readBare(connection);
      // Only where a format asks for them.
      if (this.#types.hasUnread) await this.#types.readDomains(connection);
      await this.#types.readWanted(connection);
    });
    return { snapshot: parseSnapshot(seen!.snapshot!), tables };
  }
}

/**
 * Runs a query that finds names as plugins do: what the walsender's path shows depends on rights, too.
 * An error ends the transaction with the connection.
 */
async function asPrinted<T>(connection: Connection, query: () => Promise<T>): Promise<T> {
  await connection.query(
    "look at names as plugins do",
    `BEGIN READ ONLY; SET LOCAL search_path = ${PRINTING_PATH}`,
  );
  const result = await query();
  await connection.query("look at names as before", "COMMIT");
  return result;
}

interface CatalogRows {
  /** What both queries saw at least. */
  readonly snapshot: Snapshot;
  readonly tables: TextRow[];
}

async function readSome(connection: Connection, asked: readonly TableName[], clock: Clock) {
  const beganMs = clock.now();
  const rows = await connection.query("read the catalog's word on tables", SOME_TABLES_QUERY, [
    asked.map(({ schema }) => schema),
    asked.map(({ table }) => table),
  ]);
  return {
    snapshot: parseSnapshot(rows[0]!.snapshot!),
    rows: rows.filter(({ oid }) => oid !== null),
    tookMs: clock.now() - beganMs,
  };
}
