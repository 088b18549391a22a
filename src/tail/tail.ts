import { getLogger } from "@logtape/logtape";
import { RunError } from "../errors.ts";
import type { Clock } from "../kinesis/clock.ts";
import type { KinesisReadApi, StoredRecord } from "../kinesis/read_api.ts";
import type { Shard } from "../kinesis/shard_map.ts";
import { countOf } from "../quantity.ts";
import { LineOutput, ReaderGone, type Sink } from "./line_output.ts";
import { renderJson, renderText } from "./render.ts";
import { readStream } from "./stream_reader.ts";
import type { TailOptions } from "./tail_options.ts";
import { takeApart } from "./user_record.ts";
import { Verifier } from "./verifier.ts";

const log = getLogger(["pg2kinesis", "tail"]);

export interface TailParts {
  readonly api: KinesisReadApi;
  readonly sink: Sink;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: () => number;
  /** Ends the reading; what was read before is still told of. */
  readonly signal: AbortSignal;
}

/**
 * Reads the stream and writes one user record a line, until its end, the signal, or until nobody reads
 * the lines any more.
 * @throws {RunError} when it cannot be read, or when verifying found something.
 */
export async function tail(options: TailOptions, parts: TailParts): Promise<void> {
  const output = new LineOutput(parts.sink);
  const verifier = options.verify
    ? new Verifier({
      expectAll: options.expectAll,
      tell: (finding) => log.warn("{finding}", { finding }),
    })
    : undefined;
  let kinesisRecords = 0;
  let userRecords = 0;

  const take = async (shard: Shard, records: readonly StoredRecord[]) => {
    for (const stored of records) {
      kinesisRecords++;
      const records = takeApart(shard.id, stored);
      userRecords += records.length;
      for (const record of verifier?.take(records, shard) ?? records) {
        const full = output.add(options.json ? renderJson(record) : renderText(record.data));
        if (full !== undefined) await full;
      }
    }
    await output.flush();
  };
  let isComplete = false;
  try {
    await readStream(options, parts, take);
    isComplete = !parts.signal.aborted;
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
    log.debug("nobody reads the output any more");
  }
  log.info("read {userRecords} user records in {kinesisRecords} records", {
    userRecords,
    kinesisRecords,
  });
  if (verifier === undefined) return;
  // What was not read is not missing.
  if (isComplete) verifier.finish();
  conclude(verifier);
}

function conclude(verifier: Verifier): void {
  const { counts, keys, findings } = verifier;
  const remarks = [
    `${countOf(counts.verified, "change")} of ${countOf(keys, "partition key")} verified`,
    `${countOf(counts.duplicates, "duplicate")} dropped`,
  ];
  if (counts.presumedDuplicates > 0) {
    remarks.push(`${counts.presumedDuplicates} of them older than what is remembered of their key`);
  }
  if (counts.passedOver > 0) {
    remarks.push(
      `${counts.passedOver} left out that a reshard left behind across shards, stored again elsewhere`,
    );
  }
  if (counts.unordered > 0) {
    remarks.push(
      `${counts.unordered} have no commit_lsn (test_decoding), so that their order was verified ` +
        "within transactions only",
    );
  }
  if (counts.unnamed > 0) remarks.push(`${countOf(counts.unnamed, "message")} without a name`);
  if (counts.other > 0) {
    remarks.push(
      `${countOf(counts.other, "record")} not of the JSON format, of which only the shard was`,
    );
  }
  if (findings > 0) {
    throw new RunError(
      `${
        countOf(findings, "finding")
      }: ${counts.late} out of order, ${counts.misplaced} outside of their ` +
        `shards, ${countOf(counts.gaps, "transaction")} with gaps (${remarks.join("; ")})`,
    );
  }
  if (counts.verified === 0 && counts.other > 0) {
    throw new RunError(
      `nothing could be verified: of ${
        countOf(counts.other, "record")
      } none is of the JSON format ` +
        "(--message-formatter JSON), and no other one has what names and orders a change",
    );
  }
  if (counts.verified + counts.unnamed + counts.passedOver === 0) {
    log.info("nothing was read that could be verified");
    return;
  }
  log.info("no findings: {remarks}", { remarks: remarks.join("; ") });
}
