import { getLogger } from "@logtape/logtape";
import { systemClock } from "../clock.ts";
import { backoffMs, pause } from "./backoff.ts";
import { bounded } from "./bounded.ts";
import { SNAPSHOT_QUERY, TABLES_QUERY, TYPES_QUERY } from "./catalog_queries.ts";
import type { PostgresOptions } from "../options.ts";
import { connect, type Connection, type TextRow } from "./connection.ts";
import type { Catalog, KnownTable } from "./known_table.ts";
import { PostgresError } from "./postgres_error.ts";
import { PRINTING_PATH } from "./session_settings.ts";
import { parseSnapshot, type Snapshot } from "./snapshot.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** Of one name. Changes still to come were made under the last few. */
const MAX_KEYS_KEPT = 8;
/** Names of tables that are gone; the longest gone are forgotten first. */
const MAX_GONE_TABLES = 10_000;
/** Types that were asked for and are not known, until the next refresh. */
const MAX_WANTED_TYPES = 1000;

/** Longer than the two statements may take by themselves: the way to the server went silent. */
const SILENCE_MS = 130_000;

/** So many attempts to read it again are made without a word; after that the log tells of them so often. */
const QUIET_ATTEMPTS = 5;
const REMINDER_MS = 60_000;

/** `statement_timeout`: the next time would take as long. */
const TIMED_OUT = "57014";

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
  signal?: AbortSignal,
): Promise<PgCatalog> {
  const catalog = new LoadedCatalog(postgres, signal);
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
  hasVirtualColumns = false;
  #connection: Connection | undefined;
  readonly #closing = new AbortController();
  readonly #stop: AbortSignal;
  #snapshot: Snapshot | undefined;
  #present: ReadonlyMap<string, KnownTable> = new Map();
  /** In the order in which they went. */
  readonly #gone: Map<string, KnownTable> = new Map();
  /** Of present tables and of those that are gone, by name: it stays when a table is renamed. */
  readonly #oids: Map<string, string> = new Map();
  readonly #types: Map<number, Map<number, string>> = new Map();
  readonly #wantedTypes: Map<string, readonly [oid: number, typmod: number]> = new Map();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(private readonly postgres: PostgresOptions, signal?: AbortSignal) {
    const { signal: closing } = this.#closing;
    this.#stop = signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  table(qualifiedName: string): KnownTable | undefined {
    return this.#present.get(qualifiedName) ?? this.#gone.get(qualifiedName);
  }

  tables(): Iterable<KnownTable> {
    return this.#present.values();
  }

  /** One that is not known is asked for by the next refresh: old WAL may have types no table has now. */
  typeName(oid: number, typmod: number): string | undefined {
    const name = this.#types.get(oid)?.get(typmod);
    if (name === undefined && this.#wantedTypes.size < MAX_WANTED_TYPES) {
      this.#wantedTypes.set(`${oid} ${typmod}`, [oid, typmod]);
    }
    return name;
  }

  sees(xid: number): boolean {
    return this.#snapshot?.(xid) ?? false;
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

  close(): void {
    this.#closing.abort();
    this.#connection?.destroy();
  }

  async #refresh(): Promise<void> {
    const { snapshot, tables, types } = await this.#read();
    this.#snapshot = snapshot;
    this.#keepTables(tables);
    for (const { oid, typmod, name } of types) {
      let byTypmod = this.#types.get(Number(oid));
      if (byTypmod === undefined) this.#types.set(Number(oid), byTypmod = new Map());
      byTypmod.set(Number(typmod), name!);
    }
    this.version++;
  }

  /**
   * A connection that was lost is made anew, for as long as that takes: who waits for an unknown table
   * cannot go on without. Only the first reading fails at once.
   */
  async #read(): Promise<CatalogRows> {
    const since = new Date(systemClock.wall()).toISOString();
    let toldAtMs = -Infinity;
    for (let attempt = 0;; attempt++) {
      try {
        this.#connection ??= await connect(this.postgres, "ordinary", this.#stop);
        return await bounded(
          this.#connection,
          this.#ask(this.#connection),
          SILENCE_MS,
          this.#stop,
        );
      } catch (error) {
        this.#stop.throwIfAborted();
        this.#connection?.destroy();
        this.#connection = undefined;
        const heals = error instanceof PostgresError && error.transient && error.code !== TIMED_OUT;
        if (!heals || this.version === 0) throw error;
        logger.debug("the catalog's connection is opened anew: {why}", { why: error.message });
        if (attempt >= QUIET_ATTEMPTS && systemClock.now() - toldAtMs >= REMINDER_MS) {
          toldAtMs = systemClock.now();
          logger.warn("the tables and their keys cannot be read again since {since}: {why}", {
            since,
            why: error.message,
          });
        }
        if (attempt > 0) await pause(backoffMs(attempt - 1, Math.random), this.#stop);
      }
    }
  }

  async #ask(connection: Connection): Promise<CatalogRows> {
    const wanted = [...this.#wantedTypes.values()];
    const [seen] = await connection.query("read what the catalog shows", SNAPSHOT_QUERY);
    const tables = await connection.query("read the catalog's tables", TABLES_QUERY);
    const types = await asPrinted(
      connection,
      () =>
        connection.query("read the catalog's types", TYPES_QUERY, [
          wanted.map(([oid]) => oid),
          wanted.map(([, typmod]) => typmod),
        ]),
    );
    // What was wanted in the meantime is asked for the next time.
    for (const [oid, typmod] of wanted) this.#wantedTypes.delete(`${oid} ${typmod}`);
    return { snapshot: parseSnapshot(seen!.snapshot!), tables, types };
  }

  #keepTables(rows: readonly TextRow[]): void {
    const present = new Map<string, KnownTable>();
    const byOid = new Map<string, KnownTable>();
    for (const row of rows) {
      const name = `${row.schema}.${row.name}`;
      const twin = present.get(name);
      if (twin !== undefined) {
        logger.warn("two tables have the name {name}, one with a dot in its own name", { name });
      }
      const table = tableOf(row, twin ?? this.table(name));
      present.set(name, table);
      byOid.set(row.oid!, table);
      this.#oids.set(name, row.oid!);
    }
    for (const [name, table] of this.#present) {
      if (!present.has(name)) this.#gone.set(name, table);
    }
    for (const name of present.keys()) this.#gone.delete(name);
    this.#followRenamed(byOid);
    for (const name of this.#gone.keys()) {
      if (this.#gone.size <= MAX_GONE_TABLES) break;
      this.#gone.delete(name);
      this.#oids.delete(name);
    }
    this.#present = present;
    this.hasVirtualColumns ||= rows.some(({ virtual }) => virtual !== null);
  }

  /**
   * A table that has another name now may have had its present key before it was renamed: changes of
   * that time still come under the old name.
   */
  #followRenamed(present: ReadonlyMap<string, KnownTable>): void {
    for (const [name, gone] of this.#gone) {
      const renamed = present.get(this.#oids.get(name)!);
      if (renamed === undefined) continue;
      this.#gone.set(name, { ...gone, keys: joinKeys(gone.keys, renamed.keys) });
    }
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
  readonly types: TextRow[];
}

/** `earlier` is what was known under the same name. */
function tableOf(row: TextRow, earlier: KnownTable | undefined): KnownTable {
  const parent = columns(row.parent);
  return {
    schema: row.schema!,
    table: row.name!,
    keys: joinKeys([columns(row.key) ?? []], earlier?.keys ?? []),
    replicaIdentity: row.identity as KnownTable["replicaIdentity"],
    identityColumns: columns(row.identity_key),
    virtualColumns: columns(row.virtual),
    partitionOf: parent && `${parent[0]}.${parent[1]}`,
  };
}

/** Each key once, the first ones first. */
function joinKeys(first: KnownTable["keys"], then: KnownTable["keys"]): KnownTable["keys"] {
  const others = then.filter((key) => !first.some((known) => sameNames(known, key)));
  return [...first, ...others].slice(0, MAX_KEYS_KEPT);
}

/** A JSON list of names. */
function columns(text: string | null | undefined): string[] | undefined {
  return text === null || text === undefined ? undefined : JSON.parse(text);
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}
