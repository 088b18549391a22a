import type {
  KinesisApi,
  PutRecordRequest,
  PutRecordsResult,
  RecordToPut,
  StoredAt,
  StreamSummary,
} from "../../../src/kinesis/client/kinesis_api.ts";
import { NotSent } from "../../../src/base/errors.ts";
import type { Clock } from "../../../src/base/clock.ts";
import type { ListedShard } from "../../../src/kinesis/client/listed_shard.ts";
import { ConnectionCut, type FaultyService } from "../../support/fault_server/faulty_service.ts";

export interface Network {
  /** One way, at most. */
  readonly latencyMs: number;
  /** When a client gives up waiting; the request may still arrive. */
  readonly timeoutMs: number;
}

// deno-lint-ignore no-explicit-any -- the API's own JSON shapes
type Json = any;

/** The fault server without sockets: calls that take (virtual) time and may break. */
export class SimulatedKinesis implements KinesisApi {
  readonly region = "us-east-1";
  /** The puts that are under way at this moment. */
  putsInFlight = 0;
  /** From the call of a put until it is ready to be sent, as while credentials are fetched. */
  readyMs = 0;
  /** Told before each request leaves. */
  onRequest: (records: readonly RecordToPut[]) => void = () => {};

  constructor(
    private readonly faulty: FaultyService,
    private readonly clock: Clock,
    private readonly network: Network,
    private readonly random: () => number,
  ) {}

  async putRecord(
    request: PutRecordRequest,
    signal: AbortSignal,
    maySend?: () => boolean,
  ): Promise<StoredAt> {
    await this.#ready(maySend);
    this.onRequest([request]);
    const { ShardId, SequenceNumber } = await this.#put("PutRecord", {
      StreamName: request.streamName,
      SequenceNumberForOrdering: request.sequenceNumberForOrdering,
      ...toJson(request),
    }, signal);
    return { shardId: ShardId, sequenceNumber: SequenceNumber };
  }

  async putRecords(
    streamName: string,
    records: readonly RecordToPut[],
    signal: AbortSignal,
    maySend?: () => boolean,
  ): Promise<readonly PutRecordsResult[]> {
    await this.#ready(maySend);
    this.onRequest(records);
    const input = { StreamName: streamName, Records: records.map(toJson) };
    const { Records } = await this.#put("PutRecords", input, signal);
    return Records.map((result: Json) =>
      result.ErrorCode
        ? { kind: "refused", code: result.ErrorCode, message: result.ErrorMessage }
        : { kind: "stored", shardId: result.ShardId }
    );
  }

  async #ready(maySend: () => boolean = () => true): Promise<void> {
    if (this.readyMs > 0) await this.clock.sleep(this.readyMs);
    if (!maySend()) throw new NotSent();
  }

  async listShards(streamName: string, signal: AbortSignal): Promise<readonly ListedShard[]> {
    const shards: ListedShard[] = [];
    let input: Json = { StreamName: streamName };
    do {
      const { Shards, NextToken } = await this.#call("ListShards", input, signal);
      shards.push(...Shards);
      input = NextToken && { NextToken };
    } while (input !== undefined);
    return shards;
  }

  async describeStream(streamName: string, signal: AbortSignal): Promise<StreamSummary> {
    const input = { StreamName: streamName };
    const { StreamDescriptionSummary: summary } = await this.#call(
      "DescribeStreamSummary",
      input,
      signal,
    );
    return {
      status: summary.StreamStatus,
      createdAt: summary.StreamCreationTimestamp * 1000,
      mode: summary.StreamModeDetails.StreamMode === "ON_DEMAND" ? "on-demand" : "provisioned",
      openShards: summary.OpenShardCount,
      maxRecordBytes: summary.MaxRecordSizeInKiB * 1024,
      distribution: summary.RecordDistributionStrategy,
    };
  }

  async createStream(StreamName: string, shards: number, signal: AbortSignal): Promise<void> {
    const size = shards === 0
      ? { StreamModeDetails: { StreamMode: "ON_DEMAND" } }
      : { ShardCount: shards };
    await this.#call("CreateStream", { StreamName, ...size }, signal);
  }

  close(): void {}

  async #put(operation: string, input: Json, signal: AbortSignal): Promise<Json> {
    this.putsInFlight++;
    try {
      return await this.#call(operation, input, signal);
    } finally {
      this.putsInFlight--;
    }
  }

  async #call(operation: string, input: Json, signal: AbortSignal): Promise<Json> {
    signal.throwIfAborted();
    const timeout = new AbortController();
    const answer = this.#roundTrip(operation, input);
    const tooLate = this.clock.sleep(this.network.timeoutMs, timeout.signal).then(() => {
      throw Object.assign(new Error("the answer took too long"), { name: "TimeoutError" });
    });
    try {
      return await Promise.race([answer, tooLate]);
    } finally {
      timeout.abort();
      answer.catch(() => {});
      tooLate.catch(() => {});
    }
  }

  async #roundTrip(operation: string, input: Json): Promise<Json> {
    await this.#travel();
    try {
      return await this.faulty.call(operation, input);
    } catch (error) {
      if (!(error instanceof ConnectionCut)) throw error;
      throw Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    } finally {
      await this.#travel();
    }
  }

  #travel(): Promise<void> {
    return this.clock.sleep(this.random() * this.network.latencyMs);
  }
}

function toJson({ partitionKey, data, explicitHashKey }: RecordToPut): Json {
  // The writer uses its buffers again: what is on the wire is a copy.
  return { PartitionKey: partitionKey, Data: data.slice(), ExplicitHashKey: explicitHashKey };
}
