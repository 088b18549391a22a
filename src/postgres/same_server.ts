import { formatLsn, type Lsn, parseLsn } from "../lsn.ts";
import type { Connection } from "./connection.ts";
import { PostgresError } from "./postgres_error.ts";
import type { ServerIdentity } from "./replication_session.ts";

/** What a source has of the slot when it connects again. */
export interface Progress {
  readonly slotName: string;
  readonly before: ServerIdentity;
  /** The last thing received whole. */
  readonly receivedLsn: Lsn;
  /** The greatest that was ever confirmed, by us or before us. */
  readonly confirmedLsn: Lsn;
  readonly isInTransaction: boolean;
}

/**
 * Checks that what answers now is what answered before, with all that was not received yet; gives
 * the LSN to go on from.
 * @throws {PostgresError} that says what was lost.
 */
export async function whereToGoOn(
  connection: Connection,
  now: ServerIdentity,
  progress: Progress,
): Promise<Lsn> {
  const { before, receivedLsn, confirmedLsn } = progress;
  const slot = JSON.stringify(progress.slotName);
  const lost = (message: string) => new PostgresError(message, { transient: false });
  if (now.systemId !== before.systemId) {
    throw lost(
      `${connection.place} is another database cluster now (system identifier ${now.systemId}, ` +
        `before ${before.systemId}); its slot ${slot} does not continue ours: fill the gap from ` +
        "the tables and start again",
    );
  }
  if (now.slotConfirmedLsn === undefined) {
    throw lost(
      `the slot ${slot} is gone from ${connection.place}: it was dropped while the connection was ` +
        `lost, and changes after ${formatLsn(receivedLsn)} cannot be read; create it with ` +
        "--create-slot and fill the gap from the tables",
    );
  }
  if (now.slotConfirmedLsn > confirmedLsn) {
    throw lost(
      `the slot ${slot} was made anew or moved by another client while the connection was lost: ` +
        `changes between ${formatLsn(confirmedLsn)} and ${
          formatLsn(now.slotConfirmedLsn)
        } may be ` +
        "missing; fill the gap from the tables and start again",
    );
  }
  if (now.timeline === before.timeline) return receivedLsn;

  const branch = await branchPoint(connection, before.timeline, now.timeline);
  if (branch !== undefined && receivedLsn <= branch) return receivedLsn;
  const found = `${connection.place} went from timeline ${before.timeline} to ${now.timeline}` +
    (branch === undefined ? ", which does not descend from it" : ` at ${formatLsn(branch)}`);
  if (branch === undefined || confirmedLsn > branch) {
    throw lost(
      `${found}, behind ${formatLsn(confirmedLsn)}, which was confirmed: the stream has changes ` +
        "that the database lost in the failover; compare them and start again",
    );
  }
  if (progress.isInTransaction) {
    throw lost(
      `${found}, and a transaction received by half is not in it; start again: the slot goes on ` +
        `from ${formatLsn(confirmedLsn)} and nothing is lost`,
    );
  }
  // What was received behind the branch is not in this history; what is there now comes instead.
  return confirmedLsn;
}

/**
 * Where the history of `timeline` left `earlier`; undefined when it never was on it.
 * https://www.postgresql.org/docs/current/protocol-replication.html, TIMELINE_HISTORY
 */
async function branchPoint(
  connection: Connection,
  earlier: number,
  timeline: number,
): Promise<Lsn | undefined> {
  const [row] = await connection.query(
    `read the history of timeline ${timeline}`,
    `TIMELINE_HISTORY ${timeline}`,
  );
  return findBranch(decodeBytea(row!.content!), earlier);
}

/** Lines of a history file: parent timeline, LSN of the switch, reason. */
export function findBranch(history: string, earlier: number): Lsn | undefined {
  for (const line of history.split("\n")) {
    const [parent, lsn] = line.trim().split(/\s+/);
    if (parent === String(earlier) && lsn !== undefined) return parseLsn(lsn);
  }
  return undefined;
}

/** The content is sent as text bytes under bytea's type; older servers print it as hex. */
function decodeBytea(text: string): string {
  if (!text.startsWith("\\x")) return text;
  const bytes = text.slice(2).match(/../g)?.map((hex) => parseInt(hex, 16)) ?? [];
  return new TextDecoder().decode(new Uint8Array(bytes));
}
