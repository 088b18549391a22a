import type { Backlog } from "../backlog.ts";
import { processUsage } from "../process_usage.ts";
import type { PutCosts } from "../put_costs.ts";
import { Sink } from "../sink.ts";
import { sleep } from "../../../tests/support/wait.ts";
import type { BenchServer } from "../bench_server.ts";
import type { Peer, RunningPeer } from "./peer.ts";

const POLL_MS = 50;
/** A peer that stores nothing for so long is given up. */
const SILENCE_MS = 120_000;

export interface PeerDrain {
  /** Between the tenth and nine tenths of the changes. */
  readonly changesPerSecond: number;
  /** From its start to the first answered put. */
  readonly firstPutSeconds: number;
  /** Of the process from its start, for each change that was stored. */
  readonly cpuMicrosecondsPerChange: number;
  readonly peakMebibytes: number;
  readonly puts: number;
  /** Of what was stored until it was stopped. */
  readonly costs: PutCosts;
}

/**
 * Drains nine tenths of the backlog: the original keeps its last records until it has a mebibyte of
 * them, or another change comes after 13 s.
 */
export async function drainByPeer(
  peer: Peer,
  server: BenchServer,
  slot: string,
  backlog: Backlog,
): Promise<PeerDrain> {
  await using sink = await Sink.start(1, { count: true });
  const startedAt = performance.timeOrigin + performance.now();
  await using running = await peer.start({ server, slot, sink });
  await untilStored(sink, running, peer, backlog.changes * 0.9);
  const { userSeconds, systemSeconds, peakMebibytes } = processUsage(running.pid);
  const [{ costs, arrivals }, { puts }] = await Promise.all([sink.arrivals(), sink.stats()]);
  const atShare = (share: number) =>
    arrivals.find(([, records]) => records >= backlog.changes * share)!;
  const [from, fromRecords] = atShare(0.1), [to, toRecords] = atShare(0.9);
  return {
    changesPerSecond: (toRecords - fromRecords) / (to - from) * 1000,
    firstPutSeconds: (arrivals[0]![0] - startedAt) / 1000,
    cpuMicrosecondsPerChange: (userSeconds + systemSeconds) / costs.userRecords * 1e6,
    peakMebibytes,
    puts,
    costs,
  };
}

/** Waits until so many user records are stored. */
export async function untilStored(
  sink: Sink,
  running: RunningPeer,
  { name }: Peer,
  userRecords: number,
): Promise<void> {
  let stored = -1;
  let since = performance.now();
  while (true) {
    const { costs } = await sink.arrivals();
    if (costs.userRecords >= userRecords) return;
    const ended = running.ended();
    if (ended !== undefined) throw new Error(`${name} ended: ${ended}`);
    if (costs.userRecords !== stored) {
      stored = costs.userRecords;
      since = performance.now();
    }
    if (performance.now() - since > SILENCE_MS) {
      throw new Error(`${name} stored ${stored} changes, and none for ${SILENCE_MS / 1000} s`);
    }
    await sleep(POLL_MS);
  }
}
