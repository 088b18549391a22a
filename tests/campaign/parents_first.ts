import type { DumpedShard } from "./fault_server_process.ts";

/** Every shard behind all of its parents. */
export function parentsFirst(shards: readonly DumpedShard[]): DumpedShard[] {
  const waiting = new Map(shards.map((shard) => [shard.id, shard]));
  const ordered: DumpedShard[] = [];
  const visit = (id: string) => {
    const shard = waiting.get(id);
    if (shard === undefined) return;
    waiting.delete(id);
    shard.parents.forEach(visit);
    ordered.push(shard);
  };
  for (const { id } of shards) visit(id);
  return ordered;
}
