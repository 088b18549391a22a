import { type KinesisClient, PutRecordCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import type { Credentials } from "../../aws/credentials.ts";
import type { HttpAnswer, HttpHandler, SdkRequest } from "../../aws/http_handler.ts";
import { hashBody, RequestSigner } from "../../aws/signature.ts";
import type { Clock } from "../../base/clock.ts";
import type { AnsweredCall } from "./answered_call.ts";
import type { PutRecordRequest, RecordToPut } from "./kinesis_api.ts";
import { BufferPool } from "./buffer_pool.ts";
import type { PutCalls, PutOptions, PutRecordAnswer, PutRecordsAnswer } from "./put_calls.ts";
import { type PutBody, putRecordBody, putRecordsBody } from "./put_body.ts";
import { streamParameter } from "./stream_arn.ts";

type PutName = "PutRecord" | "PutRecords";

/** What the requests of one call to one stream have in common. */
interface Route {
  readonly target: Omit<SdkRequest, "headers" | "body">;
  /** Knows the headers that are signed. */
  readonly signer: RequestSigner;
  readonly otherHeaders: Readonly<Record<string, string>>;
}

/** The largest body, that of an aggregate of nearly a mebibyte; seldom is there a second at the same time. */
const MAX_FREE_BODY_BYTES = 2 * 1024 * 1024;
const NO_DATA = new Uint8Array(0);
const EMPTY_OBJECT = new TextEncoder().encode("{}");
/** What each request has anew. */
const OF_ONE_REQUEST = new Set([
  "amz-sdk-invocation-id",
  "amz-sdk-request",
  "authorization",
  "content-length",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token",
]);
/** Not signed by the SDK either: proxies may change it. */
const UNSIGNED = new Set(["user-agent", "x-amz-user-agent"]);
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Puts that are written straight into a buffer and signed at once, for a fraction of the SDK's price.
 * The SDK still says where a request goes and with which headers, and reads every answer that is not
 * a plain success: so endpoints, error names and the measured clock are its own.
 */
export class LeanPuts implements PutCalls {
  readonly #pool = new BufferPool(MAX_FREE_BODY_BYTES);
  readonly #routes = new Map<string, Route>();

  constructor(
    /** Its handler is an `AnsweringHandler`. */
    private readonly client: KinesisClient,
    private readonly handler: Pick<HttpHandler, "handle">,
    private readonly clock: Pick<Clock, "wall">,
  ) {}

  async putRecord(request: PutRecordRequest, options: PutOptions): Promise<PutRecordAnswer> {
    const put = () => {
      const write = () => putRecordBody(request, this.#pool);
      return this.#put("PutRecord", request.streamName, write, options);
    };
    const answer = await put();
    const result = readSuccess<PutRecordAnswer>(answer);
    if (typeof result?.ShardId === "string" && typeof result.SequenceNumber === "string") {
      return result;
    }
    const command = new PutRecordCommand({
      ...streamParameter(request.streamName),
      PartitionKey: request.partitionKey,
      Data: NO_DATA,
    });
    return await this.client.send(command, replay(answer, put, options));
  }

  async putRecords(
    streamName: string,
    records: readonly RecordToPut[],
    options: PutOptions,
  ): Promise<PutRecordsAnswer> {
    const put = () => {
      const write = () => putRecordsBody(streamName, records, this.#pool);
      return this.#put("PutRecords", streamName, write, options);
    };
    const answer = await put();
    const result = readSuccess<PutRecordsAnswer>(answer);
    if (Array.isArray(result?.Records)) return result;
    const command = new PutRecordsCommand({ ...streamParameter(streamName), Records: [] });
    return await this.client.send(command, replay(answer, put, options));
  }

  async #put(
    name: PutName,
    streamName: string,
    write: () => PutBody,
    options: PutOptions,
  ): Promise<HttpAnswer> {
    const credentials = await this.client.config.credentials() as Credentials;
    const route = await this.#routeOf(name, streamName, credentials);
    const { buffer, length } = write();
    const body = buffer.subarray(0, length);
    const bodyHash = await hashBody(body);
    // From here on without waiting: the handler copies the body, and the next put has the buffer.
    const atMs = this.clock.wall() + this.client.config.systemClockOffset;
    const headers = { ...route.otherHeaders, ...route.signer.sign(bodyHash, credentials, atMs) };
    const answered = this.handler.handle({ ...route.target, headers, body }, options);
    this.#pool.give(buffer);
    return (await answered).response;
  }

  /** By the SDK, which makes a request that is not sent. The account can be part of the endpoint. */
  async #routeOf(name: PutName, streamName: string, { accountId }: Credentials): Promise<Route> {
    const key = `${name} ${accountId} ${streamName}`;
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const stream = streamParameter(streamName);
    let request: SdkRequest | undefined;
    const call: AnsweredCall = {
      answer: (made) => {
        request = made;
        return Promise.resolve({ statusCode: 200, reason: "OK", headers: {}, body: EMPTY_OBJECT });
      },
    };
    await (name === "PutRecord"
      ? this.client.send(
        new PutRecordCommand({ ...stream, PartitionKey: "-", Data: NO_DATA }),
        call,
      )
      : this.client.send(new PutRecordsCommand({ ...stream, Records: [] }), call));
    const route = readRoute(request!);
    this.#routes.set(key, route);
    return route;
  }
}

function readRoute({ method, protocol, hostname, port, path, query, headers }: SdkRequest): Route {
  const scope = /Credential=[^/]+\/\d{8}\/([^/]+)\/([^/]+)\//.exec(headers.authorization ?? "");
  if (scope === null) throw new Error("the AWS SDK no longer signs as it did; please report it");
  const signedHeaders: Record<string, string> = {};
  const otherHeaders: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (OF_ONE_REQUEST.has(lower)) continue;
    (UNSIGNED.has(lower) ? otherHeaders : signedHeaders)[lower] = value;
  }
  return {
    target: {
      ...{ method, protocol, hostname, path },
      ...port === undefined ? {} : { port },
      ...query === undefined ? {} : { query },
    },
    signer: new RequestSigner(
      { region: scope[1]!, service: scope[2]! },
      { method, path, headers: signedHeaders },
    ),
    otherHeaders,
  };
}

/** The content of an answer that is a success, and nothing else. */
function readSuccess<T>({ statusCode, body }: HttpAnswer): T | undefined {
  if (statusCode !== 200) return undefined;
  try {
    const content = JSON.parse(decoder.decode(body));
    return typeof content === "object" && content !== null ? content : undefined;
  } catch {
    return undefined;
  }
}

/** Gives the SDK the answer that has come, and sends again when it asks once more. */
function replay(
  answer: HttpAnswer,
  again: () => Promise<HttpAnswer>,
  options: PutOptions,
): PutOptions & AnsweredCall {
  let next: HttpAnswer | undefined = answer;
  return {
    ...options,
    answer: () => {
      const given = next;
      next = undefined;
      return given === undefined ? again() : Promise.resolve(given);
    },
  };
}
