// @ts-check
/**
 * A Lambda function that reads what `pg2kinesis --message-formatter JSON` publishes (with pgoutput or
 * wal2json), drops duplicates, and applies each change once. Replace `store` and `apply`.
 *
 * Event source mapping: ParallelizationFactor 1, FunctionResponseTypes ReportBatchItemFailures, no
 * MaximumRecordAgeInSeconds and no MaximumRetryAttempts: a batch that Lambda gives up on is lost.
 */
import { Buffer } from "node:buffer";
import agg from "aws-kinesis-agg";

/**
 * @typedef {{ partitionKey: string, sequenceNumber: string, data: string }} StoredRecord
 * @typedef {{ eventID: string, kinesis: StoredRecord }} EventRecord
 * @typedef {{ op: string, timeline?: number, commit_lsn?: string, seq?: number, schema: string,
 *   table: string, key?: Record<string, unknown>, after?: Record<string, unknown> }} Change
 * @typedef {(change: Change, position: string | undefined) => Promise<void>} Apply
 *   Stores the position with the row. A TRUNCATE removes only the table's rows with a lower position:
 *   every shard delivers it, and a merged shard may deliver it twice, or after newer rows. A `read` is a row
 *   that a backfill read, to be stored like an insert or update; `backfill` says that those of a table were.
 * @typedef {{ get(name: string): Promise<string | undefined>,
 *   set(name: string, position: string): Promise<void> }} Store
 *   For example in DynamoDB, one item per name. Reads must be consistent.
 */

/** @param {{ store: Store, apply: Apply }} parts */
export function createHandler({ store, apply }) {
  /** @param {{ Records: EventRecord[] }} event */
  return async ({ Records }) => {
    for (const { kinesis } of Records) {
      try {
        for (const { partitionKey, data } of takeApart(kinesis)) {
          /** @type {Change} */
          const change = JSON.parse(data);
          await applyOnce(change, partitionKey);
        }
      } catch (error) {
        console.error(`cannot apply ${kinesis.sequenceNumber}:`, error);
        // Lambda continues with this record, so that nothing later overtakes it.
        return { batchItemFailures: [{ itemIdentifier: kinesis.sequenceNumber }] };
      }
    }
    return { batchItemFailures: [] };
  };

  /**
   * @param {Change} change
   * @param {string} partitionKey
   */
  async function applyOnce(change, partitionKey) {
    const position = positionOf(change);
    // A logical message outside a transaction has no position and may arrive twice. A TRUNCATE applies to
    // all keys of its shard, and is applied whenever it arrives.
    if (position === undefined || change.op === "truncate") return await apply(change, position);
    const highest = await store.get(partitionKey);
    if (highest !== undefined && position <= highest) return;
    // In this order: after an interruption between the two, the change is applied again; `apply` must allow that.
    await apply(change, position);
    await store.set(partitionKey, position);
  }
}

/**
 * `timeline`, `commit_lsn` and `seq` as text with the same sort order.
 * @param {Pick<Change, "timeline" | "commit_lsn" | "seq">} change
 */
export function positionOf({ timeline = 1, commit_lsn, seq }) {
  if (commit_lsn === undefined || seq === undefined) return undefined;
  const [high = "", low = ""] = commit_lsn.split("/");
  const lsn = high.padStart(8, "0") + low.padStart(8, "0");
  return `${String(timeline).padStart(10, "0")}/${lsn}/${String(seq).padStart(16, "0")}`;
}

/**
 * The user records in a Kinesis record, aggregated or not.
 * @param {StoredRecord} stored
 * @returns {{ partitionKey: string, data: string }[]}
 */
function takeApart(stored) {
  /** @type {{ partitionKey: string, data: string }[]} */
  const records = [];
  agg.deaggregateSync(stored, true, (error, found = []) => {
    if (error) throw error;
    for (const { partitionKey, data } of found) {
      records.push({ partitionKey, data: Buffer.from(data, "base64").toString() });
    }
  });
  return records;
}
