// @ts-types="@types/pg"
import type pg from "pg";
import { randomFrom } from "../support/random.ts";
import { sleep } from "../support/wait.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { type Extra, MESSAGE_PREFIXES, type Scenario } from "./plan.ts";

export const TABLES = ["accounts", "orders"] as const;
/** A few transactions have so many rows. */
const LARGE = 300;
/** Much for a buffer of 10 MiB: transactions of large rows, as often as they get through. */
const BULK = { rows: 2_000, bytes: 1_900, transactions: 15 };

export async function createTables(server: TestPostgres, database: string): Promise<void> {
  for (const table of TABLES) {
    await server.sql(`create table ${table} (id int primary key, version bigint, filler text)`, {
      database,
    });
  }
}

export type WorkloadPlan = Pick<
  Scenario,
  "seed" | "writers" | "rowsPerWriter" | "writerPauseMs" | "extras"
>;

/** Writers in parallel, each with rows of its own, until they are stopped; a restart only pauses them. */
export class Workload {
  #isOver = false;
  readonly #writers: Promise<void>[];

  constructor(
    server: Pick<TestPostgres, "connect">,
    database: string,
    scenario: WorkloadPlan,
  ) {
    this.#writers = Array.from({ length: scenario.writers }, (_, writer) => {
      const random = randomFrom(scenario.seed * 31 + writer);
      return this.#run(new Writer(server, database, scenario, writer, random));
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#writers);
  }

  async #run(writer: Writer): Promise<void> {
    while (!this.#isOver) await writer.step();
    await writer.close();
  }
}

/** One connection's transactions. */
class Writer {
  #client: pg.Client | undefined;
  #version = 0;
  #prepared = 0;
  #messages = 0;
  #bulks = 0;

  constructor(
    private readonly server: Pick<TestPostgres, "connect">,
    private readonly database: string,
    private readonly scenario: WorkloadPlan,
    private readonly writer: number,
    private readonly random: () => number,
  ) {}

  /** A transaction; which rows it changed, and whether it was committed at all, the WAL tells. */
  async step(): Promise<void> {
    try {
      this.#client ??= await this.#connect();
      for (const query of this.#queries()) await this.#client.query(query);
      await sleep(this.random() * this.scenario.writerPauseMs);
    } catch {
      this.#client?.end().catch(() => {});
      this.#client = undefined;
      await sleep(20);
    }
  }

  async close(): Promise<void> {
    try {
      this.#client ??= await this.#connect();
      await this.#client.end();
    } catch {
      // The server is away.
    }
  }

  /** Ends what was prepared and not committed when the connection broke: its rows are locked. */
  async #connect(): Promise<pg.Client> {
    const client = await this.server.connect({ database: this.database });
    const { rows } = await client.query(
      "select gid from pg_prepared_xacts where database = current_database() and gid like $1",
      [`${this.writer} %`],
    );
    for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`);
    return client;
  }

  /** A transaction, and sometimes something else. */
  #queries(): string[] {
    const { random } = this;
    const has = (extra: Extra, probability: number) =>
      this.scenario.extras.includes(extra) && random() < probability;
    const table = TABLES[this.writer % TABLES.length]!;
    if (has("truncate", 0.02)) return [`truncate ${table}`];
    if (has("ddl", 0.02)) {
      const column = `extra_${this.writer}`;
      return random() < 0.5
        ? [`alter table ${table} add column if not exists ${column} int default 7`]
        : [`alter table ${table} drop column if exists ${column}`];
    }
    if (has("messages", 0.1)) return [`select ${this.#message(false)}`];
    if (has("bulk", 0.5) && this.#bulks++ < BULK.transactions) return [this.#bulk(table)];
    let transaction = this.#transaction();
    if (has("messages", 0.2)) {
      // In a transaction that is rolled back, one that is not transactional stays.
      const both = [true, random() < 0.5].map((flag) => this.#message(flag));
      transaction = transaction.replace(/^begin;/, `begin; select ${both};`);
    }
    if (!has("two-phase", 0.1) || !transaction.endsWith("commit")) return [transaction];
    const gid = `'${this.writer} ${++this.#prepared}'`;
    return [
      transaction.replace(/commit$/, `prepare transaction ${gid}`),
      `${random() < 0.8 ? "commit" : "rollback"} prepared ${gid}`,
    ];
  }

  #message(isTransactional: boolean): string {
    const prefix = MESSAGE_PREFIXES[Math.floor(this.random() * MESSAGE_PREFIXES.length)];
    const content = `${this.writer}-${++this.#messages}`;
    return `pg_logical_emit_message(${isTransactional}, '${prefix}', '${content}')`;
  }

  /** Rows of their own, each just too small to be compressed. */
  #bulk(table: string): string {
    const base = this.writer * 100_000 + 50_000;
    return `insert into ${table} select id, ${++this.#version}, repeat('x', ${BULK.bytes})
      from generate_series(${base}, ${base + BULK.rows - 1}) id
      on conflict (id) do update set version = excluded.version, filler = excluded.filler`;
  }

  /** Changes no row twice, so that transaction and row name a change. */
  #transaction(): string {
    const { random } = this;
    const table = TABLES[this.writer % TABLES.length];
    const base = this.writer * 100_000;
    const chance = (probability: number) => random() < probability;
    const below = (limit: number) => Math.floor(random() * limit);

    const version = ++this.#version;
    const filler = chance(0.02) ? below(60_000) : below(200);
    const upsert = (ids: readonly number[]) =>
      `insert into ${table} select id, ${version}, repeat('x', ${filler})
       from unnest(array[${ids}]::int[]) id
       on conflict (id) do update set version = excluded.version, filler = excluded.filler;`;
    if (chance(0.015)) {
      const ids = Array.from({ length: 1 + below(LARGE) }, (_, i) => base + i);
      return `insert into ${table} select id, ${version}, 'large' from unnest(array[${ids}]::int[]) id
        on conflict (id) do update set version = excluded.version, filler = excluded.filler`;
    }
    const ids = [
      ...new Set(
        Array.from({ length: 1 + below(6) }, () => base + below(this.scenario.rowsPerWriter)),
      ),
    ];
    const deleted = chance(0.15) ? ids.splice(0, 1) : [];
    const statements = [
      deleted.length > 0 ? `delete from ${table} where id = ${deleted[0]};` : "",
      chance(0.05) ? `savepoint s; ${upsert([base + 99_999])} rollback to savepoint s;` : "",
      ids.length > 0 ? upsert(ids) : "",
    ];
    return `begin; ${statements.join("\n")} ${chance(0.05) ? "rollback" : "commit"}`;
  }
}
