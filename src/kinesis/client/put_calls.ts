import type { PutRecordRequest, RecordToPut } from "./kinesis_api.ts";

/** The answer to PutRecord, as the SDK gives it: what the service leaves out is undefined. */
export interface PutRecordAnswer {
  readonly ShardId?: string | undefined;
  readonly SequenceNumber?: string | undefined;
}

/** The answer to PutRecords, as far as it is used. */
export interface PutRecordsAnswer {
  readonly Records?:
    | readonly {
      readonly ShardId?: string | undefined;
      readonly ErrorCode?: string | undefined;
      readonly ErrorMessage?: string | undefined;
    }[]
    | undefined;
}

export interface PutOptions {
  readonly abortSignal: AbortSignal;
  /** Milliseconds until the last byte of the answer. */
  readonly requestTimeout: number;
  /** Asked as the request is sent, which may be long after the call: credentials may have to be fetched first. */
  readonly maySend?: (() => boolean) | undefined;
}

/** The two calls that store records, on one of the service's wires. Errors are the SDK's. */
export interface PutCalls {
  putRecord(request: PutRecordRequest, options: PutOptions): Promise<PutRecordAnswer>;
  putRecords(
    streamName: string,
    records: readonly RecordToPut[],
    options: PutOptions,
  ): Promise<PutRecordsAnswer>;
}
