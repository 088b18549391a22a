import type { TestKinesis } from "./kinesalite.ts";
import { Pg2kinesis } from "./pg2kinesis.ts";
import { readBack, type StoredRecord } from "./read_back.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import { waitFor } from "./wait.ts";

let streams = 0;
/**
 * A name that no other stream of this test file has. Always of 11 characters: Deno 2.4 deciphers no
 * AES-CBC text whose length is a multiple of 16, and kinesalite's shard iterators hold the name.
 */
export function freshStreamName(): string {
  return `changes-${String(++streams).padStart(3, "0")}`;
}

/** The flags by which the program finds a test's database, slot and stream. */
export function flagsFor(db: FreshDatabase, stream: string): string[] {
  const { host, port, superuser } = db.server;
  return [
    ...["-h", host, "-p", String(port), "-u", superuser, "-d", db.database],
    ...["-s", db.slot, "-k", stream],
  ];
}

/** Starts the program on a slot that was made before and waits until it follows it. */
export async function follow(
  db: FreshDatabase,
  kinesis: TestKinesis,
  stream: string,
  flags: readonly string[] = [],
): Promise<Pg2kinesis> {
  const program = await Pg2kinesis.start([...flagsFor(db, stream), ...flags], { env: kinesis.env });
  await program.waitForLog(/following slot/);
  return program;
}

/** The LSN that the program has confirmed for its slot. */
export async function confirmedLsn(db: FreshDatabase): Promise<string> {
  const [row] = await db.sql(
    "select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1",
    [db.slot],
  );
  return row!.lsn;
}

/** Waits until the program has confirmed everything that is committed now. */
export async function waitUntilConfirmed(
  db: FreshDatabase,
  program?: Pg2kinesis,
  timeoutMs = 60_000,
): Promise<void> {
  const [now] = await db.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await waitFor(async () => {
    if (program?.exitCode !== undefined) throw new Error(`pg2kinesis ended: ${program.stderr}`);
    const [row] = await db.sql(
      "select confirmed_flush_lsn >= $2::pg_lsn as done from pg_replication_slots where slot_name = $1",
      [db.slot, now!.lsn],
    );
    return row!.done;
  }, {
    what: `slot ${db.slot} to be confirmed up to ${now!.lsn}`,
    found: () => program?.stderr,
    timeoutMs,
  });
}

/** Everything in the stream, as text, in the order of a stream with one shard. */
export async function storedTexts(kinesis: TestKinesis, stream: string): Promise<string[]> {
  return (await readBack(kinesis.client, stream)).records.map(({ text }) => text);
}

/** Without what comes again: the first copy of each text, in order. */
export function firstCopies(records: readonly StoredRecord[]): StoredRecord[] {
  const seen = new Set<string>();
  return records.filter(({ text }) => !seen.has(text) && seen.add(text));
}
