import { join } from "node:path";
import { createTables, makeSmallTransactions } from "../backlog.ts";
import { BenchServer } from "../bench_server.ts";
import { drain } from "../drain.ts";
import type { BenchOptions } from "../options.ts";
import { type PutCosts, shardsFor } from "../put_costs.ts";
import { printTable } from "../table.ts";
import { peers } from "./contenders.ts";
import { installPeers } from "./installed.ts";
import type { Peer } from "./peer.ts";
import { drainByPeer, type PeerDrain } from "./peer_drain.ts";
import { loadPeer, type PeerLoad } from "./peer_load.ts";

const TRANSACTIONS_PER_SECOND = 200;
/** For the shards that such changes need. */
const CHANGES_PER_SECOND = 5_000;
/** Enough that a tenth of the changes is more than the original keeps; fewer than make Java's start all. */
const TRANSACTIONS = 20_000;
/** The original puts every 13 s: less would see one of these. */
const LOAD_SECONDS = 30;

const NOT_RUN = [
  "AWS DMS, a service of AWS that cannot be run here",
  "Sequin: its server needs Redis and a build of Elixir, which was not tried",
  "Redpanda Connect: its postgres_cdc input needs an enterprise license",
];

/** Who publishes the same changes how fast, with what, and at what cost in the stream. */
export async function benchPeers(options: BenchOptions): Promise<void> {
  const { installed, missing } = await installPeers(cacheDir());
  const chosen = peers(installed).filter(({ name }) => options.only.test(`peers: ${name}`));
  await using server = await BenchServer.start();
  await createTables(server);

  const slots = chosen.map((_, i) => `peer_${i}`);
  for (const [i, { plugin }] of chosen.entries()) await server.createSlot(slots[i]!, plugin);
  await server.createSlot("peer_recvlogical", "pgoutput");
  const backlog = await makeSmallTransactions(server, TRANSACTIONS);
  const baseline = await drain(
    { kind: "pg_recvlogical", name: "pg_recvlogical", tls: false },
    { server, slot: "peer_recvlogical", plugin: "pgoutput", backlog },
  );
  const problems: string[] = [...missing, ...NOT_RUN];
  const drains: [Peer, PeerDrain][] = [];
  for (const [i, peer] of chosen.entries()) {
    const result = await attempt(problems, () => drainByPeer(peer, server, slots[i]!, backlog));
    if (result !== undefined) drains.push([peer, result]);
    await server.dropSlot(slots[i]!);
  }
  printDrains(backlog.changes, baseline, drains);

  const loads: [Peer, PeerLoad][] = [];
  for (const peer of chosen) {
    const result = await attempt(
      problems,
      () => loadPeer(peer, server, TRANSACTIONS_PER_SECOND, LOAD_SECONDS),
    );
    if (result !== undefined) loads.push([peer, result]);
  }
  printLoads(loads);
  console.log("\nnot run:");
  for (const problem of problems) console.log(`  ${problem}`);
}

async function attempt<T>(problems: string[], measure: () => Promise<T>): Promise<T | undefined> {
  try {
    return await measure();
  } catch (error) {
    problems.push((error as Error).message);
    return undefined;
  }
}

function cacheDir(): string {
  return join(
    Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? ".", ".cache"),
    "pg2kinesis/peers",
  );
}

function printDrains(
  changes: number,
  baseline: { wallSeconds: number; userSeconds: number; systemSeconds: number },
  drains: readonly [Peer, PeerDrain][],
): void {
  const cpu = baseline.userSeconds + baseline.systemSeconds;
  const rows = [
    ["", "changes/s", "first put s", "µs CPU/change", "peak MiB", "puts", ...COST_HEAD],
    [
      "pg_recvlogical, pgoutput, no stream",
      (changes / baseline.wallSeconds).toFixed(0),
      "",
      (cpu / changes * 1e6).toFixed(1),
      ...Array(2 + COST_HEAD.length).fill(""),
    ],
  ];
  for (const [{ name }, result] of drains) {
    rows.push([
      name,
      result.changesPerSecond.toFixed(0),
      result.firstPutSeconds.toFixed(2),
      result.cpuMicrosecondsPerChange.toFixed(1),
      result.peakMebibytes.toFixed(0),
      String(result.puts),
      ...costCells(result.costs),
    ]);
  }
  console.log(
    `\na backlog of ${changes.toLocaleString("en")} changes, drained by one after the other`,
  );
  printTable(rows);
}

function printLoads(loads: readonly [Peer, PeerLoad][]): void {
  // How many shards it takes would say nothing: a stream under more load has fuller records.
  const rows = [["", "p50 s", "p99 s", "CPU share", "peak MiB", ...COST_HEAD.slice(0, -1)]];
  for (const [{ name }, result] of loads) {
    rows.push([
      name,
      result.p50Seconds.toFixed(4),
      result.p99Seconds.toFixed(4),
      `${(result.cpuShare * 100).toFixed(1)} %`,
      result.peakMebibytes.toFixed(0),
      ...costCells(result.costs).slice(0, -1),
    ]);
  }
  console.log(
    `\n${TRANSACTIONS_PER_SECOND} transactions of one row a second, commit to answered put`,
  );
  printTable(rows);
}

const COST_HEAD = [
  "bytes/change",
  "records/1000",
  "25 KB units/1000",
  "on-demand KB/1000",
  `shards at ${CHANGES_PER_SECOND}/s`,
];

/** For each 1,000 changes. */
function costCells(costs: PutCosts): string[] {
  const perThousand = (value: number) => (value / costs.userRecords * 1000).toFixed(1);
  return [
    (costs.bytes / costs.userRecords).toFixed(0),
    perThousand(costs.kinesisRecords),
    perThousand(costs.payloadUnits),
    perThousand(costs.onDemandKilobytes),
    String(shardsFor(costs, CHANGES_PER_SECOND)),
  ];
}
