import { RunError } from "../../base/errors.ts";
import { parseStreamArn } from "./stream_arn.ts";

/** What an error of the service or the network means for what was asked. */
export type KinesisFailure =
  /** The same request will do later. */
  | {
    readonly kind: "retry";
    readonly reason: "throttled" | "service" | "network" | "credentials";
    readonly detail: string;
    /** Credentials that are not available now, but will be soon; others need somebody who gets new ones. */
    readonly passes?: boolean;
    /** The request, or its answer, did not come through in time. */
    readonly isLate?: boolean;
  }
  /** The request itself was refused; what to do about it. */
  | {
    readonly kind: "refused";
    readonly detail: string;
    readonly advice: string;
    /**
     * The cause may lie in the stream, which is to be looked at before the refusal is believed; or in
     * credentials that are just being replaced.
     */
    readonly doubt: "stream" | "shard" | "credentials" | undefined;
  };

export type KinesisRefusal = Extract<KinesisFailure, { kind: "refused" }>;

/** Where and how something was asked of Kinesis. */
export interface Asked {
  /** What was tried, for a person: `put into`, `describe`. */
  readonly verb: string;
  readonly stream: string;
  readonly region: string;
  /** The IAM action that allows it. */
  readonly action: string;
  /** By a reader of the stream: it can neither make one nor write to it. */
  readonly forReading?: boolean;
  /** By a run that publishes: what it has not stored comes again from the slot. */
  readonly whileRunning?: boolean;
}

const THROTTLED = new Set([
  "ProvisionedThroughputExceededException",
  "LimitExceededException",
  "ThrottlingException",
  "Throttling",
  "KMSThrottlingException",
  "RequestLimitExceeded",
  "TooManyRequestsException",
]);

const SERVICE = new Set([
  "InternalFailure",
  "InternalFailureException",
  "InternalServerError",
  "ServiceUnavailable",
  "ServiceUnavailableException",
  "ResourceInUseException",
  // With a status of 4xx: the service gave up on a body that came too slowly, or was cut off.
  // https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html
  "RequestAbortedException",
  "RequestTimeout",
  "RequestTimeoutException",
]);

/** Of the handler that sends requests, and of a service that waited for the rest of one. */
const LATE = new Set(["TimeoutError", "RequestTimeout", "RequestTimeoutException"]);

/** Temporary credentials that ran out. */
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "RequestExpired"]);

/** Whoever gives credentials gave none. */
const WITHOUT_CREDENTIALS = new Set([
  "CredentialsProviderError",
  "TokenProviderError",
  "ProviderError",
]);

