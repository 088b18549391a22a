/**
 * A Kinesis service that only answers, in a process of its own: `answering_sink.ts --shards N
 * [--keep] [--count] [--watch REGEX]`. It must cost far less than what is measured, so it speaks HTTP over a bare socket, reads
 * a body straight to where it stays, and of a PutRecord looks at the end alone, where the keys are.
 *
 * Prints its port, then answers DescribeStream, DescribeStreamSummary, ListShards, CreateStream,
 * PutRecord and PutRecords (JSON 1.1; the puts in CBOR 1.1, too), `GET /stats` with
 * {@linkcode SinkStats}, with `--keep` `GET /puts` with {@linkcode KeptPut}s, and with `--count`, which
 * looks into each record, `GET /arrivals` with {@linkcode Arrivals}; with `--watch` `GET /watched` with
 * {@linkcode WatchedPut}s.
 */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { cbor } from "@smithy/core/cbor";
import { addRecord, noCosts, type PutCosts } from "./put_costs.ts";

/** What the sink has counted. */
export interface SinkStats {
  /** PutRecord and PutRecords requests. */
  puts: number;
  /** Kinesis records in them. */
  records: number;
  /** Bytes of data in them, without base64. */
  dataBytes: number;
  /** Bytes of their bodies as they came. */
  bodyBytes: number;
  /** Milliseconds since 1970, to the microsecond; 0 before the first. */
  firstPutAt: number;
  lastPutAt: number;
  /** User and system time of the sink itself. */
  cpuSeconds: number;
}

/** One Kinesis record, as it was stored. */
export interface KeptPut {
  /** When it was acknowledged: milliseconds since 1970, to the microsecond. */
  at: number;
  /** base64. */
  data: string;
}

/** What was put, and when. */
export interface Arrivals {
  costs: PutCosts;
  /** After each put: milliseconds since 1970, and the user records until then. */
  arrivals: [at: number, userRecords: number][];
}

/** What of one Kinesis record matched, by its first group. */
export interface WatchedPut {
  at: number;
  found: string[];
}

const { values: args } = parseArgs({
  options: {
    shards: { type: "string", default: "1" },
    keep: { type: "boolean", default: false },
    count: { type: "boolean", default: false },
    watch: { type: "string" },
  },
});
const watch = args.watch === undefined ? undefined : new RegExp(args.watch, "g");
const shardCount = BigInt(args.shards);

const HASH_KEYS = 1n << 128n;
/** Keys, stream name and sequence number of a PutRecord fit in, with their field names. */
const TAIL_BYTES = 2048;
const FIRST_BUFFER_BYTES = 256 * 1024;
const DATA_FIRST = '{"Data":"';
/** Where the data stands last. */
const DATA = '"Data":"';
const DATA_END = '"}';
const CBOR = "application/x-amz-cbor-1.1";

const stats: SinkStats = {
  puts: 0,
  records: 0,
  dataBytes: 0,
  bodyBytes: 0,
  firstPutAt: 0,
  lastPutAt: 0,
  cpuSeconds: 0,
};
const kept: KeptPut[] = [];
const watched: WatchedPut[] = [];
const counted: Arrivals = { costs: noCosts(), arrivals: [] };
const encoder = new TextEncoder();
let sequence = 0;

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
for await (const connection of listener) {
  connection.setNoDelay();
  serve(connection).catch((error) => {
    // A measured program that is killed resets its connections.
    if (
      !(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)
    ) {
      console.error(error);
    }
  });
}

