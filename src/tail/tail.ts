import { getLogger } from "@logtape/logtape";
import { RunError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { StoredRecord } from "../kinesis/client/kinesis_read_api.ts";
import type { Shard } from "../kinesis/stream/shard_map.ts";
import { countOf } from "../base/quantity.ts";
import { LineOutput, ReaderGone, type Sink } from "./line_output.ts";
import { readLast } from "./read_last.ts";
import { renderRecord } from "./render_record.ts";
import type { ReadStart } from "./stream_reader.ts";
import { type ApiOf, readStreams, type TailedShard, type TakePage } from "./streams_reader.ts";
import type { TailOptions, TailStart } from "./tail_options.ts";
import { takeApart } from "./user_record.ts";
import { Verifier, type VerifierCounts } from "./verifier.ts";

const log = getLogger(["pg2kinesis", "tail"]);

export interface TailParts {
  readonly apiOf: ApiOf;
  readonly sink: Sink;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: () => number;
  /** Ends the reading; what was read before is still reported. */
  readonly signal: AbortSignal;
}

/** Arrival times of Kinesis are approximate. */
const ARRIVAL_TOLERANCE_MS = 60_000;

/**
 * Reads the streams and writes one user record a line, until its end, the signal, or until nobody reads
 * the lines any more.
 * @throws {RunError} when it cannot be read, or when verifying found something.
 */
export async function tail(options: TailOptions, parts: TailParts): Promise<void> {
  const { last } = options;
  const from = startOf(options.from, parts.now());
  if (last === undefined) return await print({ ...options, from }, parts, () => false);
  const startedAtMs = parts.now();
  const { lines, seen, readFrom } = await readLast({ ...options, from }, last, parts);
  const output = new LineOutput(parts.sink);
  try {
    for (const line of lines) await output.add(line);
    await output.flush();
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
    return log.debug("nobody reads the output any more");
  }
  if (!options.follow || parts.signal.aborted) return;
  const atMs = startedAtMs - ARRIVAL_TOLERANCE_MS;
  await print(
    {
      ...options,
      from: { kind: "time", atMs: readFrom.kind === "time" ? Math.max(atMs, readFrom.atMs) : atMs },
    },
    parts,
    (shard, { sequenceNumber }) => BigInt(sequenceNumber) <= (seen.get(shard.id) ?? -1n),
  );
}

/** `ago` as a time. */
function startOf(from: TailStart, nowMs: number): ReadStart {
  return from.kind === "ago" ? { kind: "time", atMs: nowMs - from.ms } : from;
}

/** Prints what is read from its start on, but what `isOld`. */
async function print(
  options: TailOptions & { readonly from: ReadStart },
  parts: TailParts,
  isOld: (shard: Shard, stored: StoredRecord) => boolean,
): Promise<void> {
  const output = new LineOutput(parts.sink);
  const verifier = options.verify
    ? new Verifier<TailedShard>({
      expectAll: options.expectAll,
      tell: (finding) => log.warn("{finding}", { finding }),
    })
    : undefined;
  let kinesisRecords = 0;
  let userRecords = 0;
  let isTold = false;

  const take: TakePage = async (shard, records, parentsOf) => {
    for (const stored of records) {
      if (isOld(shard, stored)) continue;
      kinesisRecords++;
      const records = takeApart(shard, stored);
      userRecords += records.length;
      for (const record of verifier?.take(records, shard, parentsOf) ?? records) {
        const full = output.add(renderRecord(record, options.json));
        if (full !== undefined) await full;
      }
    }
    await output.flush();
    if (!isTold && verifier !== undefined && kinesisRecords > 0) {
      isTold = true;
      sayWhatCannotBeVerified(verifier.counts);
    }
  };
  let isComplete = false;
  try {
    await readStreams(options, parts, take);
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

/** After the first records, so that nobody waits for a verdict that cannot come. */
function sayWhatCannotBeVerified({ verified, unordered, other }: VerifierCounts): void {
  if (verified === 0 && other > 0) {
    log.warn(
      "the first records are not of the JSON format (--message-formatter JSON): --verify can check only " +
        "whether they lie in the right shard",
    );
  } else if (unordered > 0) {
    log.warn(
      "the first records have no commit_lsn (JSON from test_decoding): --verify can check their order " +
        "within a transaction only",
    );
  }
}

function conclude(verifier: Pick<Verifier, "counts" | "keys" | "findings">): void {
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
  if (counts.ofBackfills > 0) {
    remarks.push(`${countOf(counts.ofBackfills, "record")} of them of backfills`);
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
        `shards, ${countOf(counts.gaps, "transaction")} with gaps, ${counts.differing} with two ` +
        `contents (${remarks.join("; ")})`,
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
