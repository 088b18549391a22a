import { AGGREGATE_MAGIC } from "../../src/kinesis/aggregate/aggregate.ts";
import { ProtobufReader } from "../../src/kinesis/aggregate/protobuf.ts";

/**
 * A provisioned stream bills 25 KB of each record, rounded up; one on demand a KB of each, rounded up.
 * https://aws.amazon.com/kinesis/data-streams/pricing/
 */
const PAYLOAD_UNIT_BYTES = 25 * 1024;
const ON_DEMAND_BYTES = 1024;

/** What was put into a stream, as it is billed and as consumers see it. */
export interface PutCosts {
  userRecords: number;
  kinesisRecords: number;
  /** Data and partition keys. */
  bytes: number;
  payloadUnits: number;
  onDemandKilobytes: number;
}

export function noCosts(): PutCosts {
  return { userRecords: 0, kinesisRecords: 0, bytes: 0, payloadUnits: 0, onDemandKilobytes: 0 };
}

/** Adds one Kinesis record. */
export function addRecord(costs: PutCosts, partitionKeyBytes: number, data: Uint8Array): void {
  const bytes = partitionKeyBytes + data.length;
  costs.userRecords += countUserRecords(data);
  costs.kinesisRecords++;
  costs.bytes += bytes;
  costs.payloadUnits += Math.ceil(bytes / PAYLOAD_UNIT_BYTES);
  costs.onDemandKilobytes += Math.ceil(bytes / ON_DEMAND_BYTES);
}

const RECORD_FIELD = 0x1A;
const MD5_BYTES = 16;

/** Of a KPL aggregate as many as it holds, of anything else one. It believes what claims to be one. */
export function countUserRecords(data: Uint8Array): number {
  if (!AGGREGATE_MAGIC.every((byte, i) => data[i] === byte)) return 1;
  const reader = new ProtobufReader(data, AGGREGATE_MAGIC.length);
  let count = 0;
  while (reader.offset < data.length - MD5_BYTES) {
    if (reader.varint() === RECORD_FIELD) count++;
    const length = reader.varint();
    reader.offset += length;
  }
  return count;
}

/** A shard takes 1 MiB and 1,000 records a second. */
const SHARD_BYTES = 1024 * 1024;
const SHARD_RECORDS = 1000;

/** Shards that take `changesPerSecond` changes like those, spread evenly. */
export function shardsFor(costs: PutCosts, changesPerSecond: number): number {
  const seconds = costs.userRecords / changesPerSecond;
  return Math.max(
    1,
    Math.ceil(costs.bytes / seconds / SHARD_BYTES),
    Math.ceil(costs.kinesisRecords / seconds / SHARD_RECORDS),
  );
}
