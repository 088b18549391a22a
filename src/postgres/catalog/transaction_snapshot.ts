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
  return (xid) => isOlder(xid, end) && !inProgress.has(xid);
}

/** The `xmin` of such a text: all older transactions have ended. */
export function oldestRunning(text: string): number {
  return low32(text.split(":")[0]!);
}

/** As PostgreSQL compares xids, which wrap around: `TransactionIdPrecedes`. */
export function isOlder(xid: number, other: number): boolean {
  return ((xid - other) | 0) < 0;
}

function low32(xid: string): number {
  return Number(BigInt.asUintN(32, BigInt(xid)));
}
