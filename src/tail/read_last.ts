import { getLogger } from "@logtape/logtape";
import { LastRecords } from "./last_records.ts";
import { renderRecord } from "./render_record.ts";
import type { ReadStart } from "./stream_reader.ts";
import { type ReadParts, readStreams } from "./streams_reader.ts";
import type { TailOptions } from "./tail_options.ts";
import { takeApart } from "./user_record.ts";

const log = getLogger(["pg2kinesis", "tail"]);

/** Where `--lines` starts reading when no start is given: this long ago, then at the oldest record. */
const LAST_WINDOWS_MS = [60_000, 15 * 60_000, 4 * 60 * 60_000, Infinity];

/** The last lines, and what reading has to know to go on behind them. */
export interface LastRead {
  readonly lines: readonly Uint8Array[];
  /** The greatest sequence number of each shard. */
  readonly seen: ReadonlyMap<string, bigint>;
  readonly readFrom: ReadStart;
}

/** Reads to the end, from further back each time where no start is given, until there are enough. */
export async function readLast(
  options: TailOptions & { readonly from: ReadStart },
  last: NonNullable<TailOptions["last"]>,
  context: ReadParts,
): Promise<LastRead> {
  const starts = last.isStartGiven
    ? [options.from]
    : LAST_WINDOWS_MS.map((ms): ReadStart =>
      ms === Infinity ? { kind: "oldest" } : { kind: "time", atMs: context.now() - ms }
    );
  for (const readFrom of starts) {
    const kept = new LastRecords(last.records);
    /** The greatest sequence number of each shard. */
    const seen = new Map<string, bigint>();
    await readStreams(
      { ...options, from: readFrom, follow: false },
      context,
      (shard, page) => {
        for (const stored of page) {
          for (const record of takeApart(shard, stored)) {
            kept.add(shard.id, renderRecord(record, options.json), record.arrivedAtMs);
          }
          seen.set(shard.id, BigInt(stored.sequenceNumber));
        }
        return Promise.resolve();
      },
    );
    if (kept.size < last.records && readFrom !== starts.at(-1) && !context.signal.aborted) continue;
    if (kept.letGo > 0) {
      log.warn("{count} of the last {records} records are left out: they take more than 256 MB", {
        count: kept.letGo,
        records: last.records,
      });
    }
    return { lines: kept.lines(), seen, readFrom };
  }
  throw new Error("there is always a last start");
}
