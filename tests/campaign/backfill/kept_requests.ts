import type { FreshDatabase } from "../../support/shared_postgres.ts";
import type { EndRecord } from "./kept_copies.ts";
import type { KeptPlan } from "./kept_plan.ts";
import { type KeptTable, SENTINEL } from "./kept_tables.ts";

/** Reads one row, behind all that was asked for before. */
export const LAST_REQUEST = "the-last";

interface Asked {
  readonly id: string;
  readonly tables: readonly KeptTable[];
  /** Tables that were stopped afterwards. */
  readonly stopped: Set<string>;
}

/** What is asked for in a trial, by SQL, and what has to come of it. */
export class KeptRequests {
  readonly #asked: Asked[] = [];
  asked = 0;
  stopped = 0;

  constructor(private readonly db: FreshDatabase, private readonly plan: KeptPlan) {}

  async askForAll(): Promise<void> {
    await this.#ask(this.plan.tables);
  }

  /** Asks for some tables, or stops some. */
  async trouble(random: () => number): Promise<void> {
    const { tables } = this.plan;
    const some = tables.filter(() => random() < 0.5);
    if (some.length === 0) return;
    if (random() < 0.6) return await this.#ask(some);
    this.stopped++;
    // Whether it was stored or not: what may have been stopped is asked for once more.
    const all = random() < 0.3;
    for (const { stopped } of this.#asked) {
      for (const { name } of all ? tables : some) stopped.add(name);
    }
    await this.#emit({
      kind: "stop",
      tables: all ? "all" : some.map(({ name }) => `public.${name}`),
    });
  }

  /** Asks again when the last one has ended, so that there is something to read. */
  async goOn(log: string): Promise<void> {
    const last = this.#asked.at(-1);
    if (last === undefined) {
      if (/backfill \S+ has ended/.test(log)) await this.askForAll();
    } else if (log.includes(`backfill ${last.id} has ended`)) await this.askForAll();
  }

  /** Asks for what was stopped, then for the last one. */
  async askForLast(): Promise<void> {
    // What the program asked for itself as it created the slot may have been stopped, too.
    const again = this.stopped > 0
      ? this.plan.tables
      : this.plan.tables.filter((table) =>
        this.#asked.length > 0 &&
        !this.#asked.some(({ tables, stopped }) =>
          tables.includes(table) && !stopped.has(table.name)
        )
      );
    if (again.length > 0) await this.#ask(again);
    await this.#emit({ id: LAST_REQUEST, tables: [`public.${SENTINEL}`] });
  }

  /** Requests without the end that they must have had. */
  unanswered(ends: readonly EndRecord[], isViaRoot: boolean): string[] {
    return this.#asked.flatMap(({ id, tables, stopped }) =>
      tables.filter(({ name }) => !stopped.has(name)).flatMap((table) =>
        table.published(isViaRoot).map(({ name }) => name)
      ).filter((name) =>
        !ends.some((end) => end.request === id && end.table === name && end.complete)
      ).map((name) => `request ${id} has no end of ${name}`)
    );
  }

  async #ask(tables: readonly KeptTable[]): Promise<void> {
    const id = `r${++this.asked}`;
    await this.#emit({ id, tables: tables.map(({ name }) => `public.${name}`) });
    this.#asked.push({ id, tables, stopped: new Set() });
  }

  async #emit(message: object): Promise<void> {
    await this.db.sql("select pg_logical_emit_message(true, 'pg2kinesis.backfill', $1::text)", [
      JSON.stringify({ slot: this.db.slot, ...message }),
    ]);
  }
}
