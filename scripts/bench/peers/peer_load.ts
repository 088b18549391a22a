import { processUsage } from "../process_usage.ts";
import type { PutCosts } from "../put_costs.ts";
import { Sink } from "../sink.ts";
import { quantile } from "../statistics.ts";
import { latenciesOf, pgbench, readStoredTimes, WARM_UP_SECONDS } from "../steady_load.ts";
import type { BenchServer } from "../bench_server.ts";
import { untilStored } from "./peer_drain.ts";
import type { Peer } from "./peer.ts";

export interface PeerLoad {
  /** From the commit to the answer to the put, of the changes that were stored while the load went on. */
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  /** CPU seconds for each second of the load. */
  readonly cpuShare: number;
  readonly peakMebibytes: number;
  readonly costs: PutCosts;
}

/** Transactions of one row at random moments, followed as they come. */
export async function loadPeer(
  peer: Peer,
  server: BenchServer,
  transactionsPerSecond: number,
  seconds: number,
): Promise<PeerLoad> {
  const slot = "peer_load";
  await server.createSlot(slot, peer.plugin);
  try {
    await using sink = await Sink.start(1, { keep: true, count: true });
    await using running = await peer.start({ server, slot, sink });
    await server.waitForActive(slot, () => {
      const ended = running.ended();
      if (ended !== undefined) throw new Error(`${peer.name} ended: ${ended}`);
    });
    const before = processUsage(running.pid);
    const total = seconds + WARM_UP_SECONDS;
    await pgbench(server, transactionsPerSecond, total);
    const ended = running.ended();
    if (ended !== undefined) throw new Error(`${peer.name} ended: ${ended}`);
    const after = processUsage(running.pid);
    // What the original still holds is not waited for.
    await untilStored(sink, running, peer, 1);
    const storedAt = readStoredTimes(await sink.puts());
    const latencies = await latenciesOf(server, storedAt, WARM_UP_SECONDS);
    return {
      p50Seconds: quantile(latencies, 0.5) / 1000,
      p99Seconds: quantile(latencies, 0.99) / 1000,
      cpuShare: (after.userSeconds + after.systemSeconds - before.userSeconds -
        before.systemSeconds) / total,
      peakMebibytes: after.peakMebibytes,
      costs: (await sink.arrivals()).costs,
    };
  } finally {
    await server.dropSlot(slot);
  }
}
