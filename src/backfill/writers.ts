import type { TextRow } from "../postgres/connection/text_row.ts";
import type { Reader } from "./reader.ts";
import type { TableRead } from "./table_read.ts";

/**
 * Who holds a lock for writing, of tables whose OIDs are given as one array: prepared transactions too. Not
 * SHARE and SHARE UPDATE EXCLUSIVE, under which nothing is written.
 */
const WRITERS_QUERY = `
SELECT l.relation::pg_catalog.text AS oid, l.virtualtransaction AS vxid, l.pid::pg_catalog.text AS pid,
       (SELECT x.transactionid::pg_catalog.text FROM pg_catalog.pg_locks x
         WHERE x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction
           AND x.locktype OPERATOR(pg_catalog.=) 'transactionid' AND x.granted
           AND x.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' LIMIT 1) AS xid
  FROM pg_catalog.pg_locks l
 WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted
   AND l.database OPERATOR(pg_catalog.=)
       (SELECT d.oid FROM pg_catalog.pg_database d
         WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
   AND l.relation OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])
   AND l.mode OPERATOR(pg_catalog.=) ANY
       ('{RowExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'::pg_catalog.text[])`;

/**
 * Waits for nobody, but looks whether those who held a lock for writing at the first look of this epoch are
 * gone (B2). Only then is what they wrote seen by every snapshot. Sets `clearedIn`, and `waiting` of tables
 * that are not.
 */
export async function lookForWriters(
  reader: Reader,
  tables: readonly TableRead[],
  epoch: number,
  nowMs: number,
): Promise<void> {
  const rows = await reader.query("look who writes to tables", WRITERS_QUERY, [
    tables.map(({ oid }) => oid),
  ]);
  const byOid = Map.groupBy(rows, ({ oid }) => Number(oid));
  for (const table of tables) {
    const present = byOid.get(table.oid) ?? [];
    if (present.length > 0 && table.writers?.epoch !== epoch) {
      table.writers = { epoch, holders: new Map(present.map(({ vxid, xid }) => [vxid!, xid])) };
    }
    const { writers } = table;
    const still = present.filter((row) => isOf(writers!.holders, row));
    if (still.length === 0) {
      table.clearedIn = epoch;
      table.writers = undefined;
      table.waiting = undefined;
      continue;
    }
    const [{ pid }] = still as [TextRow];
    const detail = pid === null ? "a prepared transaction" : `process ${pid}`;
    const isSame = table.waiting?.cause === "writer" && table.waiting.detail === detail;
    table.waiting = {
      cause: "writer",
      detail,
      sinceMs: isSame ? table.waiting!.sinceMs : nowMs,
    };
  }
}

/** PREPARE gives a transaction another virtual one on some versions: its xid stays. */
function isOf(holders: Map<string, string | null | undefined>, { vxid, xid }: TextRow): boolean {
  if (holders.has(vxid!)) {
    if (xid) holders.set(vxid!, xid);
    return true;
  }
  return Boolean(xid) && [...holders.values()].includes(xid!);
}
