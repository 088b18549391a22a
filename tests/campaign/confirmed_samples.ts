// @ts-types="@types/pg"
import type pg from "pg";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep } from "../support/wait.ts";

/** How often the slot is looked at. */
const INTERVAL_MS = 10;

/** A slot's confirmed flush LSN, and a time at which it was there already. */
export interface ConfirmedSample {
  /** Of the server. */
  readonly timeline: number;
  readonly lsn: bigint;
  readonly seenAtMs: number;
}

/** Looks at a slot again and again, also through restarts of the server, and keeps what is new. */
export class ConfirmedSampler implements AsyncDisposable {
  readonly samples: ConfirmedSample[] = [];
  #looks = 0;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(
    private readonly server: Pick<TestPostgres, "connect">,
    private readonly slot: string,
  ) {
    this.#running = this.#run();
  }

  get looks(): number {
    return this.#looks;
  }

  async #run(): Promise<void> {
    let client: pg.Client | undefined;
    while (!this.#isOver) {
      try {
        client ??= await this.server.connect();
        const { rows } = await client.query(
          `select (confirmed_flush_lsn - '0/0'::pg_lsn)::text as lsn,
             left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline
           from pg_replication_slots where slot_name = $1`,
          [this.slot],
        );
        const { lsn, timeline } = rows[0];
        this.#keep(parseInt(timeline, 16), BigInt(lsn), Date.now());
      } catch {
        // The server is down; it will be back.
        client?.end().catch(() => {});
        client = undefined;
      }
      await sleep(INTERVAL_MS);
    }
    await client?.end().catch(() => {});
  }

  #keep(timeline: number, lsn: bigint, seenAtMs: number): void {
    this.#looks++;
    // After a crash of the server it may be an older one again, which promises nothing new.
    const last = this.samples.at(-1);
    if (last === undefined || timeline > last.timeline || lsn > last.lsn) {
      this.samples.push({ timeline, lsn, seenAtMs });
    }
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
