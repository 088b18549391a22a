import type { Snapshot } from "./transaction_snapshot.ts";

/** A table's name, unquoted. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** What `pg_catalog` says of a table, and what it said before. */
export interface KnownTable extends TableName {
  /** A partitioned table, whose rows are in its partitions. */
  readonly isPartitioned: boolean;
  /**
   * Column names of its primary key, in key order: the present one first, then earlier ones that
   * this run has seen under this name. An empty list stands for "no primary key".
   */
  readonly keys: readonly (readonly string[])[];
  /** What it had as its primary key under this name, the latest first. */
  readonly formerKeys: readonly FormerKey[];
  /** What the catalog saw when it first had the present key; undefined without a former one. */
  readonly keySince: Snapshot | undefined;
  /** `pg_class.relreplident`: default, nothing, full, index. */
  readonly replicaIdentity: "d" | "n" | "f" | "i";
  /** Whether this run has seen another replica identity under this name. */
  readonly hadOtherIdentity: boolean;
  /**
   * Columns of the index that is the replica identity: with `d` the primary key, unless it is
   * deferrable (`indisprimary and indimmediate`), with `i` the one that was named (`indisreplident`);
   * undefined when there is no such index.
   */
  readonly identityColumns: readonly string[] | undefined;
  /** Columns of the present primary key that are generated; absent when there are none. */
  readonly generatedKey?: readonly string[];
  /** Its virtual generated columns (PostgreSQL 18); undefined when there are none. */
  readonly virtualColumns: readonly string[] | undefined;
  /**
   * The tables, as `schema.table`, that it is a direct partition of or inherits from (`pg_inherits`).
   * They are known too, but for parents that are no table, such as a foreign one.
   */
  readonly parents: readonly string[];
  /** Those that were its parents under this name earlier in this run. */
  readonly formerParents: readonly string[];
  /** What it was called earlier in this run, as `schema.table`. */
  readonly formerNames: readonly string[];
}

/** A primary key that a table had. */
export interface FormerKey {
  readonly columns: readonly string[];
  /** What the catalog saw when the table was last known to have it: such changes were made with it. */
  readonly seenBy: Snapshot;
}

/** The catalog as the stages after it see it. */
export interface Catalog {
  /** Grows when what is known of tables changes, so that what was derived from it can be kept until then. */
  readonly version: number;
  /** By `schema.table`, unquoted; undefined when no such table was ever seen. */
  table(qualifiedName: string): KnownTable | undefined;
  /** All present tables. */
  tables(): Iterable<KnownTable>;
  /** Whether any table that was seen has virtual generated columns. */
  readonly hasVirtualColumns: boolean;
  /** The type's name as `format_type` prints it; undefined when it was not read yet. */
  typeName(oid: number, typmod: number): string | undefined;
  /**
   * The base type of a domain, both as `format_type` prints them; null for any other type, undefined when
   * the type was not read yet: `readAgain` reads it, too.
   */
  domainBase(type: string): string | null | undefined;
  /** Reads the types that `typeName` could not name, as far as they exist. */
  loadTypes(): Promise<void>;
  /**
   * Whether what a transaction did, by its xid, was there to be read when the table, by `schema.table`, and
   * those that it is a partition of or inherits from were read last. Its changes may come earlier: its
   * commit is decoded while it still waits for a synchronous standby.
   */
  isRead(qualifiedName: string, xid: number): boolean;
  /** Reads `pg_catalog` again; what is gone stays known. */
  refresh(): Promise<void>;
  /** The same of one table and its parents, for changes that wait for it. */
  readAgain(table: TableName): Promise<void>;
  /** The same within about a second, for nobody who waits. */
  readSoon(table: TableName): void;
}
