import type { BackfillStage } from "./backfill/stage.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type Decoder, UnknownTypeError } from "./decode/decoder.ts";
import type { Commit, TransactionEvent } from "./decode/event.ts";
import type { RecordWriter, Ticket } from "./base/record_writer.ts";
import type { Catalog } from "./postgres/catalog/known_table.ts";
import { formatLsn } from "./base/lsn.ts";
import type { ReplicationMessage, XLogData } from "./base/replication_message.ts";
import type { Publisher } from "./publisher.ts";
import type { Progress } from "./run_progress.ts";

/** The stages, in the order of the data. */
export interface Stages {
  readonly source: AsyncIterable<readonly ReplicationMessage[]>;
  readonly decoder: Decoder;
  readonly catalog: Catalog;
  readonly backfill: Pick<
    BackfillStage,
    "restarted" | "begin" | "control" | "change" | "commit"
  >;
  readonly publisher: Publisher;
  readonly writer: RecordWriter;
  readonly checkpoint: Checkpoint;
  readonly progress: Progress;
}

/**
 * Takes every change from the slot to the writer, until the source ends or a stage fails. Awaits once
 * a batch, not once a row; the writer's `flush` waits while its buffers are full, and nothing is read
 * in the meantime.
 */
export async function runPipeline(stages: Stages): Promise<void> {
  const { source, decoder, catalog, backfill, publisher, writer, checkpoint, progress } = stages;
  let ticket: Ticket | undefined;
  /** The last message that contained an event. */
  let last: XLogData | undefined;

  for await (const batch of source) {
    // By index: an iterator makes an object for each message, unless V8 sees through it.
    for (let i = 0; i < batch.length; i++) {
      const waiting = take(batch[i]!);
      if (waiting !== undefined) await waiting;
    }
    await writer.flush();
  }

  /** A function of its own, which V8 compiles better than a loop with waits in it. */
  function take(message: ReplicationMessage): Promise<void> | undefined {
    if (message.kind === "keepalive") checkpoint.mark(message.walEnd);
    else if (message.kind === "warning") publisher.leftOut(message, placeOf(last));
    else if (message.kind === "timeline") {
      decoder.timelines = message.timelines;
      if (message.branch !== undefined) checkpoint.leaveAt(message.branch);
      backfill.restarted(message.branch);
    } else {
      progress.bytes += message.length;
      let event: TransactionEvent | undefined;
      try {
        event = decoder.decode(message);
      } catch (error) {
        if (!(error instanceof UnknownTypeError)) throw error;
        return catalog.loadTypes().then(() => pass(decoder.decode(message)));
      }
      // Some messages without an event, such as pgoutput's relations, have no LSN.
      if (event !== undefined) last = message;
      return pass(event);
    }
  }

  function pass(event: TransactionEvent | undefined): Promise<void> | undefined {
    if (event === undefined) return;
    if (event.kind === "begin") {
      backfill.begin();
      ticket = checkpoint.begin(milliseconds(event.transaction.commitTime));
      progress.xid = event.transaction.xid;
    } else if (event.kind === "commit") {
      const waiting = backfill.commit(event, ticket!);
      return waiting === undefined ? commit(event) : waiting.then(() => commit(event));
    } else if (event.kind === "ambiguous-message") {
      if (!backfill.control(event)) publisher.leaveOutMessage(event);
    } else if (event.kind !== "message" || !backfill.control(event)) {
      progress.changes++;
      return publisher.publish(backfill.change(event), ticket ?? checkpoint.standalone());
    }
  }

  function commit(event: Commit): undefined {
    const { endLsn, commitTime } = event;
    publisher.commit(event, ticket!);
    checkpoint.commit(endLsn, milliseconds(commitTime));
    ticket = undefined;
    progress.transactions++;
  }

  /** Where the server is in the WAL, for messages that do not say so themselves. */
  function placeOf(last: XLogData | undefined): string {
    const lsn = last === undefined ? "the start" : `LSN ${formatLsn(last.walStart)}`;
    return ticket === undefined ? lsn : `${lsn} (xid ${progress.xid})`;
  }
}

/** NaN if the plugin does not send it. */
function milliseconds(micros: bigint | undefined): number {
  return micros === undefined ? NaN : Number(micros) / 1000;
}
