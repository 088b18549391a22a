import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { readCommitted } from "./committed.ts";
import { ConfirmedSampler } from "./confirmed_samples.ts";
import { type FaultServerOptions, FaultServerProcess } from "./fault_server_process.ts";
import { type PublishedChange, readPublished } from "./published.ts";
import { catchUp } from "./run_scenario.ts";
import { type Verdict, verify } from "./verify.ts";
import { createTables, Workload } from "./workload.ts";

export interface TrialResult extends Verdict {
  readonly changes: number;
  readonly published: readonly PublishedChange[];
}

/** Writers on a database, a Kinesis with faults, and the verdict on what came from one to the other. */
export class Trial implements AsyncDisposable {
  private constructor(
    readonly server: TestPostgres,
    readonly db: FreshDatabase,
    readonly kinesis: FaultServerProcess,
    private readonly oracle: string,
    private readonly parts: AsyncDisposableStack,
  ) {}

  static async start(server: TestPostgres, stream: FaultServerOptions): Promise<Trial> {
    await using parts = new AsyncDisposableStack();
    const db = parts.use(await freshDatabase(server));
    await createTables(server, db.database);
    const oracle = `${db.slot}_oracle`;
    await db.sql(`select pg_create_logical_replication_slot('${oracle}', 'test_decoding')`);
    const kinesis = parts.use(await FaultServerProcess.start(stream));
    return new Trial(server, db, kinesis, oracle, parts.move());
  }

  /** Starts the writers, does what is to be done meanwhile, and stops them. */
  async during(seed: number, work: () => Promise<void>): Promise<void> {
    const plan = { seed, writers: 3, rowsPerWriter: 20, writerPauseMs: 20, extras: [] };
    const workload = new Workload(this.server, this.db.database, plan);
    try {
      await work();
    } finally {
      await workload.stop();
    }
  }

  /** Looks at what is confirmed, from now until the verdict, or the end. */
  watchConfirmed(): ConfirmedSampler {
    return this.parts.use(new ConfirmedSampler(this.server, this.db.slot));
  }

  /** Without further faults, waits until all that is committed is confirmed. */
  async catchUp(look: () => void | Promise<void>, found?: () => unknown): Promise<void> {
    await this.kinesis.setChances({});
    await catchUp(this.server, this.db.slot, look, found);
  }

  async judge(sampler: ConfirmedSampler): Promise<TrialResult> {
    await sampler[Symbol.asyncDispose]();
    const committed = await readCommitted(this.server, this.db.database, this.oracle);
    const shards = await this.kinesis.shards();
    const published = readPublished(await this.kinesis.records(), shards);
    const verdict = verify({
      committed,
      published,
      samples: sampler.samples,
      aggregation: "kpl",
      shards,
      putsPerLane: 1,
      isFinished: true,
      mayDuplicate: true,
    });
    return { ...verdict, changes: committed.length, published };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.parts[Symbol.asyncDispose]();
  }
}
