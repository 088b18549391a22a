// @ts-types="@types/pg"
import pg from "pg";
import { PLUGINS } from "../../decode/plugins.ts";
import type { SlotOptions } from "../../options.ts";
import type { Connection } from "../connection/connection.ts";
import { describe, failed, isTransient, PostgresError } from "../connection/postgres_error.ts";
import { explainSlotFailure } from "../slot/slot_failure.ts";
import { slotProblem } from "../slot/slot_problem.ts";
import { findSlot } from "../slot/slot_row.ts";
import { quoteLiteral } from "../connection/sql_text.ts";

/**
 * Why a connection that followed the slot is gone: lost, or ended by what the server could not decode.
 * The latter comes again at every start; what was asked was the next change, so no advice here drops
 * or makes anything.
 */
export function explainLostStream(
  cause: unknown,
  place: string,
  slot: SlotOptions,
): PostgresError {
  const name = JSON.stringify(slot.name);
  if (!(cause instanceof pg.DatabaseError) || isTransient(cause)) {
    return failed(`the connection to ${place} that followed the slot ${name} is lost`, cause);
  }
  // The server's own words of where it was, with the LSN and whatever else it knows.
  const where = cause.where?.replace(/\s*[\r\n]+\s*/g, "; ").trim();
  const found = `${place} cannot decode the next change of the slot ${name}: ${describe(cause)}` +
    (where ? `, in: ${where}` : "");
  const advice = adviceFor(cause, slot);
  return new PostgresError(advice === undefined ? found : `${found}; ${advice}`, {
    transient: false,
    cause,
  });
}

/** What a slot answers that cannot be read any more, and a server that does not decode. */
const OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";

/** Why START_REPLICATION was refused. The slot's own row says whether it can still be read. */
export async function explainRefusedStart(
  cause: unknown,
  connection: Connection,
  { isStandby }: { readonly isStandby: boolean },
  slot: SlotOptions,
): Promise<PostgresError> {
  const doing = `cannot follow the slot ${JSON.stringify(slot.name)}`;
  const refused = explainSlotFailure(failed(doing, cause), "start", slot);
  if (refused.code !== OBJECT_NOT_IN_PREREQUISITE_STATE) return refused;
  const row = await findSlot(connection, slot.name).catch(() => undefined);
  const problem = row && slotProblem(row, { database: row.database!, isStandby }, slot);
  if (problem === undefined) return refused;
  return new PostgresError(`${refused.message}; ${problem.found}; ${problem.advice}`, {
    transient: refused.transient,
    cause,
  });
}

/** elog() of the memory contexts: a request of more than 1 GB. */
const MEMORY_CONTEXTS = "mcxt.c";

const NOTHING_LOST = "Nothing is lost while the slot is there, and every start stops here";

/** The section of docs/operating.md that was tried for these. */
const SKIP_ONE = 'docs/operating.md, "A change that cannot be decoded"';

function adviceFor(
  { code, file }: pg.DatabaseError,
  { name, plugin }: SlotOptions,
): string | undefined {
  switch (code) {
    case "42704":
      if (!PLUGINS[plugin].usesPublications) return undefined;
      // The catalog is read as it was at the change.
      return "when this change was made that publication was not there, even if one of its name is now. " +
        `${NOTHING_LOST}: give a publication that is older with --pg-publication, or read on with a copy ` +
        "of the slot whose plugin needs none (run SELECT pg_catalog.pg_copy_logical_replication_slot(" +
        `${quoteLiteral(name)}, ${
          quoteLiteral(`${name}_copy`)
        }, false, 'test_decoding') and start with ` +
        `--pg-slot-name ${name}_copy --pg-slot-output-plugin test_decoding; it knows no publication, so ` +
        "keep rows and columns back by --exclude-table and --exclude-column)";
    case "54000":
      return tooLarge();
    case "XX000":
      return file === MEMORY_CONTEXTS ? tooLarge() : undefined;
    case "22021":
    case "22P05":
      return "the change has bytes that cannot be converted from the database's encoding to UTF8. " +
        `${NOTHING_LOST}: correct the row by an UPDATE, which is published, and then move the slot past ` +
        `the transaction that cannot be converted (${SKIP_ONE})`;
    case "58P01":
      return "the server does not have a file that the slot needs; where pg2kinesis check calls the slot " +
        "lost, recreate it with --recreate-slot, and add --backfill to publish the rows that the tables have now";
    default:
      return undefined;
  }
}

function tooLarge(): string {
  return "the change has a value that the server cannot print: as text (twice its size for a bytea) it " +
    `takes more than 1 GB. ${NOTHING_LOST}: keep such values out of what is followed (a column list in ` +
    "the publication, for changes from then on), and move the slot past the one transaction " +
    `(${SKIP_ONE})`;
}
