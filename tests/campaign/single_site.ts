import type { OutputPlugin } from "../../src/options.ts";
import type { FreshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { type CommittedChange, readCommitted } from "./committed.ts";
import { connectionFlags, prepareDatabase, type Site } from "./site.ts";

/** A database on a server that scenarios share. */
export class SingleSite implements Site {
  private constructor(
    readonly server: TestPostgres,
    private readonly db: FreshDatabase,
    readonly flags: readonly string[],
  ) {}

  static async open(server: TestPostgres, plugin: OutputPlugin): Promise<SingleSite> {
    const db = await prepareDatabase(server, plugin);
    await db.sql(`select pg_create_logical_replication_slot('${db.slot}_oracle', 'test_decoding')`);
    await db.createSlot(plugin);
    return new SingleSite(server, db, connectionFlags(server, db.database, db.slot, plugin));
  }

  get database(): string {
    return this.db.database;
  }

  get slot(): string {
    return this.db.slot;
  }

  committed(isPublished: (prefix: string) => boolean): Promise<readonly CommittedChange[]> {
    return readCommitted(this.server, this.database, `${this.slot}_oracle`, { isPublished });
  }

  failOver(): Promise<void> {
    throw new Error("this server has no standby");
  }

  checkLog(): readonly string[] {
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]();
  }
}
