import { type Lsn, parseLsn } from "../../base/lsn.ts";
import type { Connection } from "../connection/connection.ts";
import { lsnOf, numberOf, type TextRow } from "../connection/text_row.ts";

/** How the server sees the slot at a moment. */
export interface SlotState {
  /** End of the server's WAL; on a standby, of what it has replayed. */
  readonly walEnd: Lsn;
  /** The server's clock, in milliseconds since 1970. */
  readonly serverMs: number;
  /** Bytes of WAL that the slot keeps the server from removing; undefined where there is no slot. */
  readonly retainedBytes: number | undefined;
  /**
   * Bytes of WAL that may still be written before the slot can be lost; undefined without
   * `max_slot_wal_keep_size`, and before PostgreSQL 13.
   */
  readonly safeWalBytes: number | undefined;
  /** `reserved`, `extended`, `unreserved` or `lost`; undefined before PostgreSQL 13. */
  readonly walStatus: string | undefined;
}

/** Gives one row, also where there is no such slot; any role may ask. */
export const SLOT_STATE_QUERY = `
  SELECT now.lsn::pg_catalog.text AS wal_end, s.*,
         (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())
           OPERATOR(pg_catalog.*) 1000)::pg_catalog.text AS server_ms,
         pg_catalog.pg_wal_lsn_diff(now.lsn, s.restart_lsn)::pg_catalog.int8::pg_catalog.text AS retained
    FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) now
    LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name OPERATOR(pg_catalog.=) $1`;

/** Reads the row of {@linkcode SLOT_STATE_QUERY}. */
export function readSlotState(row: TextRow): SlotState {
  const { wal_end, server_ms, retained, safe_wal_size, wal_status } = row;
  return {
    walEnd: parseLsn(wal_end!),
    serverMs: Number(server_ms),
    retainedBytes: numberOf(retained),
    safeWalBytes: numberOf(safe_wal_size),
    walStatus: wal_status ?? undefined,
  };
}

/** Bytes of WAL between what the slot has confirmed and the end; undefined where it says neither. */
export async function unreadBytes(
  connection: Connection,
  slotName: string,
): Promise<number | undefined> {
  const [row] = await connection.query("ask what the slot has not read", SLOT_STATE_QUERY, [
    slotName,
  ]);
  const [walEnd, confirmed] = [lsnOf(row?.wal_end), lsnOf(row?.confirmed_flush_lsn)];
  if (walEnd === undefined || confirmed === undefined) return undefined;
  return Math.max(0, Number(walEnd - confirmed));
}
