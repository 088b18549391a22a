import { assert, assertEquals } from "@std/assert";
import { applyOnce, MemoryCopy } from "../../docs/examples/consumer.ts";
import { codeOf } from "../support/documented_code.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { carryOut, plan, waitForSlots } from "../support/plans.ts";
import { randomFrom } from "../support/random.ts";
import { readBack, type StoredRecord } from "../support/read_back.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const server = await startEmbeddedPostgres();
const IDS = 40;

for (const [from, to] of [[2, 3], [4, 2]] as const) {
  Deno.test(`${from} parts become ${to} as docs/growing.md says, while changes go on: nothing is lost, and each key keeps its order`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, n int, note text)");
    await db.sql("create publication everything for table t");
    await db.createSlot("pgoutput");
    const [stream, whole] = [freshStreamName(), freshStreamName()];
    await kinesis.createStream(stream, 2);
    await kinesis.createStream(whole, 1);
    const start = async (args: readonly string[]) => {
      const program = await Pg2kinesis.start(args, { env: kinesis.env });
      await program.waitForLog(/following slot/);
      return program;
    };
    await using programs = new AsyncDisposableStack();
    const parts = async (name: string, count: number) => {
      const flags = [...flagsFor({ ...db, slot: name } as FreshDatabase, stream), "-f", "JSON"];
      const made = await plan([...flags, "--parts", String(count)]);
      await carryOut(db, made);
      const runs = made.commands.map(([, , ...args]) => args);
      const slots = runs.map((args) => args[args.indexOf("--pg-slot-name") + 1]!);
      const startAll = () => Promise.all(runs.map(async (run) => programs.use(await start(run))));
      return { runs, slots, startAll };
    };

    const before = await parts(db.slot, from);
    const olds = await before.startAll();
    await using writer = new Writer(db);
    await writer.atLeast(20);

    const name = `${db.slot}_b`;
    const after = await parts(name, to);
    await writer.atLeast(20);
    const documented = await codeOf("Another number of parts", "growing.md", 3);
    const [ready, advance, empty] = documented.map((sql) =>
      sql.replaceAll("^shop_b_", `^${name}_`).replaceAll("^shop_", `^${db.slot}_`)
    );
    await waitFor(async () => (await db.sql(ready!))[0]!.ready, {
      what: "the old runs to have confirmed what the new slots begin with",
    });
    await writer.atLeast(20);
    await Promise.all(before.runs.map(async (run, part) => {
      let program = olds[part]!;
      while (true) {
        assertEquals(await program.stop(), 0, program.stderr);
        if (!/a transaction was not stored as a whole/.test(program.stderr)) break;
        program = programs.use(await start(run));
        await writer.atLeast(5);
      }
    }));
    await writer.atLeast(20);
    assertEquals((await db.sql(advance!)).length, to);
    const news = await after.startAll();
    for (const slot of before.slots) await db.sql(`select pg_drop_replication_slot('${slot}')`);
    const emptying = await db.sql(empty!.replace("\\gexec", ""));
    assertEquals(emptying.length, from);
    for (const { format } of emptying) await db.sql(format);
    await writer.atLeast(20);
    for (const slot of before.slots) await db.sql(`drop publication "${slot}"`);
    await writer.atLeast(20);
    await writer.stop();
    const reference = programs.use(
      await start([
        ...flagsFor(db, whole),
        ...["--pg-slot-output-plugin", "pgoutput", "--pg-publication", "everything", "-f", "JSON"],
      ]),
    );
    await waitForSlots(db, [...after.slots, db.slot]);
    for (const program of [...news, reference]) {
      assertEquals(await program.stop(), 0, program.stderr);
    }

    const { records } = await readBack(kinesis.client, stream);
    const expected = historiesOf((await readBack(kinesis.client, whole)).records);
    const found = historiesOf(records);
    assert([...expected.values()].flat().length > 500);
    assertEquals([...found.keys()].sort(), [...expected.keys()].sort());
    for (const [key, history] of expected) assertEquals(found.get(key), history, key);

    const copy = new MemoryCopy();
    for (const record of records) await applyOnce(record, copy);
    assertEquals(
      copy.rows("public", "t").sort((a, b) => Number(a.id) - Number(b.id)),
      await db.sql("select * from t order by id"),
    );
  });
}

/** Changes the table without a pause, by transactions of several changes, until it is stopped. */
class Writer implements AsyncDisposable {
  #done = 0;
  #isStopped = false;
  readonly #writing: Promise<void>;

  constructor(db: FreshDatabase) {
    this.#writing = this.#write(db);
    this.#writing.catch(() => {});
  }

  async #write(db: FreshDatabase): Promise<void> {
    const next = randomFrom(20261129);
    const id = () => Math.floor(next() * IDS);
    while (!this.#isStopped) {
      const statements = Array.from({ length: 1 + id() % 8 }, (_, index) =>
        [
          `insert into t values (${id()}, ${index}, 'n') on conflict (id) do update set n = t.n + 1`,
          `update t set n = n + 1 where id % 5 = ${id() % 5}`,
          `delete from t where id = ${id()}`,
        ][id() % 3]);
      await db.sql(`begin; ${statements.join("; ")}; commit`);
      this.#done++;
    }
  }

  /** Waits for so many more transactions. */
  async atLeast(count: number): Promise<void> {
    const end = this.#done + count;
    await Promise.race([this.#writing, waitFor(() => this.#done >= end, { what: "the writer" })]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#writing.catch(() => {});
  }
}

/** The changes of each key in the order of their arrival, without what comes again. */
function historiesOf(records: readonly StoredRecord[]): Map<string, string[]> {
  const histories = new Map<string, Set<string>>();
  for (const { partitionKey, text } of records) {
    const { op, commit_lsn, lsn, after } = JSON.parse(text);
    // `seq` is a number within a run's own part.
    const history = histories.get(partitionKey) ?? new Set();
    histories.set(partitionKey, history.add(`${op} ${commit_lsn} ${lsn} ${JSON.stringify(after)}`));
  }
  return new Map([...histories].map(([key, history]) => [key, [...history]]));
}
