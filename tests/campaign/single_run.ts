import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep, waitFor } from "../support/wait.ts";
import { type FaultServerOptions, FaultServerProcess } from "./fault_server_process.ts";
import { readStatus } from "./process_status.ts";
import { connectionFlags } from "./site.ts";
import { createTables } from "./workload.ts";

/** One program that is followed from its start to its end, with test_decoding and whole rows. */
export class SingleRun implements AsyncDisposable {
  private constructor(
    readonly db: FreshDatabase,
    readonly kinesis: FaultServerProcess,
    readonly program: Pg2kinesis,
    private readonly parts: AsyncDisposableStack,
  ) {}

  /** `prepare` makes a backlog before the program starts. */
  static async start(
    server: TestPostgres,
    stream: FaultServerOptions,
    prepare: (db: FreshDatabase) => Promise<void> = async () => {},
  ): Promise<SingleRun> {
    await using parts = new AsyncDisposableStack();
    const db = parts.use(await freshDatabase(server));
    await createTables(server, db.database);
    await db.createSlot("test_decoding");
    await prepare(db);
    const kinesis = parts.use(await FaultServerProcess.start(stream));
    const program = parts.use(
      await Pg2kinesis.start([
        ...connectionFlags(server, db.database, db.slot, "test_decoding"),
        "--full-change",
      ], { env: kinesis.env }),
    );
    await program.waitForLog(/following slot/, 60_000);
    return new SingleRun(db, kinesis, program, parts.move());
  }

  /** Waits until all that is committed now is confirmed. */
  async catchUp(timeoutMs: number): Promise<void> {
    const [now] = await this.db.sql("select pg_current_wal_insert_lsn()::text as lsn");
    await waitFor(async () => {
      if (this.program.exitCode !== undefined) {
        throw new Error(`the program ended: ${this.program.stderr}`);
      }
      const [row] = await this.db.sql(
        "select confirmed_flush_lsn >= $2::pg_lsn as done from pg_replication_slots where slot_name = $1",
        [this.db.slot, now!.lsn],
      );
      return row!.done;
    }, {
      what: `the slot to be confirmed up to ${now!.lsn}`,
      timeoutMs,
      intervalMs: 50,
      found: () => this.program.stderr.slice(-1_000),
    });
  }

  /** The process ID of the slot's walsender, which changes with the connection; undefined without one. */
  async walsender(): Promise<number | undefined> {
    const [row] = await this.db.sql(
      "select active_pid from pg_replication_slots where slot_name = $1",
      [this.db.slot],
    );
    return row!.active_pid ?? undefined;
  }

  /** Resident memory now, in MiB. */
  residentMebibytes(): number {
    return readStatus(this.program.pid, "VmRSS");
  }

  /** The most resident memory so far, in MiB. */
  peakMebibytes(): number {
    return readStatus(this.program.pid, "VmHWM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.parts[Symbol.asyncDispose]();
  }
}

/** Inserts so many rows of `fillerBytes` in transactions of `rowsEach`. */
export async function insertRows(
  db: FreshDatabase,
  { from = 0, count, rowsEach, fillerBytes }: {
    readonly from?: number;
    readonly count: number;
    readonly rowsEach: number;
    readonly fillerBytes: number;
  },
): Promise<void> {
  const client = await db.server.connect({ database: db.database });
  for (let first = from; first < from + count; first += rowsEach) {
    const last = Math.min(first + rowsEach, from + count) - 1;
    await client.query(
      `insert into accounts select id, id, repeat('x', $3) from generate_series($1::int, $2::int) id`,
      [first, last, fillerBytes],
    );
  }
  await client.end();
}

/** Waits out `ms`, looking every `everyMs`. */
export async function watch(
  ms: number,
  everyMs: number,
  look: () => Promise<void>,
): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await look();
    await sleep(everyMs);
  }
}
