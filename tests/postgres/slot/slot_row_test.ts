import { assertEquals } from "@std/assert";
import { readSlotRow } from "../../../src/postgres/slot/slot_row.ts";

/** As PostgreSQL 10 has it. */
const OLDEST = {
  slot_name: "s",
  plugin: "pgoutput",
  slot_type: "logical",
  datoid: "5",
  database: "d",
  temporary: "f",
  active: "t",
  active_pid: "4711",
  xmin: null,
  catalog_xmin: "731",
  restart_lsn: "0/16B3748",
  confirmed_flush_lsn: "0/16B3780",
};

const READ = {
  type: "logical",
  plugin: "pgoutput",
  database: "d",
  isTemporary: false,
  isActive: true,
  activePid: 4711,
  confirmedFlushLsn: 0x16B3780n,
  walStatus: undefined,
  safeWalBytes: undefined,
  isTwoPhase: false,
  isFailover: false,
  isSynced: false,
  invalidation: undefined,
};

Deno.test("readSlotRow takes a column that the server does not have for one that is not set", () => {
  assertEquals(readSlotRow(OLDEST), READ);
});

Deno.test("readSlotRow reads the columns of younger servers", () => {
  const row = readSlotRow({
    ...OLDEST,
    ...{ active: "f", active_pid: null, temporary: "t", confirmed_flush_lsn: null },
    ...{ wal_status: "extended", safe_wal_size: "-5", two_phase: "t", conflicting: "f" },
    ...{ invalidation_reason: null, failover: "t", synced: "t" },
  });
  assertEquals(row, {
    ...READ,
    ...{ isActive: false, activePid: undefined, isTemporary: true, confirmedFlushLsn: undefined },
    ...{ walStatus: "extended", safeWalBytes: -5 },
    ...{ isTwoPhase: true, isFailover: true, isSynced: true },
  });
});

Deno.test("readSlotRow says why a slot can never be read again, as far as the server tells", () => {
  const why = (columns: Record<string, string>) => readSlotRow({ ...OLDEST, ...columns });
  assertEquals(why({ wal_status: "lost" })?.invalidation, "its WAL was removed");
  assertEquals(
    why({ wal_status: "lost", conflicting: "t" })?.invalidation,
    "it conflicted with recovery",
  );
  assertEquals(
    why({ wal_status: "lost", conflicting: "t", invalidation_reason: "rows_removed" })
      ?.invalidation,
    "rows_removed",
  );
});

Deno.test("readSlotRow knows the row of an outer join that found no slot", () => {
  const nothing = Object.fromEntries(Object.keys(OLDEST).map((name) => [name, null]));
  assertEquals(readSlotRow({ ...nothing, in_recovery: "false" }), undefined);
});
