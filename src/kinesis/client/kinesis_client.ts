import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  type KinesisClientConfig,
  ListShardsCommand,
  type PutRecordsResultEntry,
} from "@aws-sdk/client-kinesis";
import { firstCredentials, openSession } from "../../aws/session.ts";
import { systemClock } from "../../base/clock.ts";
import { RunError } from "../../base/errors.ts";
import { AnsweringHandler } from "./answered_call.ts";
import { badAnswer } from "./bad_answer.ts";
import type { KinesisApi, PutRecordsResult, StreamSummary } from "./kinesis_api.ts";
import type { KinesisReadApi, RecordPage, ShardPosition } from "./kinesis_read_api.ts";
import { LeanPuts } from "./lean_puts.ts";
import type { PutCalls } from "./put_calls.ts";
import { renewCredentials } from "./renew_credentials.ts";
import type { ListedShard } from "./listed_shard.ts";
import { parseStreamArn, streamParameter } from "./stream_arn.ts";

/** For a request that carries no records. */
const REQUEST_TIMEOUT_MS = 10_000;
/** For one with up to a mebibyte of records, and again for each further one. */
const RECORDS_TIMEOUT_MS = 30_000;
const MIB = 1024 * 1024;
/** Where DescribeStreamSummary says nothing: the limit that every stream begins with. */
const DEFAULT_MAX_RECORD_KIB = 1024;
const SHARDS_PER_PAGE = 1000;
/** Most that one GetRecords gives. https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html */
const MAX_PAGE_BYTES = 10 * MIB;

export interface ConnectSettings extends Pick<KinesisClientConfig, "endpoint" | "credentials"> {
  /** Wins over the AWS settings. */
  readonly region?: string | undefined;
  /** Ends the wait for credentials that will be there soon. */
  readonly signal?: AbortSignal;
  /** How puts are written. Default: JSON. */
  readonly wire?: "json" | "cbor";
}

/**
 * Connects to Kinesis with the AWS SDK's own settings (AWS_REGION, AWS_PROFILE,
 * AWS_ENDPOINT_URL_KINESIS, IMDS …), over which `settings` win.
 */
