import { Buffer } from "node:buffer";
import { deaggregateSync as untypedDeaggregateSync } from "aws-kinesis-agg";

/** A user record as a consumer sees it. */
export interface ReadRecord {
  readonly partitionKey: string;
  readonly explicitHashKey: string | undefined;
  readonly data: Uint8Array;
}

/** What AWS's deaggregator gives and takes; its own types ask for packages that are not installed. */
type DeaggregateSync = (
  record: { partitionKey: string; data: string; sequenceNumber: string },
  computeChecksums: boolean,
  done: (
    error: unknown,
    records?: { partitionKey: string; explicitPartitionKey?: string; data: string }[],
  ) => void,
) => void;

/** Takes a Kinesis record apart with AWS's own deaggregator, checksum checked. */
export function deaggregate(partitionKey: string, data: Uint8Array): ReadRecord[] {
  let read: ReadRecord[] = [];
  const record = { partitionKey, data: Buffer.from(data).toString("base64"), sequenceNumber: "0" };
  (untypedDeaggregateSync as unknown as DeaggregateSync)(record, true, (error, records = []) => {
    if (error) throw error;
    read = records.map((user) => ({
      partitionKey: user.partitionKey,
      explicitHashKey: user.explicitPartitionKey,
      data: Uint8Array.from(Buffer.from(user.data, "base64")),
    }));
  });
  return read;
}
