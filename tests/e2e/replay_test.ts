import { assert, assertEquals } from "@std/assert";
import { parseLsn } from "../../src/base/lsn.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { Follower, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

const TRANSACTIONS = 30;
/** Changes of the last transaction. */
const LARGE = 1500;
const ROWS = 40;
const KILLS = 3;

interface Published {
  readonly partitionKey: string;
  readonly text: string;
  readonly change: Row;
}

for (const plugin of plugins) {
  Deno.test(`JSON through the program: a change has the same name after kill -9 and a replay (${plugin})`, async () => {
    const random = randomFrom(randomSeed());
    const dice = (sides: number) => Math.floor(random() * sides);
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(
      `create sequence counter; create table rows (id int primary key, n int, filler text);
      create publication published for table rows`,
    );
    await using follower = await Follower.create(plugin, db, kinesis, 2);
    await work(db, dice);

    const stored = async (): Promise<Published[]> =>
      (await follower.records()).map(({ partitionKey, text }) => ({
        ...{ partitionKey, text },
        change: JSON.parse(text),
      }));
    const flags = ["-f", "JSON"];
    for (let kill = 0; kill < KILLS; kill++) {
      // What this run confirms does not count: everything it published comes again.
      const goBack = await follower.rememberSlot();
      const before = (await stored()).length;
      const program = await follower.start(flags);
      // Some statements find no row, so that the large transaction has fewer changes.
      const more = 1 + dice(LARGE / 2);
      await waitFor(async () => {
        assertEquals(program.exitCode, undefined, program.stderr);
        return (await follower.records()).length >= before + more;
      }, {
        what: `${more} more records`,
        found: () => program.stderr,
        intervalMs: 100,
      });
      await program.kill9();
      goBack();
    }
    await follower.start(flags);
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);

    const records = await stored();
    assert(firstCopies(records).length < records.length, "something came again");
    const taken = plugin === "test_decoding" ? firstCopies(records) : withHighestPairs(records);
    checkNames(records, taken);
    assertEquals(rebuilt(taken), await contents(db), "the table, made from the records");
    console.log(`${records.length} records, ${records.length - taken.length} of them duplicates`);
  });
}

/** Transactions of one to thirty changes, and a large one; no two rows ever get the same `n`. */
async function work(db: FreshDatabase, dice: (sides: number) => number): Promise<void> {
  const connection = await db.server.connect({ database: db.database });
  try {
    for (let transaction = 0; transaction <= TRANSACTIONS; transaction++) {
      const changes = transaction === TRANSACTIONS ? LARGE : 1 + dice(30) * dice(2);
      await connection.query("begin");
      for (let left = changes; left > 0; left--) {
        const id = dice(ROWS);
        const filler = "x".repeat(dice(300));
        switch (dice(8)) {
          case 0:
            await connection.query("delete from rows where id = $1", [id]);
            break;
          case 1: // another key
            await connection.query(
              `update rows set id = $2, n = ${NEXT} where id = $1
                 and not exists (select from rows where id = $2)`,
              [id, dice(ROWS)],
            );
            break;
          default:
            await connection.query(
              `insert into rows values ($1, ${NEXT}, $2)
               on conflict (id) do update set n = excluded.n, filler = excluded.filler`,
              [id, filler],
            );
        }
      }
      await connection.query("commit");
    }
  } finally {
    await connection.end();
  }
}

const NEXT = "nextval('counter')";

/** What a restart must not change. */
function nameOf({ change }: Published): string {
  const { commit_lsn, xid, seq, op } = change;
  return `${commit_lsn ?? xid} ${seq} ${op}`;
}

function firstCopies(records: readonly Published[]): Published[] {
  const seen = new Set<string>();
  return records.filter((record) => !seen.has(nameOf(record)) && seen.add(nameOf(record)));
}

/** What the README tells a consumer to do. */
function withHighestPairs(records: readonly Published[]): Published[] {
  const highest = new Map<string, readonly [bigint, number]>();
  return records.filter(({ partitionKey, change }) => {
    const pair = [parseLsn(change.commit_lsn), change.seq as number] as const;
    const [commitLsn, seq] = highest.get(partitionKey) ?? [-1n, -1];
    if (pair[0] < commitLsn || pair[0] === commitLsn && pair[1] <= seq) return false;
    highest.set(partitionKey, pair);
    return true;
  });
}

function checkNames(records: readonly Published[], taken: readonly Published[]): void {
  const texts = new Map<string, Published>();
  const names = new Map<string, string>();
  for (const record of records) {
    const name = nameOf(record);
    const first = texts.get(name) ?? record;
    texts.set(name, first);
    assertEquals([record.partitionKey, record.text], [first.partitionKey, first.text], name);
    // Each new value was written once, so it tells the change.
    const n = record.change.after?.n;
    if (n === undefined) continue;
    assertEquals(names.get(n) ?? name, name, `the change that wrote ${n} has two names`);
    names.set(n, name);
  }
  // No change was dropped for a duplicate: along each partition key the pairs grow.
  assertEquals(taken.map(nameOf), firstCopies(records).map(nameOf));
}

/** Applies the changes. The two halves of a key's change lie in different shards. */
function rebuilt(records: readonly Published[]): Row[] {
  const rows = new Map<number, Row>();
  for (const { change } of records) {
    if (change.op === "delete") rows.delete(change.key.id);
    else rows.set(change.key.id, change.after);
  }
  return [...rows.values()].sort((a, b) => a.id - b.id);
}

async function contents(db: FreshDatabase): Promise<Row[]> {
  return await db.sql("select id, n, filler from rows order by id");
}
