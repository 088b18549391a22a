import { FAILOVER_VERSION } from "../postgres/slot/prepare_slot.ts";
import { unreadBytes } from "../postgres/slot/slot_state.ts";
import { foreignSlot, missingSlot, slotProblem } from "../postgres/slot/slot_problem.ts";
import { findSlot, type SlotRow } from "../postgres/slot/slot_row.ts";
import type { Remedy } from "../base/problem.ts";
import type { ServerContext } from "./server_context.ts";
import { formatBytes } from "../base/quantity.ts";

/** What a run would do about its slot. */
export interface SlotPlan {
  readonly existing: SlotRow | undefined;
  /** What exists is of this database and this plugin, and so most likely this run's own. */
  readonly isOwn: boolean;
  /** It would make one. */
  readonly makes: boolean;
}

export async function slotPlan(
  { connection, facts, options: { slot } }: ServerContext,
): Promise<SlotPlan> {
  const existing = await findSlot(connection, slot.name);
  return {
    existing,
    isOwn: existing?.plugin === slot.plugin && existing.database === facts.database,
    makes: slot.recreate || (existing === undefined && slot.create),
  };
}

/** Less than this of `max_slot_wal_keep_size` left is worth a remark. */
const LOW_WAL = 0.25;

export async function checkSlot(context: ServerContext, plan: SlotPlan): Promise<void> {
  const { findings, facts, connection, options: { slot } } = context;
  const { existing, makes } = plan;
  const name = JSON.stringify(slot.name);
  checkFailover(context, plan);
  if (makes && existing === undefined) {
    findings.ok("slot", `there is no slot ${name}; a run creates it`);
    return await checkRoom(context);
  }
  if (existing === undefined) {
    const { found, remedy } = missingSlot(slot, connection);
    findings.stop("slot", found, remedy);
    return await checkRoom(context);
  }
  const problem = slotProblem(existing, facts, slot);
  if (makes && problem?.transient !== true && foreignSlot(existing, facts, slot) === undefined) {
    const unread = await unreadBytes(connection, slot.name);
    const amount = unread === undefined ? "" : `, with ${formatBytes(unread)} of WAL to read`;
    findings.warn(
      "slot",
      `--recreate-slot drops the slot ${name}${amount}, at every start: leave it out of a command that ` +
        "is started again and again; what the slot had not yet published is lost",
    );
    return;
  }
  if (problem?.transient === true && slot.standby) {
    findings.ok("slot", `${problem.found}; a run waits for it (--standby)`);
  } else if (problem !== undefined) findings.stop("slot", problem.found, problem.remedy);
  else findings.ok("slot", `${name} with plugin ${existing.plugin}, not in use`);
  await checkRetainedWal(context, existing);
}

/** `--slot-failover`: a slot that is made can be one from 17 on, one that is there by hand. */
function checkFailover({ findings, facts, options }: ServerContext, plan: SlotPlan): void {
  const { slot, postgres } = options;
  if (!slot.failover) return;
  if (facts.version < FAILOVER_VERSION) {
    const report = plan.makes ? "stop" : "warn";
    return findings[report](
      "slot_failover",
      `PostgreSQL ${facts.versionName} has no failover slots, which came with 17`,
      { kind: "options", options: "--no-slot-failover" },
    );
  }
  if (plan.makes || plan.existing?.isFailover) {
    return findings.ok("slot_failover", "standbys can keep a copy of the slot");
  }
  if (plan.existing === undefined) return;
  // In a URL no character of a name can end a word of the shell or of libpq.
  const database = encodeURIComponent(postgres.database).replaceAll("'", "%27");
  findings.warn("slot_failover", "the slot exists but is no failover slot", {
    kind: "command",
    command: `psql 'postgresql:///${database}?replication=database' ` +
      `-c 'ALTER_REPLICATION_SLOT "${slot.name}" (FAILOVER true)'`,
  });
}

/** A slot more must fit. */
async function checkRoom({ connection, findings }: ServerContext): Promise<void> {
  const [row] = await connection.query(
    "count the replication slots",
    `SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots)::pg_catalog.text AS used,
            pg_catalog.current_setting('max_replication_slots') AS max,
            (SELECT pg_catalog.string_agg(s.slot_name, ', ') FROM pg_catalog.pg_replication_slots s
              WHERE NOT s.active) AS idle`,
  );
  const used = Number(row!.used);
  const max = Number(row!.max);
  if (used < max) return findings.ok("slots_left", `${used} of ${max} slots are taken`);
  const idle = row!.idle ? ` (not in use: ${row!.idle})` : "";
  findings.stop("slots_left", `all ${max} replication slots are taken${idle}`, {
    kind: "sql",
    statements: [`ALTER SYSTEM SET max_replication_slots = ${max + 10};`],
    then: "restart the server",
  });
}

async function checkRetainedWal(
  context: ServerContext,
  existing: SlotRow,
): Promise<void> {
  const { connection, findings, options: { slot } } = context;
  const [row] = await connection.query(
    "ask what the slot retains",
    `SELECT pg_catalog.pg_wal_lsn_diff(now.lsn, s.restart_lsn)::pg_catalog.int8::pg_catalog.text AS retained,
            pg_catalog.pg_wal_lsn_diff(now.lsn, s.confirmed_flush_lsn)::pg_catalog.int8::pg_catalog.text AS behind
       FROM pg_catalog.pg_replication_slots s,
            (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) now
      WHERE s.slot_name OPERATOR(pg_catalog.=) $1`,
    [slot.name],
  );
  if (row?.retained === null || row?.retained === undefined) return;
  const retained = Number(row.retained);
  checkMaxLag(context, retained);
  const { walStatus: status, safeWalBytes: safe } = existing;
  const left = safe === undefined
    ? ""
    : `; it is lost after ${formatBytes(Math.max(0, safe))} more`;
  const found = `it retains ${formatBytes(retained)} of WAL (wal_status ${status ?? "unknown"}), ` +
    `${formatBytes(Number(row.behind ?? 0))} to read${left}`;
  const isLow = safe !== undefined && safe < LOW_WAL * (safe + retained);
  if (status !== "unreserved" && status !== "lost" && !isLow) {
    return findings.ok("slot_wal", found);
  }
  const enoughMib = Math.ceil((retained * 4) / (1024 * 1024));
  findings.warn("slot_wal", found, {
    kind: "sql",
    statements: [
      `ALTER SYSTEM SET max_slot_wal_keep_size = '${enoughMib}MB';`,
      "SELECT pg_catalog.pg_reload_conf();",
    ],
  });
}

/** `--max-lag-bytes` and what has piled up already. */
function checkMaxLag({ findings, options: { telemetry } }: ServerContext, retained: number): void {
  const { maxLagBytes, onMaxLag } = telemetry;
  if (maxLagBytes === undefined || retained <= maxLagBytes) return;
  const found = `the slot keeps ${formatBytes(retained)} of WAL, more than the ` +
    `${formatBytes(maxLagBytes)} of --max-lag-bytes`;
  const enoughMib = Math.ceil((retained * 2) / (1024 * 1024));
  const remedy: Remedy = { kind: "options", options: `--max-lag-bytes ${enoughMib}MB` };
  if (onMaxLag === "stop") findings.stop("max_lag", `${found}, which stops the run`, remedy);
  else findings.warn("max_lag", found, remedy);
}