export async function connectKinesis(
  { wire = "json", signal, region, ...settings }: ConnectSettings = {},
): Promise<KinesisApi & KinesisReadApi> {
  const session = await openSession({ timeoutMs: REQUEST_TIMEOUT_MS, region });
  const { keeper } = session;
  const requestHandler = new AnsweringHandler(session.http);
  // What is not `memoized` the SDK asks once and never again.
  const provide = Object.assign(() => keeper.get(), { memoized: true });
  const newClient = (more: Partial<KinesisClientConfig> = {}) =>
    rememberUserAgent(
      new KinesisClient({
        ...session.client,
        requestHandler: requestHandler as unknown as KinesisClientConfig["requestHandler"],
        // Retries are the lanes': the SDK would send a request again behind their back and give up.
        maxAttempts: 1,
        credentials: provide,
        ...settings,
        ...more,
      }),
    );
  const client = newClient();
  try {
    const clients = [client];
    let puts: PutCalls = new LeanPuts(client, session.http, systemClock);
    if (wire === "cbor") {
      const { CborPuts, newCborClient } = await import("./cbor_client.ts");
      const cborClient = newCborClient(newClient);
      clients.push(cborClient);
      puts = new CborPuts(cborClient);
    }
    if (settings.credentials === undefined) {
      for (const each of clients) renewCredentials(each, keeper);
      await firstCredentials(session, signal);
    }
    checkEndpoint();
    return new SdkKinesis(client, puts, session.region);
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/** The SDK asks the system's release for each request, which takes a tenth of a small put's time. */
function rememberUserAgent(client: KinesisClient): KinesisClient {
  const { config } = client;
  const provide = config.defaultUserAgentProvider;
  let userAgent: ReturnType<typeof provide> | undefined;
  config.defaultUserAgentProvider = (...args) => userAgent ??= provide(...args);
  return client;
}

/** The SDK finds this out late, and throws a TypeError. */
function checkEndpoint(): void {
  for (const name of ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"]) {
    const text = Deno.env.get(name);
    if (!text) continue;
    if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
      throw new RunError(
        `${name} is not a URL; write it like https://kinesis.eu-west-1.amazonaws.com`,
      );
    }
    return;
  }
}

class SdkKinesis implements KinesisApi, KinesisReadApi {
  constructor(
    private readonly client: KinesisClient,
    private readonly puts: PutCalls,
    readonly region: string,
  ) {}

  async putRecord(
    request: Parameters<KinesisApi["putRecord"]>[0],
    signal: AbortSignal,
    maySend?: () => boolean,
  ) {
    const answer = await this.puts.putRecord(request, {
      ...{ abortSignal: signal, maySend },
      requestTimeout: timeoutFor(request.data.length),
    });
    return {
      shardId: presentText("PutRecord", "ShardId", answer.ShardId),
      sequenceNumber: presentText("PutRecord", "SequenceNumber", answer.SequenceNumber),
    };
  }

  async putRecords(
    streamName: string,
    records: Parameters<KinesisApi["putRecords"]>[1],
    signal: AbortSignal,
    maySend?: () => boolean,
  ): Promise<readonly PutRecordsResult[]> {
    const bytes = records.reduce((sum, record) => sum + record.data.length, 0);
    const { Records } = await this.puts.putRecords(streamName, records, {
      ...{ abortSignal: signal, maySend },
      requestTimeout: timeoutFor(bytes),
    });
    const results = Array.isArray(Records) ? Records : [];
    if (results.length !== records.length) {
      throw badAnswer("PutRecords", `${results.length} results for ${records.length} records`);
    }
    return results.map(readResult);
  }

  async listShards(streamName: string, signal: AbortSignal): Promise<readonly ListedShard[]> {
    const shards: ListedShard[] = [];
    let token: string | undefined;
    do {
      const page = await this.client.send(
        new ListShardsCommand(
          token === undefined
            ? { ...streamParameter(streamName), MaxResults: SHARDS_PER_PAGE }
            : { NextToken: token, MaxResults: SHARDS_PER_PAGE },
        ),
        { abortSignal: signal },
      );
      shards.push(...page.Shards ?? []);
      token = page.NextToken;
    } while (token !== undefined);
    return shards;
  }

  async describeStream(streamName: string, signal: AbortSignal): Promise<StreamSummary> {
    const { StreamDescriptionSummary: summary } = await this.client.send(
      new DescribeStreamSummaryCommand(streamParameter(streamName)),
      { abortSignal: signal },
    );
    return {
      status: present("DescribeStreamSummary", "StreamStatus", summary?.StreamStatus),
      createdAt: summary?.StreamCreationTimestamp?.getTime(),
      mode: summary?.StreamModeDetails?.StreamMode === "ON_DEMAND" ? "on-demand" : "provisioned",
      openShards: summary?.OpenShardCount,
      maxRecordBytes: (summary?.MaxRecordSizeInKiB ?? DEFAULT_MAX_RECORD_KIB) * 1024,
      distribution: summary?.RecordDistributionStrategy,
      arn: summary?.StreamARN,
      kmsKey: summary?.EncryptionType === "KMS" ? summary.KeyId ?? "unknown" : undefined,
    };
  }

  async createStream(streamName: string, shardCount: number, signal: AbortSignal): Promise<void> {
    await this.client.send(
      new CreateStreamCommand({
        StreamName: streamName,
        ...shardCount === 0
          ? { StreamModeDetails: { StreamMode: "ON_DEMAND" } }
          : { ShardCount: shardCount },
      }),
      { abortSignal: signal },
    );
  }

  async getShardIterator(
    streamName: string,
    shardId: string,
    from: ShardPosition,
    signal: AbortSignal,
  ): Promise<string> {
    const answer = await this.client.send(
      new GetShardIteratorCommand({
        ...streamParameter(streamName),
        ShardId: shardId,
        ...iteratorType(from),
      }),
      { abortSignal: signal },
    );
    return present("GetShardIterator", "ShardIterator", answer.ShardIterator);
  }

  async getRecords(
    streamName: string,
    iterator: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<RecordPage> {
    // The iterator says which stream it is; the ARN leads to the account that has it.
    const arn = parseStreamArn(streamName)?.arn;
    const { Records = [], NextShardIterator, MillisBehindLatest } = await this.client.send(
      new GetRecordsCommand({ ShardIterator: iterator, Limit: limit, StreamARN: arn }),
      { abortSignal: signal, requestTimeout: timeoutFor(MAX_PAGE_BYTES) },
    );
    return {
      records: Records.map((record) => ({
        sequenceNumber: present("GetRecords", "SequenceNumber", record.SequenceNumber),
        partitionKey: present("GetRecords", "PartitionKey", record.PartitionKey),
        data: present("GetRecords", "Data", record.Data),
        arrivedAtMs: record.ApproximateArrivalTimestamp?.getTime(),
      })),
      nextIterator: NextShardIterator,
      millisBehindLatest: MillisBehindLatest ?? 0,
    };
  }

  close(): void {
    this.client.destroy();
  }
}

function iteratorType(from: ShardPosition) {
  switch (from.kind) {
    case "oldest":
      return { ShardIteratorType: "TRIM_HORIZON" } as const;
    case "latest":
      return { ShardIteratorType: "LATEST" } as const;
    case "time":
      return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from.atMs) } as const;
    case "after":
      return {
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: from.sequenceNumber,
      } as const;
    default:
      return from satisfies never;
  }
}

/** Whatever has come in the place of a result. */
function readResult(result: unknown): PutRecordsResult {
  const { ErrorCode, ErrorMessage, ShardId, SequenceNumber } = Object(
    result,
  ) as PutRecordsResultEntry;
  if (ErrorCode) return { kind: "refused", code: ErrorCode, message: ErrorMessage ?? "" };
  presentText("PutRecords", "SequenceNumber", SequenceNumber);
  return { kind: "stored", shardId: presentText("PutRecords", "ShardId", ShardId) };
}

function timeoutFor(bytes: number): number {
  return RECORDS_TIMEOUT_MS * Math.max(1, Math.ceil(bytes / MIB));
}

function present<T>(operation: string, field: string, value: T | undefined): T {
  if (value === undefined) throw badAnswer(operation, `no ${field}`);
  return value;
}

function presentText(operation: string, field: string, value: string | undefined): string {
  if (typeof value !== "string" || value === "") throw badAnswer(operation, `no ${field}`);
  return value;
}
