import { createHash } from "node:crypto";

/** In UTF-16 units: never more than the API's 256 characters. */
const MAX_UNITS = 256;
const SUBSTITUTE_FOR_EMPTY = "-";

/**
 * Gives a partition key that Kinesis takes: an empty one becomes `-`, one of more than 256 UTF-16
 * units the SHA-256 of its UTF-8 bytes in hexadecimal. The same key always becomes the same.
 */
export function fitPartitionKey(partitionKey: string): string {
  if (partitionKey.length === 0) return SUBSTITUTE_FOR_EMPTY;
  if (partitionKey.length <= MAX_UNITS) return partitionKey;
  return createHash("sha256").update(partitionKey, "utf8").digest("hex");
}
