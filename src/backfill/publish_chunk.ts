import { getLogger } from "@logtape/logtape";
import type { Lsn } from "../base/lsn.ts";
import type { RecordWriter, Ticket } from "../base/record_writer.ts";
import type { TransactionInfo } from "../decode/event.ts";
import type { OutputPlugin } from "../options.ts";
import type { Publisher } from "../publisher.ts";
import type { BackfillState } from "./backfill_state.ts";
import type { Chunk, Part } from "./chunk.ts";
import { ReadChange } from "./read_row.ts";
import { areTooMany, type Step } from "./table_read.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** Rows that are published before the writer is asked whether it has room. */
const ROWS_AT_ONCE = 200;

interface Parts {
  readonly plugin: OutputPlugin;
  readonly state: BackfillState;
  readonly publisher: Publisher;
  readonly writer: RecordWriter;
}

/** The mark, whose position the rows take. */
export interface MarkPlace {
  readonly lsn: Lsn;
  readonly transaction: TransactionInfo;
  readonly endLsn: Lsn;
}

/** Publishes what is left of a chunk, where its mark came back (B6), and settles what was read with it. */
export async function publishChunk(
  parts: Parts,
  chunk: Chunk,
  place: MarkPlace,
  ticket: Ticket,
): Promise<void> {
  const counter = { seq: 0 };
  for (const part of chunk.parts) {
    // It was stopped meanwhile, or something happened that voids what was read.
    if (part.isVoid || part.table.outcome !== undefined) continue;
    await publishRows(parts, chunk.request, part, place, ticket, counter);
  }
  for (const part of chunk.parts) settle(part, place.endLsn, parts.state);
  // A table that was given up without a read ends here, too.
  for (const table of parts.state.tables ?? []) {
    if (table.outcome === undefined && table.isScanned && table.again.size === 0) table.end(true);
    const { outcome, plan } = table;
    if (outcome === undefined || outcome.endLsn !== undefined) continue;
    outcome.endLsn = place.endLsn;
    if (!outcome.complete) parts.state.totals.givenUp++;
    const relation = plan?.relation ?? {
      schema: table.name.slice(0, table.name.indexOf(".")),
      table: table.name.slice(table.name.indexOf(".") + 1),
      qualifiedName: table.name,
    };
    const failure = await parts.publisher.publishRead({
      kind: "backfill",
      ...{ lsn: place.lsn, transaction: place.transaction, relation },
      seq: counter.seq++,
      request: chunk.request,
      rows: table.rows,
      complete: outcome.complete,
    }, ticket);
    if (failure !== undefined) {
      logger.error("the end of the backfill of {table} cannot be published: {reason}", {
        table: table.name,
        reason: failure,
      });
    }
    if (outcome.complete) {
      logger.info("the backfill of {table} has ended: {rows} rows, {again} of them read again", {
        table: table.name,
        rows: table.rows,
        again: table.readAgain,
      });
    }
  }
}

async function publishRows(
  { plugin, state, publisher, writer }: Parts,
  request: string,
  { table, rows, isAgain }: Part,
  { lsn, transaction }: MarkPlace,
  ticket: Ticket,
  counter: { seq: number },
): Promise<void> {
  for (const row of rows.values()) {
    if (!row.passes) continue;
    const change = new ReadChange(row, plugin, request, lsn, transaction, counter.seq);
    const published = publisher.publishRead(change, ticket);
    const failure = published instanceof Promise ? await published : published;
    if (failure !== undefined) {
      logger.error("the backfill of {table} is given up: {reason}", {
        table: table.name,
        reason: failure,
      });
      table.end(false, failure);
      return;
    }
    table.rows++;
    state.totals.rows++;
    if (isAgain) {
      table.readAgain++;
      state.totals.readAgain++;
    }
    if (++counter.seq % ROWS_AT_ONCE === 0) await writer.flush();
  }
}

function settle(part: Part, endLsn: Lsn, state: BackfillState): void {
  const { table } = part;
  if (table.outcome !== undefined || part.isVoid) return;
  const settled = (step: Step | undefined, key: string) => {
    if (step === undefined) return;
    step.again.delete(key);
    if (endLsn > step.endLsn) step.endLsn = endLsn;
  };
  for (const [key, entry] of part.settled) {
    // One that a change or this read wrote down again stays.
    if (table.again.get(key) !== entry || part.unsettled.has(key)) continue;
    table.again.delete(key);
    table.isAgainStuck = false;
    settled(entry.step, key);
    const { bound } = entry;
    if (bound !== undefined) state.holdUntilStored(bound, endLsn);
  }
  const step = part.after === undefined
    ? undefined
    : { after: part.after, rows: table.rows, endLsn, again: new Set<string>() };
  for (const [key, entry] of part.unsettled) {
    const before = table.again.get(key);
    const own = before?.step ?? entry.step ?? step;
    own?.again.add(key);
    table.again.set(key, { ...entry, bound: before?.bound ?? entry.bound, step: own });
    if (areTooMany(table.again.size, key)) return state.beginAnew(table);
  }
  if (step !== undefined) {
    table.after = step.after;
    table.steps.push(step);
  }
  if (part.isScanned) table.isScanned = true;
}
