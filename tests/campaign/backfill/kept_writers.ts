import { systemClock } from "../../../src/base/clock.ts";
// @ts-types="@types/pg"
import type pg from "pg";
import { randomFrom } from "../../support/random.ts";
import type { FreshDatabase } from "../../support/shared_postgres.ts";
import { waitFor } from "../../support/wait.ts";
import { at, type KeptTable, large } from "./kept_tables.ts";
import type { KeptPlan } from "./kept_plan.ts";

/** Where the reader is, as far as the stream tells: writers aim at it. */
export interface Focus {
  number: number;
}

/** Who writes to the tables while they are read, and lets go what hangs. */
export class KeptWriters {
  readonly #over = new AbortController();
  readonly #running: Promise<void>[];
  isPaused = false;

  constructor(
    private readonly db: FreshDatabase,
    private readonly plan: KeptPlan,
    private readonly focus: Focus,
  ) {
    const { seed, writers } = plan;
    this.#running = [
      ...Array.from(
        { length: writers },
        (_, i) => this.#keepWriting(randomFrom(seed + 1 + i), (...args) => this.#few(...args)),
      ),
      this.#keepWriting(randomFrom(seed + 101), (...args) => this.#many(...args)),
      this.#release(randomFrom(seed + 102)),
    ];
  }

  /** Ends what is under way, and resolves what was prepared. */
  async stop(): Promise<void> {
    this.#over.abort();
    let areOver = false;
    const running = Promise.all(this.#running).then(() => areOver = true);
    // Commits that wait for the standby have to be let go, or their writers never end.
    await waitFor(async () => {
      await this.#letGo("").catch(() => {});
      return areOver;
    }, { what: "the writers to end", timeoutMs: 120_000, intervalMs: 100 });
    await running;
    await waitFor(async () => {
      await this.#letGo("");
      const [row] = await this.db.sql(
        "select count(*) as n from pg_prepared_xacts where database = current_database()",
      );
      return row!.n === "0";
    }, { what: "all prepared transactions to end" });
  }

  async #keepWriting(
    random: () => number,
    write: (client: pg.Client, random: () => number) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#over;
    let client: pg.Client | undefined;
    while (!signal.aborted) {
      try {
        client ??= await this.db.server.connect({ database: this.db.database });
        if (!this.isPaused) await write(client, random);
      } catch {
        // The server is restarted, or two of them waited for each other.
        const isThere = await client?.query("rollback").then(() => true, () => false);
        if (!isThere) {
          await client?.end().catch(() => {});
          client = undefined;
          await systemClock.sleep(50, signal);
        }
      }
      await systemClock.sleep(random() * 120, signal);
    }
    await client?.end().catch(() => {});
  }

  /** A row, most often near those that are read now. */
  #number(random: () => number): number {
    const { rows } = this.plan;
    return random() < 0.6
      ? this.focus.number - 10 + Math.floor(random() * (20 + rows / 10))
      : Math.floor(random() * (rows + 40)) - 20;
  }

  #table(random: () => number): KeptTable {
    const { tables } = this.plan;
    return tables[Math.floor(random() * tables.length)]!;
  }

  /** Some rows in a transaction with savepoints, in one round trip. */
  async #few(client: pg.Client, random: () => number): Promise<void> {
    const mode = MODES[Math.floor(random() * MODES.length)]!;
    const kind = random();
    const statements = Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
      const isRolledBack = random() < 0.1;
      // A key that somebody else took meanwhile is no reason to give the others up.
      return `begin ${this.#change(random)}; ${isRolledBack ? "raise 'no';" : ""}
        exception when others then null; end;`;
    });
    const work = `set synchronous_commit = ${mode}; begin;
      do $do$ begin ${statements.join("\n")} end $do$;
      ${kind < 0.08 ? `select pg_sleep(${(random() * 1.5).toFixed(2)});` : ""}`;
    if (kind > 0.97) {
      const gid = `'${crypto.randomUUID()}'`;
      await client.query(`${work} prepare transaction ${gid}`);
      await systemClock.sleep(random() * 1000, this.#over.signal);
      await client.query(`${random() < 0.7 ? "commit" : "rollback"} prepared ${gid}`);
    } else {
      await client.query(`${work} ${random() < 0.95 ? "commit" : "rollback"}`);
    }
  }

  #change(random: () => number): string {
    const table = this.#table(random);
    const { name, keyColumns, key } = table;
    const [left, right] = [this.#number(random), this.#number(random)];
    const value = `'${Math.floor(random() * 1e9)}'`;
    const moved = keyColumns.map((column, i) => `${column} = ${key(String(right))[i]}`);
    switch (Math.floor(random() * 8)) {
      case 0:
        return `insert into ${name} (${keyColumns.join(", ")}, n, v, big)
          values (${key(String(left)).join(", ")}, 1, ${value}, ${large(value)})
          on conflict do nothing`;
      case 1:
        return `delete from ${name} where ${at(table, left)}`;
      case 2:
      case 3:
        return `update ${name} set ${moved.join(", ")} where ${at(table, left)}
          and not exists (select from ${name} where ${at(table, right)})`;
      case 4:
        return `update ${name} set big = ${large(value)} where ${at(table, left)}`;
      default:
        return `update ${name} set v = ${value}, n = ${name}.n + 1
          from generate_series(${left}, ${left + 2}) i where ${at(table, "i")}`;
    }
  }

  /** Many rows in one statement, in the server. */
  async #many(client: pg.Client, random: () => number): Promise<void> {
    const { bulkRows, bulkPauseMs, truncates, rows } = this.plan;
    const table = this.#table(random);
    const { name, keyColumns, key } = table;
    const from = this.#number(random);
    const to = from + Math.floor(bulkRows * (0.5 + random()));
    const value = `'${Math.floor(random() * 1e9)}'`;
    const series = `generate_series(${from}, ${to}) i`;
    const columns = keyColumns.join(", ");
    const refill = (first: number, last: number) =>
      `insert into ${name} (${columns}, n, v, big)
         select ${key("i").join(", ")}, i % 7 + 1, ${value} || i,
                case when i % 20 = 0 then ${large(value)} end
           from generate_series(${first}, ${last}) i on conflict do nothing`;
    const [{ behind }] = (await client.query(BEHIND, [this.db.slot, MAX_BEHIND_BYTES])).rows;
    // A run that never catches up reads nothing: that is how it should be, and no trial.
    if (behind === true) return await systemClock.sleep(300, this.#over.signal);
    await client.query("set synchronous_commit = local");
    const drawn = random();
    if (truncates && table.mayTruncate && drawn < 0.03) {
      await client.query(
        `begin; truncate ${name}; ${refill(1, Math.min(rows, 1_000))}; ` +
          (random() < 0.8 ? "commit" : "rollback"),
      );
    } else if (drawn < 0.12) {
      await client.query(
        `delete from ${name} using ${series} where ${at(table, "i")} and i % 3 = 0`,
      );
    } else if (drawn < 0.35) {
      await client.query(refill(from, to));
    } else {
      await client.query(
        `update ${name} set v = ${value}, n = ${name}.n + 1 from ${series} where ${at(table, "i")}`,
      );
    }
    await systemClock.sleep(bulkPauseMs * (0.5 + random()), this.#over.signal);
  }

  /** Lets commits that wait for the standby go some time after they began to, and prepared ones that nobody ends. */
  async #release(random: () => number): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await systemClock.sleep(200 + random() * 1500, signal);
      await this.#letGo("and prepared < now() - interval '3 s'").catch(() => {});
    }
  }

  async #letGo(which: string): Promise<void> {
    await this.db.sql(
      `select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event = 'SyncRep'`,
    );
    const prepared = await this.db.sql(
      `select gid from pg_prepared_xacts where database = current_database() ${which}`,
    );
    // Its writer may be faster.
    for (const { gid } of prepared) await this.db.sql(`commit prepared '${gid}'`).catch(() => {});
  }
}

const MAX_BEHIND_BYTES = 8 * 1024 * 1024;
const BEHIND =
  `select coalesce(bool_or(pg_current_wal_lsn() - confirmed_flush_lsn > $2), false) as behind
  from pg_replication_slots where slot_name = $1`;
const MODES = ["local", "local", "local", "off", "on"];
