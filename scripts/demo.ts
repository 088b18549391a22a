/**
 * The main job, for real, on one machine: PostgreSQL 18, kinesalite, a workload, pg2kinesis. Started
 * by scripts/demo.sh.
 */
import { startEmbeddedPostgres } from "../tests/support/embedded_postgres.ts";
import { kinesisEnv, startKinesalite, type TestKinesis } from "../tests/support/kinesalite.ts";
import { Pg2kinesis } from "../tests/support/pg2kinesis.ts";
import { readBack, type StoredStream } from "../tests/support/read_back.ts";
import type { TestPostgres } from "../tests/support/test_postgres.ts";
import { waitFor } from "../tests/support/wait.ts";
import { compare, describeComparison, isAllWell, parseCommitted } from "./demo/comparison.ts";
import { runWorkload, WORKLOAD_TABLES } from "./demo/workload.ts";

const DATABASE = "demo";
const STREAM = "demo";
const SHARDS = 4;
/** A role with no rights on any table: LOGIN and REPLICATION are enough. */
const ROLE = "replicator";
const SLOT = "pg2kinesis";
/** Nobody streams from this one: at the end PostgreSQL says by it what was committed. */
const WITNESS_SLOT = "witness";
const SAMPLE_RECORDS = 8;

const USAGE = `usage: sh scripts/demo.sh [--keep]
  --keep   leave everything up at the end, and print how to connect`;

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((argument) => argument !== "--keep");
  if (unknown !== undefined) {
    if (unknown !== "--help") console.error(`demo.sh does not know ${JSON.stringify(unknown)}`);
    console.error(USAGE);
    return unknown === "--help" ? 0 : 2;
  }
  await using parts = new Parts();
  try {
    const code = await demo(parts, args.includes("--keep"));
    await parts.unlessInterrupted();
    return code;
  } catch (error) {
    await parts.unlessInterrupted();
    return failed(error instanceof Error ? error.message : String(error));
  }
}

async function demo(parts: Parts, keep: boolean): Promise<number> {
  step(`Starting PostgreSQL and kinesalite with a stream of ${SHARDS} shards`);
  const kinesis = await parts.start(() => startKinesalite());
  await kinesis.createStream(STREAM, SHARDS);
  const server = await parts.start(() => startEmbeddedPostgres());
  await createDatabase(server);

  step("Starting pg2kinesis");
  const program = await parts.start(() => startPg2kinesis(server, kinesis));
  await waitFor(async () => program.exitCode !== undefined || await isSlotActive(server), {
    what: `pg2kinesis to follow the slot ${SLOT}`,
  });
  if (program.exitCode !== undefined) return failed("pg2kinesis ended before the workload");

  step("Running a workload of concurrent inserts, updates and deletes, some rolled back");
  await runWorkload(server, DATABASE);
  const committed = parseCommitted(await readWitness(server));
  const [{ end }] = await server.sql("select pg_current_wal_lsn() as end") as [{ end: string }];

  step("Waiting until PostgreSQL has all of it confirmed as stored in Kinesis");
  await waitFor(async () => program.exitCode !== undefined || await isConfirmed(server, end), {
    what: `the slot to be confirmed up to ${end}`,
  });
  const code = keep ? program.exitCode ?? 0 : await program.stop();
  if (code !== 0) return failed(`pg2kinesis ended with exit code ${code}`);

  step("Reading the stream back, aggregates taken apart by AWS's own deaggregator");
  const stream = await readBack(kinesis.client, STREAM);
  printShards(stream);
  printSample(stream);
  if (keep) printConnections(server, kinesis);
  const comparison = compare(committed, stream);
  console.log(`\n${describeComparison(comparison)}`);
  if (keep) await new Promise(() => setInterval(() => {}, 60_000));
  return isAllWell(comparison) ? 0 : 1;
}

