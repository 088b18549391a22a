// @ts-types="@types/pg"
import type pg from "pg";
import type { OutputPlugin } from "../../src/options.ts";
import { Follower } from "./all_plugins.ts";
import { ask, consumed, ended } from "./backfilled.ts";
import { startKinesalite } from "./kinesalite.ts";
import { randomFrom } from "./random.ts";
import { freshDatabase } from "./shared_postgres.ts";
import type { Row, TestPostgres } from "./test_postgres.ts";
import { waitFor } from "./wait.ts";

/** The server must have `synchronous_standby_names` of a standby that is not there, and commit locally. */
export const TRIAL_SETTINGS = {
  synchronous_standby_names: "nobody",
  synchronous_commit: "local",
  max_prepared_transactions: 20,
};

export interface Trial {
  readonly server: TestPostgres;
  readonly plugin: OutputPlugin;
  readonly seed: number;
  readonly rows: number;
  /** Rows a second that are read. */
  readonly rate: number;
  readonly writers: number;
  readonly kills: number;
}

export interface TrialResult {
  readonly changes: number;
  readonly records: number;
  readonly kills: number;
  /** What a consumer has wrongly, one line each. */
  readonly wrong: readonly string[];
  /** The program's log. */
  readonly log: string;
}

/**
 * Reads a table while writers work on it at random, with the program killed now and then, and holds what two
 * consumers who began empty have against the table.
 */
export async function runTrial(trial: Trial): Promise<TrialResult> {
  const { server, plugin, rows, rate } = trial;
  const random = randomFrom(trial.seed);
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(`
    create table t (id int primary key, n int not null, v text, big text);
    alter table t alter big set storage external;
    insert into t select n, n % 5, 'old', repeat('x', 2500) || n from generate_series(1, ${rows}) n;
    create publication published for table t`);
  await using follower = await Follower.create(plugin, db, kinesis);
  const flags = ["-f", "JSON", "--backfill-rate", String(rate)];
  await follower.start(flags);
  await follower.program.waitForLog(/following slot/, 120_000);
  const over = new AbortController();
  const count = { changes: 0 };
  const writers = Array.from(
    { length: trial.writers },
    (_, index) =>
      writeAtRandom(
        db.database,
        server,
        randomFrom(trial.seed + 1 + index),
        rows,
        over.signal,
        count,
      ),
  );
  const releasing = releaseHanging(server, db.database, random, over.signal);
  let kills = 0;
  let log = "";
  try {
    await ask(follower.db, ["public.t"], "r");
    for (; kills < trial.kills; kills++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + random() * 2500));
      const { program } = follower;
      if (/backfill r has ended/.test(program.stderr)) break;
      await program.kill9();
      log += program.stderr;
      await follower.start(flags);
      await follower.program.waitForLog(/following slot/, 120_000);
    }
    if (!/backfill r has ended/.test(log)) await ended(follower, "r", 300_000);
  } finally {
    over.abort();
    await Promise.all([...writers, releasing]);
  }
  for (
    const { gid } of await db.sql(
      "select gid from pg_prepared_xacts where database = current_database()",
    )
  ) {
    await db.sql(`commit prepared '${gid}'`);
  }
  await follower.catchUp(120_000);
  await follower.program.stop();
  log += follower.program.stderr;
  const records = await follower.records();
  const present = await db.sql("select * from t order by id");
  const wanted = new Map(present.map((row) => [String(row.id), textOf(row)]));
  const wrong: string[] = [];
  for (const by of plugin === "test_decoding" ? ["last"] as const : ["last", "position"] as const) {
    const found = new Map(
      [...consumed(records, by).values()].map((row) => [String(row.id), textOf(row)]),
    );
    for (const [id, row] of wanted) {
      if (found.get(id) !== row) wrong.push(`${by}: ${id} is ${found.get(id)}, not ${row}`);
    }
    for (const id of found.keys()) if (!wanted.has(id)) wrong.push(`${by}: ${id} is there`);
  }
  return { changes: count.changes, records: records.length, kills, wrong, log };
}

/** Without the filling of a large value. */
function textOf({ id, n, v, big }: Row): string {
  return `${id} ${n} ${v} ${big === undefined ? "(none)" : String(big).replace(/^x+/, "x")}`;
}

async function writeAtRandom(
  database: string,
  server: TestPostgres,
  random: () => number,
  rows: number,
  over: AbortSignal,
  count: { changes: number },
): Promise<void> {
  const client = await server.connect({ database });
  client.on("error", () => {});
  const key = () => Math.floor(random() * (rows + 40)) - 20;
  let serial = 0;
  const change = (): string => {
    count.changes++;
    const value = `'${Math.floor(random() * 1e6)}_${++serial}'`;
    const [left, right] = [key(), key()];
    switch (Math.floor(random() * 8)) {
      case 0:
        return `insert into t values (${left}, 1, ${value}, repeat('x', 2500) || ${value})
          on conflict do nothing`;
      case 1:
        return `delete from t where id = ${left}`;
      case 2:
      case 3:
        return `update t set id = ${right} where id = ${left}
          and not exists (select from t where id = ${right})`;
      case 4:
        return `update t set big = repeat('x', 2500) || ${value} where id = ${left}`;
      default:
        return `update t set v = ${value}, n = n + 1 where id between ${left} and ${left + 2}`;
    }
  };
  const modes = ["local", "local", "local", "off", "on"];
  while (!over.aborted) {
    const mode = modes[Math.floor(random() * modes.length)]!;
    const kind = random();
    const statements = Array.from({ length: 1 + Math.floor(random() * 3) }, change);
    try {
      await client.query(`set synchronous_commit = ${mode}`);
      await client.query("begin");
      for (const statement of statements) {
        await client.query("savepoint s");
        // A key that somebody else took meanwhile is no reason to give the others up.
        await client.query(statement).catch(() => client.query("rollback to s"));
        if (random() < 0.1) await client.query("rollback to s");
      }
      if (kind < 0.08) await pause(random() * 1500, over);
      if (kind > 0.97) {
        const gid = crypto.randomUUID();
        await client.query(`prepare transaction '${gid}'`);
        await pause(random() * 1000, over);
        await client.query(`${random() < 0.7 ? "commit" : "rollback"} prepared '${gid}'`);
      } else {
        await client.query(random() < 0.95 ? "commit" : "rollback");
      }
    } catch {
      await client.query("rollback").catch(() => {});
    }
    await pause(random() * 30, over);
  }
  await (client as pg.Client).end();
}

/** Lets commits that wait for the standby go, some time after they began to. */
async function releaseHanging(
  server: TestPostgres,
  database: string,
  random: () => number,
  over: AbortSignal,
): Promise<void> {
  const release = () =>
    server.sql(
      `select pg_cancel_backend(pid) from pg_stat_activity
        where datname = $1 and wait_event = 'SyncRep'`,
      { values: [database] },
    );
  while (!over.aborted) {
    await pause(200 + random() * 1500, over);
    await release();
  }
  await waitFor(async () => {
    await release();
    const [row] = await server.sql(
      `select count(*) as n from pg_stat_activity where datname = $1 and wait_event = 'SyncRep'`,
      { values: [database] },
    );
    return row!.n === "0";
  }, { what: "all commits to end" });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