/** Credentials or a signature that the service does not take. */
const NOT_TAKEN = new Set([
  "IncompleteSignature",
  "IncompleteSignatureException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);

/** Whether a request failed for who signed it, or how. */
export function isAboutCredentials(error: unknown): boolean {
  const { name } = readError(error);
  return EXPIRED.has(name) || NOT_TAKEN.has(name);
}

/**
 * What is not Kinesis' answer: our own name for it, and what the SDK makes of an answer without an error
 * of the service or without the service's form.
 */
const FOREIGN = new Set(["ForeignAnswer", "Unknown", "UnknownError", "SyntaxError"]);

/** Errors of this program, not of a connection. */
const BUGS = new Set(["RangeError", "ReferenceError", "TypeError"]);

export const KEPT = "the slot keeps what is not stored";

const FINAL_ADVICE = "retrying does not help";

export const NETWORK_ADVICE =
  "check AWS_REGION, AWS_ENDPOINT_URL_KINESIS and the network path to that host";

const CREDENTIALS_ADVICE = "check the access key that the AWS settings of this process lead to";

/** Advice for each error that retrying does not fix, by the service's name for it. */
const ADVICE: Readonly<Record<string, (asked: Asked) => string>> = {
  AccessDeniedException: ({ action, stream }) =>
    parseStreamArn(stream) === undefined
      ? `allow ${action} on stream/${stream} in IAM`
      : `allow ${action} on ${stream} in IAM, and where it is another account's in the resource ` +
        "policy of the stream too",
  ResourceNotFoundException: ({ region, stream, forReading }) => {
    const isArn = parseStreamArn(stream) !== undefined;
    return `there is no such stream in ${region}: check --stream-name` +
      (isArn ? "" : " and the region") + (forReading || isArn ? "" : ", or use --create-stream");
  },
  KMSAccessDeniedException: ({ forReading }) =>
    `allow ${forReading ? "kms:Decrypt" : "kms:GenerateDataKey"} on the stream's key`,
  KMSDisabledException: () => "enable the KMS key that encrypts the stream",
  KMSInvalidStateException: () => "the KMS key that encrypts the stream must be enabled",
  KMSNotFoundException: () =>
    "the KMS key that encrypts the stream is gone: give the stream another",
  KMSOptInRequired: () => "the AWS account is not signed up for KMS",
  UnrecognizedClientException: () => CREDENTIALS_ADVICE,
  InvalidClientTokenId: () => CREDENTIALS_ADVICE,
  IncompleteSignature: () => CREDENTIALS_ADVICE,
  IncompleteSignatureException: () => CREDENTIALS_ADVICE,
  MissingAuthenticationToken: () => CREDENTIALS_ADVICE,
  MissingAuthenticationTokenException: () => CREDENTIALS_ADVICE,
  InvalidSignatureException: () => "check the secret access key and this machine's clock",
  SignatureDoesNotMatch: () => "check the secret access key and this machine's clock",
  // The SDK finds no host for what was asked.
  EndpointError: () =>
    "check AWS_REGION, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, AWS_ENDPOINT_URL_KINESIS " +
    "and AWS_ACCOUNT_ID_ENDPOINT_MODE",
  OptInRequired: () => "the AWS account is not signed up for Kinesis in this region",
};

/** What an error means. Errors with a 4xx status that are not known are refusals. */
export function classify(error: unknown, asked: Asked): KinesisFailure {
  const { name, status, code, message, passes } = readError(error);
  const isForeign = status !== undefined && FOREIGN.has(name);
  const detail = name === "ForeignAnswer"
    ? message
    : isForeign
    ? `HTTP status ${status}, without an ${status >= 400 ? "error" : "answer"} of Kinesis`
    : `${name === "Error" && code ? code : name}: ${message.replace(/\.$/, "")}`;
  const isLate = LATE.has(name) || status === 408;
  if (THROTTLED.has(name) || status === 429) return { kind: "retry", reason: "throttled", detail };
  if (EXPIRED.has(name)) return { kind: "retry", reason: "credentials", detail };
  if (WITHOUT_CREDENTIALS.has(name)) {
    return { kind: "retry", reason: "credentials", detail: message, passes: passes === true };
  }
  const advice = ADVICE[name];
  if (advice !== undefined) {
    const doubt = name === "ResourceNotFoundException"
      ? "stream"
      : NOT_TAKEN.has(name)
      ? "credentials"
      : undefined;
    return { kind: "refused", detail, advice: advice(asked), doubt };
  }
  if (SERVICE.has(name) || status === 408 || (status !== undefined && status >= 500)) {
    return { kind: "retry", reason: "service", detail, isLate };
  }
  if (status !== undefined && status >= 400) {
    // A closed shard's sequence number may be an invalid argument for the shard that follows it.
    const doubt = name === "InvalidArgumentException" ? "shard" : undefined;
    const advice = isForeign
      ? `the server that answers may not be Kinesis: ${NETWORK_ADVICE}`
      : FINAL_ADVICE;
    return { kind: "refused", detail, advice, doubt };
  }
  if (BUGS.has(name) && code === undefined) {
    return { kind: "refused", detail, advice: "please report it", doubt: undefined };
  }
  return { kind: "retry", reason: "network", detail, isLate };
}

/** The one line for the operator. */
export function refusalError(
  failure: Pick<KinesisRefusal, "detail" | "advice">,
  asked: Asked,
  cause: unknown,
): RunError {
  return new RunError(
    `cannot ${asked.verb} stream ${asked.stream} (${asked.region}): ${failure.detail}; ${failure.advice}` +
      (asked.whileRunning ? `; ${KEPT}, for the next start` : ""),
    { cause },
  );
}

function readError(error: unknown) {
  const { name, message, code, passes, $metadata, $response } = Object(error) as {
    name?: string;
    passes?: boolean;
    message?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number };
  };
  return {
    name: String(name ?? "Error"),
    message: String(message || error).split("\n", 1)[0]!.trim(),
    code,
    passes,
    status: $metadata?.httpStatusCode ?? $response?.statusCode,
  };
}
