import { randomFrom } from "../../support/random.ts";
import { type FreshDatabase, freshDatabase } from "../../support/shared_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { sleep, waitFor } from "../../support/wait.ts";
import { KeptStream, type Rule } from "./kept_copies.ts";
import { type Host, KeptHosts } from "./kept_hosts.ts";
import { KeptKinesis } from "./kept_kinesis.ts";
import type { KeptPlan, Moment } from "./kept_plan.ts";
import { KeptRequests, LAST_REQUEST } from "./kept_requests.ts";
import { createKeptTables, type KeptTable, presentRows } from "./kept_tables.ts";
import { type Focus, KeptWriters } from "./kept_writers.ts";

/** What the server must have. */
export const KEPT_SETTINGS = {
  // Commits with synchronous_commit on wait for a standby that is not there; the others do not.
  synchronous_standby_names: "nobody",
  synchronous_commit: "local",
  max_prepared_transactions: 20,
  wal_sender_timeout: "8s",
  deadlock_timeout: "100ms",
  shared_buffers: "128MB",
  max_wal_size: "4GB",
};

const END_TIMEOUT_MS = 300_000;

export interface KeptResult {
  /** Each counted once. */
  readonly changes: number;
  readonly records: number;
  readonly reads: number;
  readonly kills: number;
  /** Another host took over from one that was killed or frozen. */
  readonly takeovers: number;
  readonly freezes: number;
  readonly restarts: number;
  readonly reshards: number;
  readonly faults: number;
  readonly requests: number;
  readonly stops: number;
  readonly peakMebibytes: number;
  readonly seconds: number;
  /** What a consumer has wrongly, one line each. */
  readonly wrong: readonly string[];
  /** What else should not have been. */
  readonly findings: readonly string[];
  /** The logs of the program. */
  readonly log: string;
  readonly stream: KeptStream;
}

/**
 * Reads tables while writers work on them at random and the program is killed, frozen and taken over from, and
 * holds what two consumers who began empty have against the tables.
 */
export async function runKeptTrial(server: TestPostgres, plan: KeptPlan): Promise<KeptResult> {
  const beganMs = performance.now();
  const random = randomFrom(plan.seed + 301);
  const { plugin, tables, isViaRoot } = plan;
  await using kinesis = new KeptKinesis(plan, LAST_REQUEST);
  await using db = await freshDatabase(server);
  await createKeptTables(db, tables, plan);
  if (!plan.startsWithSlot) await db.createSlot(plugin);
  await using hosts = new KeptHosts(db, flagsOf(plan, db, kinesis), kinesis.env, plan.isPair);
  const focus: Focus = { number: 1 };
  const writers = new KeptWriters(db, plan, focus);
  const aiming = setInterval(() => focus.number = kinesis.lastRead, 20);
  const requests = new KeptRequests(db, plan);
  const count = { takeovers: 0, freezes: 0, restarts: 0 };
  try {
    await hosts.start();
    if (!plan.startsWithSlot) await requests.askForAll();
    for (const blow of plan.blows) {
      if (blow.kind === "restart") {
        await hosts.active();
        await sleep(blow.ms);
        hosts.excuseEnds();
        await server.restart(blow.mode);
        count.restarts++;
        continue;
      }
      if (blow.kind === "freeze") {
        const frozen = await hosts.active();
        await sleep(blow.ms / 2);
        frozen.program.signal("SIGSTOP");
        const other = await hosts.active(frozen.name);
        count.takeovers++;
        count.freezes++;
        if (random() < 0.5) await requests.trouble(random).catch(() => {});
        await sleep(blow.ms);
        frozen.program.signal("SIGCONT");
        // What it does as it wakes must not count when yet another run goes on from the marks.
        await sleep(random() * 600);
        const killed = random() < 0.7 ? other : frozen;
        hosts.shoot(killed);
        await hosts.raise(killed);
        continue;
      }
      const killed = await killAt(blow.moment, blow.ms, { hosts, kinesis, db, tables, random });
      await hosts.raise(killed);
      if (plan.isPair) count.takeovers++;
      if (plan.asks && random() < 0.3) await requests.trouble(random).catch(() => {});
      await requests.goOn(hosts.log).catch(() => {});
    }
    await hosts.active();
    await kinesis.calm();
    await requests.askForLast();
    await waitFor(async () => {
      await hosts.revive();
      return kinesis.hasLastRequest;
    }, {
      what: "the last request to end",
      timeoutMs: END_TIMEOUT_MS,
      found: () => hosts.log.slice(-6000),
    });
  } finally {
    clearInterval(aiming);
    await writers.stop();
  }
  await caughtUp(db, hosts);
  await hosts.stop();
  const stream = new KeptStream(kinesis.stream.shards);
  const wrong = await held(db, plan, stream, ["last"]);
  if (plugin !== "test_decoding") wrong.push(...await held(db, plan, stream, ["position"]));
  return {
    changes: stream.changes.size,
    records: stream.records,
    reads: stream.reads.count,
    ...count,
    kills: hosts.kills,
    reshards: kinesis.reshards,
    faults: kinesis.faults,
    requests: requests.asked,
    stops: requests.stopped,
    peakMebibytes: hosts.peakMebibytes,
    seconds: (performance.now() - beganMs) / 1000,
    wrong,
    findings: [...hosts.findings, ...requests.unanswered(stream.ends, isViaRoot)],
    log: hosts.log,
    stream,
  };
}

