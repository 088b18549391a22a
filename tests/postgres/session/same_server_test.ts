import { assertEquals, assertThrows } from "@std/assert";
import type { Lsn } from "../../../src/base/lsn.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import type { ServerIdentity } from "../../../src/postgres/session/replication_session.ts";
import { Timelines } from "../../../src/base/timelines.ts";
import { readSlotRow } from "../../../src/postgres/slot/slot_row.ts";
import { whereToGoOn } from "../../../src/postgres/session/same_server.ts";

const OPTIONS = {
  name: "s",
  plugin: "pgoutput",
  create: false,
  recreate: false,
  failover: false,
  backfill: false,
  standby: false,
  silenceMs: 0,
  publications: [],
  createPublication: false,
  partitionRoot: false,
} as const;

function goOn(walEnd: Lsn, isStandby = false) {
  const server: ServerIdentity = {
    systemId: "1",
    timeline: 1,
    timelines: Timelines.only(1),
    walEnd,
    version: 180000,
    walSenderTimeoutMs: 60_000,
    isStandby,
    senderPid: 1,
  };
  const slot = readSlotRow({
    plugin: "pgoutput",
    database: "d",
    slot_type: "logical",
    active: "f",
    ...{ active_pid: null, confirmed_flush_lsn: null },
  });
  return whereToGoOn("here:5432", server, slot, {
    options: OPTIONS,
    database: "d",
    before: server,
    receivedLsn: 0x100n,
    confirmedLsn: 0x80n,
    isInTransaction: false,
    wasTaken: false,
    heldBy: () => {
      throw new Error("nobody holds it");
    },
  });
}

Deno.test("whereToGoOn refuses a primary whose WAL ends before what was received from it", () => {
  assertEquals(goOn(0x100n), { lsn: 0x100n, branch: undefined });
  const error = assertThrows(
    () => goOn(0xFFn),
    PostgresError,
    "ends at 0/FF now, before 0/100",
  );
  assertEquals(error.transient, false);
});

Deno.test("whereToGoOn lets a standby replay anew what it had replayed before", () => {
  assertEquals(goOn(0xFFn, true), { lsn: 0x100n, branch: undefined });
});
