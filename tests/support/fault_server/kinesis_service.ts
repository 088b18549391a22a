import { invalid, notFound, ServiceError } from "./service_error.ts";
import { type PutInput, type StoredPut, type StreamSettings, StreamState } from "./stream_state.ts";

const MIB = 1024 * 1024;
const MAX_RECORDS = 500;
const MAX_REQUEST_BYTES = 10 * MIB;

export interface ServiceSettings extends StreamSettings {
  readonly shardsPerPage: number;
  /** How long after a reshard ListShards gives what was before, or half of what is. */
  readonly listingLagMs: number;
  readonly now: () => number;
}

export const DEFAULT_SETTINGS: ServiceSettings = {
  maxRecordBytes: MIB,
  mode: "PROVISIONED",
  throughput: undefined,
  refusesForeignOrdering: false,
  isSink: false,
  shardsPerPage: 1000,
  listingLagMs: 0,
  now: Date.now,
};

/** Of all streams here. */
export const ARN_START = "arn:aws:kinesis:us-east-1:000000000000:stream/";

// deno-lint-ignore no-explicit-any -- the API's own JSON shapes, with Data as bytes
type Json = any;

/** The part of the Kinesis API that is needed here, in the API's own shapes, without any fault. */
export class KinesisService {
  readonly streams = new Map<string, StreamState>();
  readonly settings: ServiceSettings;
  /** Called for each record as it is stored. */
  onStored: (put: StoredPut) => void = () => {};
  /** What ListShards knew before a reshard, until the lag is over. */
  #lagging: { untilMs: number; before: Json[]; listings: number } | undefined;
  #lists = new Map<string, Json[]>();

  constructor(settings: Partial<ServiceSettings> = {}) {
    this.settings = { ...DEFAULT_SETTINGS, ...settings };
  }

  /** Answers one call, or throws a {@linkcode ServiceError}. */
  call(operation: string, input: Json): object {
    const method = this.#operations[operation];
    if (method === undefined) {
      throw new ServiceError("UnknownOperationException", `no operation ${operation} here`);
    }
    return method(byName(input)) ?? {};
  }

  stream(name: string): StreamState {
    const stream = this.streams.get(name);
    if (stream === undefined) throw notFound(`Stream ${name} under account 000000000000`);
    return stream;
  }

  /** Changes the shards; ListShards may take its time to tell. */
  reshard(name: string, change: (stream: StreamState) => void): void {
    const before = this.#listShards(name);
    change(this.stream(name));
    const { now, listingLagMs } = this.settings;
    if (listingLagMs > 0) this.#lagging = { untilMs: now() + listingLagMs, before, listings: 0 };
  }