async function serve(connection: Deno.TcpConn): Promise<void> {
  let buffer = Buffer.alloc(FIRST_BUFFER_BYTES);
  let length = 0;
  while (true) {
    let bodyStart = -1;
    let end = -1;
    while (end === -1 || length < end) {
      if (length === buffer.length || end > buffer.length) {
        const larger = Buffer.alloc(Math.max(end, buffer.length * 2));
        buffer.copy(larger, 0, 0, length);
        buffer = larger;
      }
      const read = await connection.read(buffer.subarray(length));
      if (read === null) return;
      length += read;
      if (end !== -1) continue;
      const headEnd = buffer.subarray(0, length).indexOf("\r\n\r\n");
      if (headEnd === -1) continue;
      bodyStart = headEnd + 4;
      const head = latin1(buffer, 0, headEnd);
      end = bodyStart + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    }
    const head = latin1(buffer, 0, bodyStart);
    const body = buffer.subarray(bodyStart, end);
    const answer = head.includes(CBOR)
      ? httpAnswer(CBOR, cbor.serialize(putCbor(head, cbor.deserialize(body), body.length)))
      : httpAnswer("application/x-amz-json-1.1", encoder.encode(answerTo(head, body)));
    for (let sent = 0; sent < answer.length;) {
      sent += await connection.write(answer.subarray(sent));
    }
    buffer.copyWithin(0, end, length);
    length -= end;
  }
}

function httpAnswer(contentType: string, body: Uint8Array): Uint8Array {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\n` +
    `x-amzn-requestid: 00000000-0000-0000-0000-000000000000\r\n` +
    `content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([encoder.encode(head), body]);
}

function answerTo(head: string, body: Buffer): string {
  if (head.startsWith("GET /stats")) {
    const { user, system } = cpuUsage();
    return JSON.stringify({ ...stats, cpuSeconds: (user + system) / 1e6 });
  }
  if (head.startsWith("GET /puts")) return JSON.stringify(kept);
  if (head.startsWith("GET /watched")) return JSON.stringify(watched);
  if (head.startsWith("GET /arrivals")) return JSON.stringify(counted);
  const operation = /\r\nx-amz-target: Kinesis_20131202\.(\w+)/i.exec(head)?.[1];
  switch (operation) {
    case "PutRecord":
      return putRecord(body);
    case "PutRecords":
      return putRecords(body);
    case "DescribeStreamSummary":
      return describeStreamSummary(JSON.parse(body.toString()).StreamName);
    case "DescribeStream":
      return describeStream(JSON.parse(body.toString()).StreamName);
    case "CreateStream":
      return "{}";
    case "ListShards":
      return JSON.stringify({
        Shards: Array.from({ length: Number(shardCount) }, (_, i) => shard(i)),
      });
    default:
      throw new Error(`the sink has no answer to ${operation ?? head}`);
  }
}

function putRecord(body: Buffer): string {
  const head = latin1(body, 0, Math.min(body.length, TAIL_BYTES));
  const tail = latin1(body, Math.max(0, body.length - TAIL_BYTES), body.length);
  const isFirst = head.startsWith(DATA_FIRST) && tail.includes('",');
  const isLast = !isFirst && head.includes(DATA) && tail.endsWith(DATA_END);
  let hashKey: string | undefined;
  let dataBytes: number;
  if ((isFirst || isLast) && !args.keep && !args.count && watch === undefined) {
    const others = isFirst ? tail : head;
    hashKey = /"ExplicitHashKey":"(\d+)"/.exec(others)?.[1];
    const start = isFirst ? DATA_FIRST.length : head.indexOf(DATA) + DATA.length;
    const behind = isFirst ? tail.length - tail.indexOf('",') : DATA_END.length;
    const padding = /=*$/.exec(tail.slice(0, tail.length - behind))![0].length;
    dataBytes = (body.length - behind - start) / 4 * 3 - padding;
  } else {
    const { Data, PartitionKey, ExplicitHashKey } = JSON.parse(body.toString());
    hashKey = ExplicitHashKey;
    dataBytes = look(Data, PartitionKey);
  }
  hashKey ??= hashOf(JSON.parse(body.toString()).PartitionKey);
  count(body.length, 1, dataBytes);
  return JSON.stringify({ SequenceNumber: nextSequenceNumber(), ShardId: shardIdOf(hashKey) });
}

/** One record of a request, whatever its wire. */
interface PutEntry {
  Data: string | Uint8Array;
  PartitionKey: string;
  ExplicitHashKey?: string;
}

function putCbor(head: string, request: PutEntry & { Records?: PutEntry[] }, bodyBytes: number) {
  if (head.includes("Kinesis_20131202.PutRecords")) {
    return putEntries(request.Records ?? [], bodyBytes);
  }
  return putEntries([request], bodyBytes).Records[0];
}

