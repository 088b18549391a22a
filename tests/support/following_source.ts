import { type Clock, systemClock } from "../../src/base/clock.ts";
import { type Lsn, parseLsn } from "../../src/base/lsn.ts";
import type { OutputPlugin, PostgresOptions, SlotOptions } from "../../src/options.ts";
import type { ReplicationMessage } from "../../src/base/replication_message.ts";
import type { ReplicationSource } from "../../src/postgres/session/replication_source.ts";
import { openSource } from "../../src/postgres/session/source.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import { postgresOptions, slotOptions } from "./postgres_options.ts";

/** A source whose flush LSN the test sets, and that ends with the test. */
export class Following implements AsyncDisposable {
  flushLsn: Lsn = 0n;
  readonly #stop = new AbortController();
  source!: ReplicationSource;
  #iterator!: AsyncIterator<readonly ReplicationMessage[]>;

  static async start(
    db: FreshDatabase,
    plugin: OutputPlugin,
    changes: {
      postgres?: Partial<PostgresOptions>;
      slot?: Partial<SlotOptions>;
      clock?: Clock;
    } = {},
  ): Promise<Following> {
    const following = new Following();
    following.source = await openSource({
      postgres: postgresOptions(db.server, { database: db.database, ...changes.postgres }),
      slot: slotOptions(db, plugin, changes.slot),
      startLsn: 0n,
      flushLsn: () => following.flushLsn,
      signal: following.#stop.signal,
      clock: changes.clock ?? systemClock,
      random: Math.random,
    });
    following.#iterator = following.source[Symbol.asyncIterator]();
    return following;
  }

  stop(): void {
    this.#stop.abort(new Error("stop"));
  }

  next(): Promise<IteratorResult<readonly ReplicationMessage[]>> {
    return this.#iterator.next();
  }

  /** Takes messages until `last` says so; gives all of them. */
  async until(last: (message: ReplicationMessage) => boolean): Promise<ReplicationMessage[]> {
    const taken: ReplicationMessage[] = [];
    while (true) {
      const { value, done } = await this.next();
      if (done) throw new Error("the source ended");
      taken.push(...value);
      if (value.some(last)) return taken;
    }
  }

  /** What the plugin wrote, until a message begins with `start`. */
  async untilText(start: string): Promise<string[]> {
    const taken = await this.until((message) => textOf(message).startsWith(start));
    return taken.map(textOf).filter((text) => text !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.source.close();
  }
}

const decoder = new TextDecoder();

/** What the plugin wrote, or the warning; empty for a keepalive. */
export function textOf(message: ReplicationMessage): string {
  if (message.kind === "warning") return `warning ${message.text}`;
  return message.kind === "xlogdata" ? decoder.decode(message.data) : "";
}

export async function confirmedLsn(db: FreshDatabase): Promise<Lsn> {
  const [row] = await db.sql(
    "select confirmed_flush_lsn as lsn from pg_replication_slots where slot_name = $1",
    [db.slot],
  );
  return parseLsn(row!.lsn);
}
