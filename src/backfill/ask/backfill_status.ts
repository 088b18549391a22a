import type { Connection } from "../../postgres/connection/connection.ts";
import { isReaderOf, parseReaderName, type ReaderName } from "../progress.ts";
import type { FollowedSlot, Follower } from "./followed_slot.ts";

/** How the backfills of a slot go, as any host can see it. */
export interface BackfillStatus {
  readonly slot: string;
  readonly follower: Follower | undefined;
  /** Connections that read; more than one only for a moment. */
  readonly readers: readonly (ReaderName & { readonly pid: string })[];
}

/** A reading connection says by its `application_name`, which every role may see, how far it has come. */
export async function readStatus(
  primary: Connection,
  slot: FollowedSlot,
): Promise<BackfillStatus> {
  return {
    slot: slot.name,
    follower: await slot.follower(),
    readers: await readersOf(primary, slot.name),
  };
}

export async function readersOf(
  primary: Connection,
  slot: string,
): Promise<BackfillStatus["readers"]> {
  const rows = await primary.query(
    "look for connections that read for a backfill",
    `SELECT a.pid::pg_catalog.text AS pid, a.application_name AS name
       FROM pg_catalog.pg_stat_activity a
      WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        AND a.application_name OPERATOR(pg_catalog.~) '^[0-9?]+% backfill '
      ORDER BY a.pid`,
  );
  return rows.flatMap(({ pid, name }) => {
    const reader = parseReaderName(name!);
    return reader !== undefined && isReaderOf(slot, reader) ? [{ ...reader, pid: pid! }] : [];
  });
}

const WAITING: Readonly<Record<Exclude<ReaderName["doing"], "reading">, string>> = {
  writer: "waits for a transaction that wrote to",
  behind: "waits until the run has caught up, before",
  kinesis: "waits for Kinesis, before",
  lock: "waits for a lock on",
  rate: "keeps to --backfill-rate, before",
  connection: "waits for a connection, before",
};

/** `reading public.orders`. */
export function doingOf({ doing, table }: ReaderName): string {
  const what = doing === "reading" ? "reading" : WAITING[doing];
  return `${what} ${table === "" ? "the tables" : table}`;
}

export function renderStatus({ slot, follower, readers }: BackfillStatus): string {
  const name = JSON.stringify(slot);
  if (readers.length > 0) {
    return readers.map((reader) =>
      `${reader.percentage === undefined ? "how far is not known" : `${reader.percentage} %`}: ${
        doingOf(reader)
      } (slot ${name}, the server's process ${reader.pid})\n`
    ).join("");
  }
  return follower === undefined
    ? `no run follows the slot ${name}; a backfill that was asked for, or has begun, waits for one\n`
    : `the run that follows the slot ${name} reads no table now\n`;
}

/**
 * One object:
 *
 *     {"slot":"shop","followed":true,
 *      "readers":[{"percentage":42,"doing":"reading","table":"public.orders","pid":4711}]}
 *
 * `percentage` is null where it is not known. `doing` is `reading`, or what is waited for: writer, behind,
 * kinesis, lock, rate or connection.
 */
export function renderStatusJson({ slot, follower, readers }: BackfillStatus): string {
  return JSON.stringify({
    slot,
    followed: follower !== undefined,
    readers: readers.map(({ percentage, doing, table, pid }) => ({
      ...{ percentage: percentage ?? null, doing, table },
      pid: Number(pid),
    })),
  }) + "\n";
}