function putRecords(body: Buffer): string {
  return JSON.stringify(putEntries(JSON.parse(body.toString()).Records, body.length));
}

function putEntries(entries: readonly PutEntry[], bodyBytes: number) {
  let dataBytes = 0;
  const results: { SequenceNumber: string; ShardId: string }[] = [];
  for (const { Data, PartitionKey, ExplicitHashKey } of entries) {
    dataBytes += look(Data, PartitionKey);
    results.push({
      SequenceNumber: nextSequenceNumber(),
      ShardId: shardIdOf(ExplicitHashKey ?? hashOf(PartitionKey)),
    });
  }
  count(bodyBytes, results.length, dataBytes);
  return { FailedRecordCount: 0, Records: results };
}

/** Keeps or counts a record as it was asked for; gives the bytes of its data. */
function look(data: string | Uint8Array, partitionKey: string): number {
  if (args.keep) {
    kept.push({ at: now(), data: typeof data === "string" ? data : toBase64(data) });
  }
  if (args.count) {
    const bytes = typeof data === "string" ? Buffer.from(data, "base64") : data;
    addRecord(counted.costs, Buffer.byteLength(partitionKey), bytes);
  }
  if (watch !== undefined) {
    const bytes = typeof data === "string" ? Buffer.from(data, "base64") : Buffer.from(data);
    const found = [...latin1(bytes, 0, bytes.length).matchAll(watch)].map((match) => match[1]!);
    if (found.length > 0) watched.push({ at: now(), found });
  }
  return typeof data === "string" ? Buffer.byteLength(data, "base64") : data.length;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function count(bodyBytes: number, records: number, dataBytes: number): void {
  stats.puts++;
  stats.records += records;
  stats.dataBytes += dataBytes;
  stats.bodyBytes += bodyBytes;
  stats.lastPutAt = now();
  if (args.count) counted.arrivals.push([stats.lastPutAt, counted.costs.userRecords]);
  if (stats.firstPutAt === 0) stats.firstPutAt = stats.lastPutAt;
}

function latin1(buffer: Buffer, start: number, end: number): string {
  return buffer.toString("latin1", start, end);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function nextSequenceNumber(): string {
  return "4959" + String(++sequence).padStart(52, "0");
}

function hashOf(partitionKey: string): string {
  return BigInt("0x" + createHash("md5").update(partitionKey).digest("hex")).toString();
}

function shardIdOf(hashKey: string): string {
  return shardId(Number((BigInt(hashKey) * shardCount) >> 128n));
}

function shardId(index: number): string {
  return `shardId-${String(index).padStart(12, "0")}`;
}

/** The shards have equal shares of the hash keys; the first key of the i-th is its share rounded up. */
function shard(index: number) {
  const start = (i: number) => (BigInt(i) * HASH_KEYS + shardCount - 1n) / shardCount;
  return {
    ShardId: shardId(index),
    HashKeyRange: {
      StartingHashKey: String(start(index)),
      EndingHashKey: String(start(index + 1) - 1n),
    },
    SequenceNumberRange: { StartingSequenceNumber: "4959" + "0".repeat(52) },
  };
}

function describeStream(streamName: string): string {
  const { StreamDescriptionSummary } = JSON.parse(describeStreamSummary(streamName));
  return JSON.stringify({
    StreamDescription: {
      ...StreamDescriptionSummary,
      Shards: Array.from({ length: Number(shardCount) }, (_, i) => shard(i)),
      HasMoreShards: false,
    },
  });
}

function describeStreamSummary(streamName: string): string {
  return JSON.stringify({
    StreamDescriptionSummary: {
      StreamName: streamName,
      StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${streamName}`,
      StreamStatus: "ACTIVE",
      StreamModeDetails: { StreamMode: "PROVISIONED" },
      RetentionPeriodHours: 24,
      StreamCreationTimestamp: 1_700_000_000,
      EnhancedMonitoring: [],
      EncryptionType: "NONE",
      OpenShardCount: Number(shardCount),
    },
  });
}
