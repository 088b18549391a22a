import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Lsn } from "../../../src/base/lsn.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import type { ServerIdentity } from "../../../src/postgres/session/replication_session.ts";
import { Timelines } from "../../../src/base/timelines.ts";
import { readSlotRow } from "../../../src/postgres/slot/slot_row.ts";
import { SLOT_TAKEN, whereToGoOn } from "../../../src/postgres/session/same_server.ts";

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

interface Found {
  readonly isStandby?: boolean;
  readonly confirmedBySlot?: string;
  /** `--standby`. */
  readonly standby?: boolean;
}

function goOn(walEnd: Lsn, { isStandby = false, confirmedBySlot, standby = false }: Found = {}) {
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
    ...{ active_pid: null, confirmed_flush_lsn: confirmedBySlot ?? null },
  });
  return whereToGoOn("here:5432", server, slot, {
    options: { ...OPTIONS, standby },
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
  assertEquals(goOn(0xFFn, { isStandby: true }), { lsn: 0x100n, branch: undefined });
});

Deno.test("whereToGoOn takes a slot that moved unseen for another host's, where there is one", () => {
  const moved = (standby: boolean) =>
    assertThrows(() => goOn(0x100n, { confirmedBySlot: "0/90", standby }), PostgresError);
  const alone = moved(false);
  assertEquals([alone.code, alone.transient], [undefined, false]);
  assertStringIncludes(alone.message, "changes between 0/80 and 0/90 may be missing");
  const inPair = moved(true);
  assertEquals([inPair.code, inPair.transient], [SLOT_TAKEN, false]);
  assertStringIncludes(inPair.message, "between 0/80 and 0/90; if none has, fill that gap");
});
