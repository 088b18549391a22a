import { Buffer } from "node:buffer";
import { takeApart } from "../support/read_back.ts";
import { nameTransaction } from "./committed.ts";
import { parentsFirst } from "./parents_first.ts";
import { readLsn } from "./read_lsn.ts";
import type { DumpedRecord, DumpedShard } from "./fault_server_process.ts";

/** A user record as it lies in the stream. */
export interface PublishedChange {
  /** As of a committed change: `XID OPERATION TABLE ID`. */
  readonly name: string;
  /** Where the format has it; so the next two. */
  readonly version: string | undefined;
  readonly seq: number | undefined;
  readonly commitLsn: bigint | undefined;
  readonly shardId: string;
  /** Of the Kinesis record that holds it, in its shard. */
  readonly sequenceNumber: string;
  readonly hashKey: bigint;
  readonly arrivedAtMs: number;
  /**
   * False when a consumer built on the Kinesis Client Library drops it: with its whole aggregate, of
   * which one user record hashes outside of the shard.
   */
  readonly isSeen: boolean;
}

/**
 * Takes all records apart with AWS's deaggregator. In the order in which a consumer reads: shard after
 * shard, parents before children, each in the order of its sequence numbers.
 */
export function readPublished(
  records: readonly DumpedRecord[],
  shards: readonly DumpedShard[],
): PublishedChange[] {
  const byShard = Map.groupBy(records, ({ shardId }) => shardId);
  return parentsFirst(shards).flatMap((shard) => {
    const start = BigInt(shard.start);
    const end = BigInt(shard.end);
    const ofShard = (byShard.get(shard.id) ?? [])
      .sort((a, b) => (BigInt(a.sequenceNumber) < BigInt(b.sequenceNumber) ? -1 : 1));
    return ofShard.flatMap((record) => {
      const data = new Uint8Array(Buffer.from(record.data, "base64"));
      const users = takeApart({ ...record, data });
      const isSeen = users.every(({ subSequence, hashKey }) =>
        subSequence === undefined || (start <= hashKey && hashKey <= end)
      );
      return users.map(({ text, hashKey }) => ({
        ...nameChange(text),
        shardId: shard.id,
        sequenceNumber: record.sequenceNumber,
        hashKey,
        arrivedAtMs: record.arrivedAtMs,
        isSeen,
      }));
    });
  });
}

/** Reads the name of a change from any of the formats, and what it has to be compared. */
export function nameChange(
  text: string,
): Pick<PublishedChange, "name" | "version" | "seq" | "commitLsn"> {
  // A TRUNCATE has no key.
  const name = (xid: unknown, operation: unknown, table: unknown, id: unknown) =>
    `${xid} ${String(operation).toLowerCase()} ${table} ${id === "" ? "*" : id ?? "*"}`;
  const unknown = { version: undefined, seq: undefined, commitLsn: undefined };
  const body = text.startsWith("0,CDC,") ? text.slice("0,CDC,".length) : text;
  if (!body.startsWith("{")) {
    const [xid, table, operation, id] = body.split(",");
    return { name: name(xid, operation, table, id), ...unknown };
  }
  const json = JSON.parse(body);
  if (json.change !== undefined) {
    const { kind, schema, table, columnnames, columnvalues, oldkeys } = json.change;
    const value = (column: string) => columnvalues?.[columnnames.indexOf(column)];
    const id = value("id") ?? oldkeys?.keyvalues[oldkeys.keynames.indexOf("id")];
    const version = value("version");
    return {
      name: name(json.xid, kind, `${schema}.${table}`, id),
      ...unknown,
      version: version === undefined ? undefined : String(version),
    };
  }
  if (json.op !== undefined) {
    const { op, xid = "-", timeline = 1, seq, schema, table, key, prefix, content } = json;
    const commitLsn = json.commit_lsn === undefined ? undefined : readLsn(json.commit_lsn);
    const version = json.after?.version;
    const transaction = nameTransaction(xid, timeline);
    return {
      name: op === "message"
        ? name(transaction, op, prefix, content)
        : name(transaction, op, `${schema}.${table}`, key?.id),
      version: version === undefined ? undefined : String(version),
      ...{ seq, commitLsn },
    };
  }
  return { name: name(json.xid, json.operation, json.table, json.pkey), ...unknown };
}
