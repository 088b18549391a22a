import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { BackfillState } from "./backfill_state.ts";
import {
  type DoneMessage,
  type MarkMessage,
  MAX_LEFT_TABLES,
  MAX_OPEN_TABLES,
  type OpenTable,
} from "./control_message.ts";
import { distancesOf } from "./oid_distances.ts";
import type { TableRead } from "./table_read.ts";

/** Units of a key; a longer one is kept out, so that a mark stays small. */
const MAX_KEY_LENGTH = 4 * 1024;

/** Columns that are masked or excluded, by the name that the plugin gives the table. */
export type HiddenOf = (qualifiedName: string) => ReadonlySet<string>;

/**
 * What a run says of itself in a mark: only what is stored up to `storedLsn`, and no value of a column that is
 * hidden (B8, B10).
 */
export function markMessage(
  state: BackfillState,
  slot: string,
  number: number,
  storedLsn: Lsn,
  hiddenOf: HiddenOf,
): MarkMessage {
  const { tables, ledger: { resume } } = state;
  const said = position(state, slot, number);
  if (tables === undefined) {
    const { upTo, open, left, since } = resume;
    return { kind: "mark", ...said, upTo, open, ...further(left, since) };
  }
  for (const table of tables) table.claim(storedLsn);
  const lastBegun = tables.findLast(({ beganMs, outcome }) =>
    beganMs !== undefined || outcome !== undefined
  );
  // What a run before this one said to have ended is none of its tables.
  const known = Math.max(resume.upTo, lastBegun?.oid ?? 0);
  const left = tables.filter((table) => !table.hasEndedBy(storedLsn));
  const begun = left.filter(({ oid }) => oid <= known);
  const open = begun.slice(0, MAX_OPEN_TABLES);
  // More than a mark can have, as when partitions were attached.
  const beyond = begun[MAX_OPEN_TABLES];
  const waiting = new Set(left.map(({ oid }) => oid));
  for (const { oid } of open) waiting.delete(oid);
  return {
    kind: "mark",
    ...said,
    upTo: beyond === undefined ? known : beyond.oid - 1,
    open: open.map((table) => openTable(table, hiddenOf)),
    ...further(waiting, state.since),
  };
}

function openTable({ oid, name, claimed, plan }: TableRead, hiddenOf: HiddenOf): OpenTable {
  const hidden = plan && hiddenOf(plan.relation.qualifiedName);
  const isShown = plan?.key.every((column) => !hidden!.has(column.name)) === true &&
    !isLong(claimed.after);
  return { oid, name, after: isShown ? claimed.after : undefined, rows: claimed.rows };
}

function further(
  left: ReadonlySet<number> | undefined,
  since: number | undefined,
): Pick<MarkMessage, "left" | "since"> {
  const isListed = left !== undefined && left.size <= MAX_LEFT_TABLES;
  return {
    ...isListed ? { left: distancesOf(left) } : {},
    ...since === undefined ? {} : { since },
  };
}

function isLong(after: readonly string[] | undefined): boolean {
  return after !== undefined &&
    after.reduce((sum, { length }) => sum + length, 0) > MAX_KEY_LENGTH;
}

export function doneMessage(
  state: BackfillState,
  slot: string,
  number: number,
  request: string,
): DoneMessage {
  const { requests, ...rest } = position(state, slot, number);
  return {
    kind: "done",
    ...rest,
    requests: requests.filter(({ id }) => id !== request),
    request,
  };
}

function position(state: BackfillState, slot: string, number: number) {
  return {
    slot,
    generation: state.generation,
    run: state.run,
    number,
    taken: formatLsn(state.ledger.taken),
    requests: state.ledger.requests,
  };
}
