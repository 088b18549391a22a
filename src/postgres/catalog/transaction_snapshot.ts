/** Whether a snapshot sees what a transaction did, by its xid of 32 bits, if that was committed. */
export type Snapshot = (xid: number) => boolean;

/**
 * Reads the text of a `txid_snapshot`: `xmin:xmax:xip,xip`. Of two xids the one up to 2^31 ahead is the
 * later one, as in PostgreSQL itself: no server lets older ones stay in use.
 */
export function parseSnapshot(text: string): Snapshot {
  const [, xmax, running] = text.split(":");
  const end = low32(xmax!);
  const inProgress = new Set(running === "" ? [] : running!.split(",").map(low32));
  return (xid) => ((xid - end) | 0) < 0 && !inProgress.has(xid);
}

function low32(xid: string): number {
  return Number(BigInt.asUintN(32, BigInt(xid)));
}
