// @ts-check
/**
 * A Lambda function that applies what `pg2kinesis --message-formatter JSON` publishes (with pgoutput or
 * wal2json): each change once, in order. Give it your `copy`, and bundle it with consumer.ts:
 *
 *     npx esbuild lambda.mjs --bundle --platform=node --format=esm --outfile=index.mjs
 *
 * Event source mapping: ParallelizationFactor 1, FunctionResponseTypes ReportBatchItemFailures, no
 * MaximumRecordAgeInSeconds and no MaximumRetryAttempts: a batch that Lambda gives up on is lost.
 */
import { Buffer } from "node:buffer";
import { applyOnce, deaggregate } from "./consumer.ts";

/**
 * @typedef {{ partitionKey: string, sequenceNumber: string, data: string }} StoredRecord
 * @typedef {{ readonly Records: readonly { kinesis: StoredRecord }[], state?: unknown }} KinesisEvent
 */

/**
 * @param {import("./consumer.ts").Copy} copy One for all shards, for example tables in DynamoDB. Its reads
 *   must be consistent.
 */
export function createHandler(copy) {
  /** @param {KinesisEvent} event */
  return async ({ Records, state }) => {
    // With a tumbling window Lambda wants the window's state back.
    const answer = state === undefined ? {} : { state };
    for (const { kinesis } of Records) {
      try {
        const data = Buffer.from(kinesis.data, "base64");
        for (const record of deaggregate(data, kinesis.partitionKey)) await applyOnce(record, copy);
      } catch (error) {
        console.error(`cannot apply ${kinesis.sequenceNumber}:`, error);
        // Lambda continues with this record, so that nothing later overtakes it.
        return { ...answer, batchItemFailures: [{ itemIdentifier: kinesis.sequenceNumber }] };
      }
    }
    return { ...answer, batchItemFailures: [] };
  };
}
