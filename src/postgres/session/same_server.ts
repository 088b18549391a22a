import { getLogger } from "@logtape/logtape";
import { formatLsn, type Lsn } from "../../base/lsn.ts";
import type { SlotOptions } from "../../options.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import type { ServerIdentity } from "./replication_session.ts";
import { slotProblem } from "../slot/slot_problem.ts";
import type { SlotRow } from "../slot/slot_row.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** What a source has of the slot when it connects again. */
export interface Progress {
  readonly options: SlotOptions;
  readonly database: string;
  readonly before: ServerIdentity;
  /** The last thing received whole. */
  readonly receivedLsn: Lsn;
  /** The greatest that was ever confirmed, by us or before us. */
  readonly confirmedLsn: Lsn;
  readonly isInTransaction: boolean;
  /** Another client was seen to hold the slot in the meantime. */
  readonly wasTaken: boolean;
  /** Throws what follows from a process of the server holding the slot. */
  readonly heldBy: (pid: number) => never;
}

export interface GoOn {
  /** For START_REPLICATION. */
  readonly lsn: Lsn;
  /**
   * The server's history left that of the one before here: what was received behind it is not in this
   * one, and no LSN behind it means what it meant.
   */
  readonly branch: Lsn | undefined;
}

/** The slot is another client's, and what was read from it is that one's to publish. */
export const SLOT_TAKEN = "55006";

/**
 * Another client followed the slot, or may have, since this one did. It began at what was confirmed, so it may
 * have stored again what this run stored before, and have ended in the middle of that: whoever follows the
 * slot next begins there too, and brings the rest.
 */
export class SlotInDoubt extends PostgresError {
  constructor(message: string) {
    super(message, { transient: false, code: SLOT_TAKEN });
  }
}

/**
 * Checks that what answers now is what answered before, with all that was not received yet; gives
 * the LSN to go on from. `place` names the server for a person.
 * @throws {PostgresError} that says what was lost; with the code {@linkcode SLOT_TAKEN} when another
 * client has moved the slot; transient when this server may yet become what it was before.
 */
export function whereToGoOn(
  place: string,
  now: ServerIdentity,
  slot: SlotRow | undefined,
  progress: Progress,
): GoOn {
  const { before, receivedLsn, confirmedLsn, options } = progress;
  const name = JSON.stringify(options.name);
  const lost = (message: string, code?: string) =>
    new PostgresError(message, { transient: false, code });
  if (now.systemId !== before.systemId) {
    throw lost(
      `${place} is another database cluster now (system identifier ${now.systemId}, ` +
        `before ${before.systemId}); its slot ${name} does not continue ours: fill the gap from ` +
        "the tables and start again",
    );
  }
  if (now.isStandby && !before.isStandby) {
    throw new PostgresError(
      `${place} is a standby; the slot ${name} was followed on a primary, and is again when there ` +
        "is one",
      { transient: true },
    );
  }
  if (slot === undefined) {
    throw lost(
      `the slot ${name} is gone from ${place}: it was dropped while the connection was lost, and ` +
        `changes after ${
          formatLsn(receivedLsn)
        } cannot be read; create it with --create-slot and ` +
        "fill the gap from the tables",
    );
  }
  if (slot.plugin !== options.plugin) {
    throw lost(
      `the slot ${name} was recreated with plugin ${slot.plugin} while the connection was lost: ` +
        `changes after ${formatLsn(receivedLsn)} may be missing; recreate it with ` +
        `--recreate-slot, or follow it with --pg-slot-output-plugin ${slot.plugin}, and fill the ` +
        "gap from the tables",
    );
  }
  const server = { database: progress.database, isStandby: now.isStandby };
  const problem = slotProblem(slot, server, options);
  if (problem !== undefined && !problem.transient) {
    throw lost(`${problem.found}; ${problem.advice}`);
  }
  if (slot.isActive) progress.heldBy(slot.activePid!);
  const slotLsn = slot.confirmedFlushLsn ?? 0n;
  if (slotLsn > confirmedLsn) {
    const gap = `${formatLsn(confirmedLsn)} and ${formatLsn(slotLsn)}`;
    if (progress.wasTaken) {
      throw lost(
        `the slot ${name} was moved by another client while the connection was lost: that one has ` +
          `what lies between ${gap}; start again to continue from there`,
        SLOT_TAKEN,
      );
    }
    if (options.standby) {
      // The other host may have come and gone unseen. One that takes over knows no more of the slot either.
      throw lost(
        `the slot ${name} was moved while the connection was lost, as by another host with --standby, ` +
          `which then has what lies between ${gap}; if none has, fill that gap from the tables`,
        SLOT_TAKEN,
      );
    }
    throw lost(
      `the slot ${name} was recreated or moved by another client while the connection was lost: ` +
        `changes between ${gap} may be missing; fill the gap from the tables and start again`,
    );
  }
  const branch = now.timelines.partsFrom(before.timelines);
  if (branch === "nowhere") {
    // A primary sends nothing that it could lose in a crash. A standby replays again.
    if (!now.isStandby && now.walEnd < receivedLsn) {
      throw lost(
        `the WAL of ${place} ends at ${formatLsn(now.walEnd)} now, before ` +
          `${formatLsn(receivedLsn)}, up to which changes were received: it was restored to an ` +
          "earlier state, and the stream has changes that it lost; compare them and start again",
      );
    }
    return { lsn: receivedLsn, branch: undefined };
  }

  const found = now.timeline === before.timeline
    ? `${place} is on another timeline ${now.timeline} than the server before`
    : `${place} went from timeline ${before.timeline} to ${now.timeline}`;
  if (branch === undefined) {
    throw lost(
      `${found}, which do not descend from one another: it is another server's history, and the ` +
        "stream has changes that are not in it; compare them and start again",
    );
  }
  const at = `${found}, which parted at ${formatLsn(branch)}`;
  if (receivedLsn <= branch) {
    logger.info("{found}; everything received is in it", { found: at });
    return { lsn: receivedLsn, branch };
  }
  const range = `${formatLsn(branch)} to ${formatLsn(receivedLsn)}`;
  if (confirmedLsn > branch) {
    throw lost(
      `${at}, before ${
        formatLsn(confirmedLsn)
      }, which was confirmed: the database lost its WAL from ` +
        `${range} in the failover, and the stream has changes of it; compare them and start again`,
    );
  }
  if (progress.isInTransaction) {
    throw lost(
      `${at}: the database lost its WAL from ${range} in the failover, and with it a transaction ` +
        `received in part; start again: the slot continues from ${formatLsn(confirmedLsn)} and ` +
        "nothing is lost",
    );
  }
  logger.warn(
    "{found}: the database lost its WAL from {from} to {to} in the failover; transactions of it that are " +
      "in the stream stay there, and JSON names them by the timeline that was left, {timeline}",
    {
      found: at,
      from: formatLsn(branch),
      to: formatLsn(receivedLsn),
      timeline: before.timelines.at(branch),
    },
  );
  return { lsn: branch, branch };
}