  readonly #operations: Record<string, (input: Json) => object | void> = {
    CreateStream: ({ StreamName, ShardCount = 4, StreamModeDetails }) => {
      if (this.streams.has(StreamName)) {
        throw new ServiceError("ResourceInUseException", `Stream ${StreamName} already exists.`);
      }
      const mode = StreamModeDetails?.StreamMode ?? this.settings.mode;
      const { now } = this.settings;
      const settings = { ...this.settings, mode };
      const stream = new StreamState(StreamName, now(), settings, ShardCount, now);
      stream.onStored = (put) => this.onStored(put);
      this.streams.set(StreamName, stream);
    },
    DeleteStream: ({ StreamName }) => {
      this.stream(StreamName);
      this.streams.delete(StreamName);
    },
    DescribeStreamSummary: ({ StreamName }) => ({
      StreamDescriptionSummary: this.#summary(this.stream(StreamName)),
    }),
    DescribeStream: ({ StreamName }) => ({
      StreamDescription: {
        ...this.#summary(this.stream(StreamName)),
        Shards: this.#listShards(StreamName),
        HasMoreShards: false,
      },
    }),
    ListShards: ({ StreamName, NextToken }) => {
      if ((StreamName === undefined) === (NextToken === undefined)) {
        throw invalid("either StreamName or NextToken must be given");
      }
      const shards = NextToken === undefined
        ? this.#listShards(StreamName)
        : this.#lists.get(NextToken);
      if (shards === undefined) {
        throw new ServiceError("ExpiredNextTokenException", "unknown token");
      }
      const { shardsPerPage } = this.settings;
      if (shards.length <= shardsPerPage) return { Shards: shards };
      const token = `token-${this.#lists.size}`;
      this.#lists.set(token, shards.slice(shardsPerPage));
      return { Shards: shards.slice(0, shardsPerPage), NextToken: token };
    },
    PutRecord: ({ StreamName, ...record }) => this.stream(StreamName).put(record),
    PutRecords: ({ StreamName, Records }) => this.#putRecords(this.stream(StreamName), Records),
    SplitShard: ({ StreamName, ShardToSplit, NewStartingHashKey }) =>
      this.reshard(StreamName, (stream) => stream.split(ShardToSplit, BigInt(NewStartingHashKey))),
    MergeShards: ({ StreamName, ShardToMerge, AdjacentShardToMerge }) =>
      this.reshard(StreamName, (stream) => stream.merge(ShardToMerge, AdjacentShardToMerge)),
    UpdateShardCount: ({ StreamName, TargetShardCount }) => {
      const CurrentShardCount = this.stream(StreamName).open.length;
      this.reshard(StreamName, (stream) => stream.rescale(TargetShardCount));
      return { StreamName, CurrentShardCount, TargetShardCount };
    },
    GetShardIterator: (
      { StreamName, ShardId, ShardIteratorType: type, StartingSequenceNumber },
    ) => {
      const { records } = this.stream(StreamName).shard(ShardId);
      const found = records.findIndex((put) =>
        BigInt(put.sequenceNumber) >= BigInt(StartingSequenceNumber ?? 0)
      );
      const from = type === "LATEST" || found < 0
        ? records.length
        : type === "AFTER_SEQUENCE_NUMBER"
        ? found + 1
        : found;
      return { ShardIterator: `${StreamName}/${ShardId}/${type === "TRIM_HORIZON" ? 0 : from}` };
    },
    GetRecords: ({ ShardIterator, Limit = 10_000 }) => this.#getRecords(ShardIterator, Limit),
  };

  #summary(stream: StreamState): object {
    const { maxRecordBytes, mode } = stream.settings;
    return {
      StreamName: stream.name,
      StreamARN: ARN_START + stream.name,
      StreamStatus: "ACTIVE",
      StreamModeDetails: { StreamMode: mode },
      RetentionPeriodHours: 24,
      StreamCreationTimestamp: stream.createdAtMs / 1000,
      EnhancedMonitoring: [],
      OpenShardCount: stream.open.length,
      MaxRecordSizeInKiB: maxRecordBytes / 1024,
    };
  }

  #listShards(name: string): Json[] {
    const shards = this.#describeShards(this.stream(name));
    const lagging = this.#lagging;
    if (lagging === undefined) return shards;
    if (this.settings.now() >= lagging.untilMs) {
      this.#lagging = undefined;
      return shards;
    }
    const known = new Map(lagging.before.map((shard) => [shard.ShardId, shard]));
    switch (lagging.listings++ % 3) {
      case 0:
        return lagging.before;
      case 1: // The closed shards are closed, but those that follow are not there.
        return shards.filter((shard) => known.has(shard.ShardId));
      default: // Those that follow are there, but the closed ones are still open.
        return shards.map((shard) => known.get(shard.ShardId) ?? shard);
    }
  }

  #describeShards(stream: StreamState): Json[] {
    return stream.shards.map((shard) => ({
      ShardId: shard.id,
      ParentShardId: shard.parents[0],
      AdjacentParentShardId: shard.parents[1],
      HashKeyRange: { StartingHashKey: String(shard.start), EndingHashKey: String(shard.end) },
      SequenceNumberRange: {
        StartingSequenceNumber: shard.startingSequenceNumber,
        EndingSequenceNumber: shard.endingSequenceNumber,
      },
    }));
  }

  #putRecords(stream: StreamState, records: readonly PutInput[]): object {
    const bytes = records.reduce(
      (sum, { Data, PartitionKey }) => sum + Data.length + PartitionKey.length,
      0,
    );
    if (records.length < 1 || records.length > MAX_RECORDS || bytes > MAX_REQUEST_BYTES) {
      throw new ServiceError(
        "ValidationException",
        `PutRecords takes 1 to ${MAX_RECORDS} records of ${MAX_REQUEST_BYTES} bytes, found ` +
          `${records.length} of ${bytes}`,
      );
    }
    const results = records.map((record) => {
      try {
        return stream.put(record);
      } catch (error) {
        const { name, message } = error as ServiceError;
        if (name !== "ProvisionedThroughputExceededException") throw error;
        return { ErrorCode: name, ErrorMessage: message };
      }
    });
    return { FailedRecordCount: results.filter((r) => "ErrorCode" in r).length, Records: results };
  }

  #getRecords(iterator: string, limit: number): object {
    const [name, shardId, from] = iterator.split("/") as [string, string, string];
    const shard = this.stream(name).shard(shardId);
    const puts = shard.records.slice(Number(from), Number(from) + limit);
    const next = Number(from) + puts.length;
    const isOver = shard.endingSequenceNumber !== undefined && next === shard.records.length;
    return {
      Records: puts.map((put) => ({
        SequenceNumber: put.sequenceNumber,
        PartitionKey: put.partitionKey,
        Data: put.data,
        ApproximateArrivalTimestamp: put.arrivedAtMs / 1000,
      })),
      NextShardIterator: isOver ? undefined : `${name}/${shardId}/${next}`,
      MillisBehindLatest: 0,
    };
  }
}

/** A stream may be named by its ARN in the place of its name. */
function byName({ StreamARN, ...input }: Json): Json {
  if (StreamARN === undefined) return input;
  if (input.StreamName !== undefined) throw invalid("StreamName and StreamARN do not go together");
  if (!StreamARN.startsWith(ARN_START)) throw notFound(`Stream ${StreamARN}`);
  return { ...input, StreamName: StreamARN.slice(ARN_START.length) };
}