function flagsOf(plan: KeptPlan, { server, database, slot }: FreshDatabase, kinesis: KeptKinesis) {
  const { plugin, rate, flags, startsWithSlot } = plan;
  return [
    ...["-h", server.host, "-p", String(server.port), "-u", server.superuser, "-d", database],
    ...["-s", slot, ...kinesis.flags, "--pg-slot-output-plugin", plugin, ...flags],
    ...plugin === "pgoutput" ? ["--pg-publication", "published"] : [],
    ...rate === undefined ? [] : ["--backfill-rate", String(rate)],
    ...startsWithSlot ? ["--create-slot", "--backfill"] : [],
  ];
}

interface Scene {
  readonly hosts: KeptHosts;
  readonly kinesis: KeptKinesis;
  readonly db: FreshDatabase;
  readonly tables: readonly KeptTable[];
  readonly random: () => number;
}

/** Kills the host that follows the slot, or before it does, at a moment; gives it. */
async function killAt(moment: Moment, ms: number, scene: Scene): Promise<Host> {
  const { hosts, kinesis, db, random } = scene;
  const host = moment === "start" ? await hosts.any(random) : await hosts.active();
  if (moment !== "start" && random() < 0.7) await untilStored(kinesis, 1, "read", () => {});
  switch (moment) {
    case "start":
    case "following":
      await sleep(ms);
      break;
    case "put":
    case "read put": {
      const which = moment === "put" ? "any" : "read";
      await untilStored(kinesis, 1 + Math.floor(random() * 6), which, () => hosts.shoot(host));
      break;
    }
    case "confirmed": {
      const confirmed = async () =>
        (await hosts.query(
          "select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1",
          [db.slot],
        ).catch(() => []))[0]?.lsn;
      const before = await confirmed();
      await waitFor(async () => await confirmed() !== before, {
        what: "the confirmed LSN to move",
        timeoutMs: 3_000,
        intervalMs: 5,
      }).catch(() => {});
      await sleep(ms / 60);
      break;
    }
    case "lock":
      await untilReaderHasLock(scene).catch(() => {});
      await sleep(ms / 30);
      break;
    case "mark under way":
    case "reader frozen": {
      await sleep(ms / 2);
      const pid = moment === "reader frozen" ? await hosts.readerPid() : await hosts.walsenderPid();
      const isBefore = random() < 0.5;
      await hosts.freeze(pid, 50 + ms / 3, () => {
        if (isBefore) hosts.shoot(host);
      });
      if (!isBefore) await sleep(random() * 60);
      break;
    }
    default:
      moment satisfies never;
  }
  hosts.shoot(host);
  return host;
}

/** Acts as a put is stored, if so many come within a while. */
async function untilStored(
  kinesis: KeptKinesis,
  count: number,
  which: "any" | "read",
  act: () => void,
): Promise<void> {
  let left = count;
  const { promise, resolve } = Promise.withResolvers<void>();
  kinesis.onStored = (isRead) => {
    if (which === "read" && !isRead || --left !== 0) return;
    act();
    resolve();
  };
  const timer = setTimeout(resolve, 3_000);
  await promise;
  clearTimeout(timer);
  kinesis.onStored = () => {};
}

/** Holds a lock on a table until the reader waits for it, then lets go. */
async function untilReaderHasLock({ db, tables, random }: Scene): Promise<void> {
  const table = tables[Math.floor(random() * tables.length)]!;
  const client = await db.server.connect({ database: db.database });
  try {
    await client.query(
      `set lock_timeout = '1s'; begin; lock table ${table.name} in access exclusive mode`,
    );
    await waitFor(async () => {
      const { rows } = await client.query(
        `select 1 from pg_locks l join pg_stat_activity a using (pid)
          where not granted and mode = 'AccessShareLock' and application_name <> ''`,
      );
      return rows.length > 0;
    }, { what: "the reader to wait", timeoutMs: 1_200, intervalMs: 10 });
  } finally {
    await client.end().catch(() => {});
  }
}

/** Waits until everything that is committed is stored and confirmed. */
async function caughtUp(db: FreshDatabase, hosts: KeptHosts): Promise<void> {
  const [now] = await db.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await waitFor(async () => {
    await hosts.revive();
    const [row] = await db.sql(
      "select confirmed_flush_lsn >= $2::pg_lsn as done from pg_replication_slots where slot_name = $1",
      [db.slot, now!.lsn],
    );
    return row?.done;
  }, {
    what: "everything to be confirmed",
    timeoutMs: END_TIMEOUT_MS,
    intervalMs: 100,
    found: () => hosts.log.slice(-6000),
  });
}

/** What consumers have that the tables have not, and the other way round. */
async function held(
  db: FreshDatabase,
  { tables, isViaRoot }: KeptPlan,
  stream: KeptStream,
  rules: readonly Rule[],
): Promise<string[]> {
  const byName = new Map(
    tables.flatMap((table) => table.published(isViaRoot).map(({ name }) => [name, table] as const)),
  );
  const present = await presentRows(db, tables, isViaRoot);
  const wrong: string[] = [];
  for (const rule of rules) {
    const copy = stream.copy(rule, byName);
    for (const [name, wanted] of present) {
      const found = copy.rows(name);
      for (const [key, row] of wanted) {
        const is = found.get(key);
        if (is === row) continue;
        // Once the backfill has ended nobody reads again what enters the filter.
        if (isAs(is, row) && (copy.entered(name, key) ?? "") > stream.lastEnd(name)) continue;
        wrong.push(`${rule}: ${name} ${key} is ${is}, not ${row}`);
      }
      for (const [key, row] of found) {
        if (!wanted.has(key)) wrong.push(`${rule}: ${name} ${key} is ${row}, not there`);
      }
    }
  }
  return wrong;
}

/** The same row, but for a large value that is not there. */
function isAs(is: string | undefined, row: string): boolean {
  return is?.endsWith("|(none)") === true && row.startsWith(is.slice(0, -"(none)".length));
}
