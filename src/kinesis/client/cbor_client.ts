import {
  type KinesisClient,
  type KinesisClientConfig,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import type { PutRecordRequest, RecordToPut } from "./kinesis_api.ts";
import { CborProtocol } from "./cbor_protocol.ts";
import type { PutCalls, PutOptions, PutRecordAnswer, PutRecordsAnswer } from "./put_calls.ts";
import { streamParameter } from "./stream_arn.ts";

/**
 * A client for puts alone that speaks CBOR 1.1, with the connections, region and credentials of the others.
 * The rest stays JSON: in CBOR 1.1 times are milliseconds, which the SDK reads as seconds.
 */
export function newCborClient(
  newClient: (settings: Partial<KinesisClientConfig>) => KinesisClient,
): KinesisClient {
  return newClient({ protocol: CborProtocol });
}

/** Puts by the SDK's client. */
export class CborPuts implements PutCalls {
  constructor(private readonly client: KinesisClient) {}

  async putRecord(request: PutRecordRequest, options: PutOptions): Promise<PutRecordAnswer> {
    return await this.client.send(
      new PutRecordCommand({
        ...streamParameter(request.streamName),
        PartitionKey: request.partitionKey,
        Data: request.data,
        ExplicitHashKey: request.explicitHashKey,
        SequenceNumberForOrdering: request.sequenceNumberForOrdering,
      }),
      options,
    );
  }

  async putRecords(
    streamName: string,
    records: readonly RecordToPut[],
    options: PutOptions,
  ): Promise<PutRecordsAnswer> {
    return await this.client.send(
      new PutRecordsCommand({
        ...streamParameter(streamName),
        Records: records.map((record) => ({
          PartitionKey: record.partitionKey,
          Data: record.data,
          ExplicitHashKey: record.explicitHashKey,
        })),
      }),
      options,
    );
  }
}