/** What was started. A signal takes it down, then ends the process. */
class Parts implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  #starting: Promise<unknown> = Promise.resolve();
  #interrupted = false;

  constructor() {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
      Deno.addSignalListener(signal, () => this.#interrupt(code));
    }
  }

  async start<T extends AsyncDisposable>(start: () => Promise<T>): Promise<T> {
    await this.unlessInterrupted();
    const starting = start();
    this.#starting = starting;
    return this.#stack.use(await starting);
  }

  /** Never comes back once a signal has come: what follows would only fail. */
  async unlessInterrupted(): Promise<void> {
    if (this.#interrupted) await new Promise(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #interrupt(code: number): Promise<void> {
    if (this.#interrupted) return;
    this.#interrupted = true;
    // A half-started part can be taken down only once it is whole.
    await this.#starting.catch(() => {});
    await this.#stack.disposeAsync();
    Deno.exit(code);
  }
}

async function createDatabase(server: TestPostgres): Promise<void> {
  await server.sql(`create role ${ROLE} login replication`);
  await server.sql(`create database ${DATABASE}`);
  await server.sql(WORKLOAD_TABLES, { database: DATABASE });
  await server.sql(
    `select pg_create_logical_replication_slot('${WITNESS_SLOT}', 'test_decoding')`,
    {
      database: DATABASE,
    },
  );
}

async function startPg2kinesis(server: TestPostgres, kinesis: TestKinesis): Promise<Pg2kinesis> {
  // deno-fmt-ignore
  const args = [
    "--pg-host", server.host, "--pg-port", String(server.port), "--pg-dbname", DATABASE,
    "--pg-user", ROLE, "--pg-slot-name", SLOT, "--create-slot", "--stream-name", STREAM,
    "--full-change",
  ];
  console.log(`  pg2kinesis ${args.join(" ")}`);
  let line = "";
  return await Pg2kinesis.start(args, {
    env: kinesis.env,
    onStderr: (text) => {
      const lines = (line + text).split("\n");
      line = lines.pop()!;
      for (const each of lines) console.log(`  pg2kinesis | ${each}`);
    },
  });
}

async function isSlotActive(server: TestPostgres): Promise<boolean> {
  const [slot] = await server.sql("select active from pg_replication_slots where slot_name = $1", {
    values: [SLOT],
  });
  return slot?.active === true;
}

async function isConfirmed(server: TestPostgres, end: string): Promise<boolean> {
  const [slot] = await server.sql(
    "select confirmed_flush_lsn >= $2 as done from pg_replication_slots where slot_name = $1",
    { values: [SLOT, end] },
  );
  return slot?.done === true;
}

async function readWitness(server: TestPostgres): Promise<{ xid: string; data: string }[]> {
  return await server.sql(
    `select xid::text, data from pg_logical_slot_get_changes('${WITNESS_SLOT}', null, null)`,
    { database: DATABASE },
  ) as { xid: string; data: string }[];
}

function printShards(stream: StoredStream): void {
  for (const { shardId } of stream.shards) {
    const records = stream.records.filter((record) => record.shardId === shardId);
    const puts = new Set(records.map(({ sequenceNumber }) => sequenceNumber)).size;
    console.log(`  ${shardId}: ${records.length} changes in ${puts} Kinesis records`);
  }
}

/** The life of one row, as a consumer reads it. */
function printSample(stream: StoredStream): void {
  const byRow = Map.groupBy(stream.records, ({ partitionKey }) => partitionKey);
  const kindOf = (text: string) => /"kind":"(insert|update|delete)"/.exec(text)?.[1];
  const sample =
    [...byRow].find(([, records]) =>
      new Set(records.slice(0, SAMPLE_RECORDS).map(({ text }) => kindOf(text))).size === 3
    ) ?? [...byRow][0];
  if (sample === undefined) return;
  const [partitionKey, records] = sample;
  console.log(
    `\n  One row, partition key ${partitionKey}, the first of its ${records.length} changes:`,
  );
  for (const { text } of records.slice(0, SAMPLE_RECORDS)) console.log(`  ${text}`);
}

function printConnections(server: TestPostgres, kinesis: TestKinesis): void {
  const env = Object.entries(kinesisEnv(kinesis.endpoint)).map(([name, value]) =>
    `${name}=${value}`
  );
  console.log(`
Everything is still up, and pg2kinesis follows the slot:
  psql -h ${server.host} -p ${server.port} -U ${server.superuser} ${DATABASE}
  export ${env.join(" ")}
  aws kinesis list-shards --stream-name ${STREAM}
  ${Deno.execPath()} run -A main.ts tail -k ${STREAM} --from oldest --follow
    (the mock never answers a read from a time behind its last record, as --since and --lines ask for)
Press Ctrl-C to stop it all (or: kill ${Deno.pid}).`);
}

function step(text: string): void {
  console.log(`\n${text} ...`);
}

function failed(what: string): number {
  console.log(`\n${what}: NOT OK`);
  return 1;
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args));
}
