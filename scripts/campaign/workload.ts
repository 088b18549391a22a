// @ts-types="@types/pg"
import type pg from "pg";
import { randomFrom } from "../../tests/support/random.ts";
import { sleep } from "../../tests/support/wait.ts";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";
import type { Scenario } from "./plan.ts";

export const TABLES = ["accounts", "orders"] as const;
/** A few transactions have so many rows. */
const LARGE = 300;

export async function createTables(server: TestPostgres, database: string): Promise<void> {
  for (const table of TABLES) {
    await server.sql(`create table ${table} (id int primary key, version bigint, filler text)`, {
      database,
    });
  }
}

export type WorkloadPlan = Pick<Scenario, "seed" | "writers" | "rowsPerWriter" | "writerPauseMs">;

/** Writers in parallel, each with rows of its own, until they are stopped; a restart only pauses them. */
export class Workload {
  #isOver = false;
  readonly #writers: Promise<void>[];

  constructor(server: TestPostgres, database: string, scenario: WorkloadPlan) {
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

  constructor(
    private readonly server: TestPostgres,
    private readonly database: string,
    private readonly scenario: WorkloadPlan,
    private readonly writer: number,
    private readonly random: () => number,
  ) {}

  /** A transaction; which rows it changed, and whether it was committed at all, the WAL tells. */
  async step(): Promise<void> {
    try {
      this.#client ??= await this.server.connect({ database: this.database });
      await this.#client.query(this.#transaction());
      await sleep(this.random() * this.scenario.writerPauseMs);
    } catch {
      this.#client?.end().catch(() => {});
      this.#client = undefined;
      await sleep(20);
    }
  }

  async close(): Promise<void> {
    await this.#client?.end().catch(() => {});
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
    if (chance(0.03)) {
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
