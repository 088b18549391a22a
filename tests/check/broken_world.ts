import type { FreshDatabase } from "../support/shared_postgres.ts";
import type { PostgresServerOptions } from "../support/test_postgres.ts";
import type { World } from "./checked_world.ts";

/** A setup with one thing wrong, and the finding that tells of it. */
export interface Broken {
  readonly what: string;
  /** The check that finds it, with its mark. */
  readonly finding: readonly [check: string, mark: "!" | "✗", says: RegExp];
  /** The run itself does not start before it is mended, and does afterwards. */
  readonly stopsAtStart?: true;
  readonly flags?: readonly string[];
  /** Default: no slot's flags beside; a slot of test_decoding is there. */
  readonly slot?: string | null;
  /** Breaks it. What it gives is disposed of at the end. */
  readonly broken?: (world: World) => Promise<unknown>;
  /** What must work once it is mended, beside the check itself. */
  readonly mended?: (world: World) => Promise<unknown>;
  readonly server?: PostgresServerOptions;
  readonly database?: string;
  /** Needs Debian's PostgreSQL 15 with wal2json. */
  readonly wal2json?: true;
  /** The only plugins that this one allows. */
  readonly allowedPlugins?: string;
  /** Is mended with psql. */
  readonly psql?: true;
}

/** Breaks it by statements. */
export const sql = (text: (db: FreshDatabase) => string) => async ({ db }: World) => {
  for (const statement of text(db).split(";")) await db.sql(statement);
};
