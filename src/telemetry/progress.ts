import { getLogger } from "@logtape/logtape";
import { formatLsn, type Lsn } from "../lsn.ts";

const INTERVAL_MS = 10_000;

/** What a run has done so far; the stages count, the progress line reads. */
export class Progress {
  /** Row changes, truncations and logical messages received. */
  changes = 0;
  /** Bytes of the output plugin's messages. */
  bytes = 0;
  /** Changes left out by a filter or a policy. */
  skipped = 0;
  transactions = 0;
  /** Of the last transaction that began. */
  xid = 0;
}

/** What the progress line tells beside the counts. */
export interface Position {
  readonly flushLsn: Lsn;
  readonly receivedLsn: Lsn;
  readonly pendingBytes: number;
}

/** Logs a line every ten seconds, as the original did. Returns what stops it. */
export function reportProgress(progress: Progress, position: () => Position): () => void {
  const logger = getLogger(["pg2kinesis", "progress"]);
  let before = { ...progress };
  const timer = setInterval(() => {
    const { flushLsn, receivedLsn, pendingBytes } = position();
    logger.info(
      "xid {xid}: {changes} changes ({mebibytes} MiB) in {seconds} s, {total} in all; " +
        "confirmed {confirmed}, behind by {behind} bytes, {pending} bytes waiting for Kinesis",
      {
        xid: progress.xid,
        changes: progress.changes - before.changes,
        mebibytes: ((progress.bytes - before.bytes) / 1048576).toFixed(1),
        seconds: INTERVAL_MS / 1000,
        total: progress.changes,
        confirmed: formatLsn(flushLsn),
        behind: (receivedLsn > flushLsn ? receivedLsn - flushLsn : 0n).toString(),
        pending: pendingBytes,
      },
    );
    before = { ...progress };
  }, INTERVAL_MS);
  return () => clearInterval(timer);
}
