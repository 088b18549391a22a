/** What `pg_catalog` says of a table, and what it said before. */
export interface KnownTable {
  readonly schema: string;
  readonly table: string;
  /**
   * Column names of its primary key, in key order: the present one first, then earlier ones that
   * this run has seen under this name. An empty list stands for "no primary key".
   */
  readonly keys: readonly (readonly string[])[];
  /** `pg_class.relreplident`: default, nothing, full, index. */
  readonly replicaIdentity: "d" | "n" | "f" | "i";
  /**
   * Columns of the index that is the replica identity: with `d` the primary key, unless it is
   * deferrable (`indisprimary and indimmediate`), with `i` the one that was named (`indisreplident`);
   * undefined when there is no such index.
   */
  readonly identityColumns: readonly string[] | undefined;
  /** Its virtual generated columns (PostgreSQL 18); undefined when there are none. */
  readonly virtualColumns: readonly string[] | undefined;
  /** The partitioned table it is a direct partition of (`pg_inherits`), as `schema.table`. */
  readonly partitionOf: string | undefined;
}

/** The catalog as the stages after it see it. */
export interface Catalog {
  /** Grows with every refresh, so that what was derived from the catalog can be kept until then. */
  readonly version: number;
  /** By `schema.table`, unquoted; undefined when no such table was ever seen. */
  table(qualifiedName: string): KnownTable | undefined;
  /** All present tables. */
  tables(): Iterable<KnownTable>;
  /** Whether any table that was seen has virtual generated columns. */
  readonly hasVirtualColumns: boolean;
  /** The type's name as `format_type` prints it; undefined when the type was never seen. */
  typeName(oid: number, typmod: number): string | undefined;
  /**
   * Whether what a transaction did, by its xid, was there to be read when the catalog was read last. Its
   * changes may come earlier: its commit is decoded while it still waits for a synchronous standby.
   */
  sees(xid: number): boolean;
  /** Reads `pg_catalog` again; what is gone stays known. */
  refresh(): Promise<void>;
}
