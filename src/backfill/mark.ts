import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { BackfillState } from "./backfill_state.ts";
import { type DoneMessage, type MarkMessage, MAX_OPEN_TABLES } from "./control_message.ts";

/** Units of a key; a longer one is kept out, so that a mark stays small. */
const MAX_KEY_LENGTH = 4 * 1024;

/** What a run says of itself in a mark: only what is stored up to `storedLsn` (B8, B10). */
export function markMessage(
  state: BackfillState,
  slot: string,
  number: number,
  storedLsn: Lsn,
): MarkMessage {
  const tables = state.tables ?? [];
  for (const table of tables) table.claim(storedLsn);
  const lastBegun = tables.findLast(({ beganMs, outcome }) =>
    beganMs !== undefined || outcome !== undefined
  );
  // What a run before this one said to have ended is none of its tables.
  const known = Math.max(state.ledger.resume.upTo, lastBegun?.oid ?? 0);
  const left = tables.filter((table) => table.oid <= known && !table.hasEndedBy(storedLsn));
  // More than a mark can have, as when partitions were attached: what ended behind them is read again.
  const beyond = left[MAX_OPEN_TABLES];
  return {
    kind: "mark",
    ...position(state, slot, number),
    upTo: beyond === undefined ? known : beyond.oid - 1,
    open: state.tables === undefined
      ? state.ledger.resume.open
      : left.slice(0, MAX_OPEN_TABLES).map(({ oid, name, claimed, hidesKey }) => ({
        oid,
        name,
        after: hidesKey || isLong(claimed.after) ? undefined : claimed.after,
        rows: claimed.rows,
      })),
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
