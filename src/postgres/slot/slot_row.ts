import type { Lsn } from "../../base/lsn.ts";
import type { Connection } from "../connection/connection.ts";
import { quoteLiteral } from "../connection/sql_text.ts";
import { isTrue, lsnOf, numberOf, type TextRow } from "../connection/text_row.ts";

/** A slot's row in `pg_replication_slots`. What a server has no column for is undefined or false. */
export interface SlotRow {
  readonly type: string;
  readonly plugin: string | undefined;
  readonly database: string | undefined;
  readonly isTemporary: boolean;
  readonly isActive: boolean;
  /** The server's process that serves it. */
  readonly activePid: number | undefined;
  /** Undefined while it is being made. */
  readonly confirmedFlushLsn: Lsn | undefined;
  /** `reserved`, `extended`, `unreserved` or `lost`; from 13 on. */
  readonly walStatus: string | undefined;
  /** Bytes of WAL that may still be written before it can be lost; undefined: without limit. */
  readonly safeWalBytes: number | undefined;
  readonly isTwoPhase: boolean;
  /** Standbys keep a copy of it. */
  readonly isFailover: boolean;
  /** It is such a copy. */
  readonly isSynced: boolean;
  /** Why it can never be read again. */
  readonly invalidation: string | undefined;
}

/** Undefined for the row of an outer join that found none. */
export function readSlotRow(row: TextRow): SlotRow | undefined {
  if (row.slot_name === null) return undefined;
  return {
    type: row.slot_type!,
    plugin: row.plugin ?? undefined,
    database: row.database ?? undefined,
    isTemporary: isTrue(row.temporary),
    isActive: isTrue(row.active),
    activePid: numberOf(row.active_pid),
    confirmedFlushLsn: lsnOf(row.confirmed_flush_lsn),
    walStatus: row.wal_status ?? undefined,
    safeWalBytes: numberOf(row.safe_wal_size),
    isTwoPhase: isTrue(row.two_phase),
    isFailover: isTrue(row.failover),
    isSynced: isTrue(row.synced),
    invalidation: invalidation(row),
  };
}

function invalidation(row: TextRow): string | undefined {
  if (row.invalidation_reason) return row.invalidation_reason;
  if (isTrue(row.conflicting)) return "it conflicted with recovery";
  return row.wal_status === "lost" ? "its WAL was removed" : undefined;
}

/** Works on any connection: one for replication takes no parameters. */
export async function findSlot(connection: Connection, name: string): Promise<SlotRow | undefined> {
  const [row] = await connection.query(
    `look for the replication slot ${JSON.stringify(name)}`,
    `SELECT * FROM pg_catalog.pg_replication_slots WHERE slot_name OPERATOR(pg_catalog.=) ${
      quoteLiteral(name)
    }`,
  );
  return row && readSlotRow(row);
}
