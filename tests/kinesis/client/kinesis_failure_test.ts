import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Asked, classify, refusalError } from "../../../src/kinesis/client/kinesis_failure.ts";

const ASKED: Asked = {
  verb: "put into",
  stream: "changes",
  region: "eu-west-1",
  action: "kinesis:PutRecord",
};

/** As the SDK throws it. */
function sdkError(name: string, httpStatusCode: number, message = "some words"): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });
}

const RETRIED: readonly [Error, string][] = [
  [sdkError("ProvisionedThroughputExceededException", 400), "throttled"],
  [sdkError("ThrottlingException", 400), "throttled"],
  [sdkError("LimitExceededException", 400), "throttled"],
  [sdkError("KMSThrottlingException", 400), "throttled"],
  [sdkError("SomethingNew", 429), "throttled"],
  [sdkError("InternalFailure", 500), "service"],
  [sdkError("ServiceUnavailable", 503), "service"],
  [sdkError("UnknownError", 502), "service"],
  [sdkError("UnknownError", 408), "service"],
  [sdkError("RequestTimeoutException", 400), "service"],
  [sdkError("RequestAbortedException", 400), "service"],
  [sdkError("ExpiredTokenException", 400), "credentials"],
  [Object.assign(new Error("no"), { name: "CredentialsProviderError" }), "credentials"],
  [Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "network"],
  [Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), "network"],
  [Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" }), "network"],
  [Object.assign(new Error("too long"), { name: "TimeoutError" }), "network"],
  [Object.assign(new TypeError("odd"), { code: "ERR_STREAM" }), "network"],
  [new SyntaxError("Unexpected end of JSON input"), "network"],
];

for (const [error, reason] of RETRIED) {
  const { name, message } = error;
  Deno.test(`classify tries again after ${name}: ${message}`, () => {
    const failure = classify(error, ASKED);
    assertEquals([failure.kind, failure.kind === "retry" && failure.reason], ["retry", reason]);
  });
}

const REFUSED: readonly [Error, RegExp, "stream" | "shard" | "credentials" | undefined][] = [
  [sdkError("AccessDeniedException", 400), /allow kinesis:PutRecord on stream\/changes/, undefined],
  [
    sdkError("ResourceNotFoundException", 400),
    /no such stream in eu-west-1.*--create-stream/,
    "stream",
  ],
  [sdkError("KMSAccessDeniedException", 400), /kms:GenerateDataKey/, undefined],
  [sdkError("KMSDisabledException", 400), /enable the KMS key/, undefined],
  [sdkError("KMSInvalidStateException", 400), /must be enabled/, undefined],
  [sdkError("KMSNotFoundException", 400), /is gone/, undefined],
  [sdkError("KMSOptInRequired", 400), /not signed up for KMS/, undefined],
  [sdkError("UnrecognizedClientException", 400), /access key/, "credentials"],
  [sdkError("InvalidSignatureException", 403), /secret access key/, "credentials"],
  [sdkError("ValidationException", 400), /retrying does not help/, undefined],
  [sdkError("InvalidArgumentException", 400), /retrying does not help/, "shard"],
  // Of a proxy, or of whatever else answers at that address.
  [
    Object.assign(new Error("UnknownError"), {
      name: "Unknown",
      $metadata: { httpStatusCode: 403 },
    }),
    /: HTTP status 403, without an error of Kinesis; the server that answers may not be Kinesis: check AWS_REGION/,
    undefined,
  ],
  [new TypeError("undefined is not a function"), /please report it/, undefined],
];

for (const [error, advice, doubt] of REFUSED) {
  Deno.test(`classify takes ${error.name} for a refusal that names the next step`, () => {
    const failure = classify(error, ASKED);
    if (failure.kind !== "refused") throw new Error(`found ${failure.kind}`);
    assertEquals(failure.doubt, doubt);
    const { message, cause } = refusalError(failure, ASKED, error);
    assertMatch(message, /^cannot put into stream changes \(eu-west-1\): /);
    assertMatch(message, advice);
    if (error.message !== "UnknownError") assertMatch(message, new RegExp(error.message));
    assertEquals(cause, error);
  });
}

Deno.test("classify gives one line, whatever was thrown", () => {
  for (const thrown of ["text", undefined, null, 7, new Error("two\nlines"), { name: "x" }]) {
    const failure = classify(thrown, ASKED);
    assertEquals(failure.kind, "retry");
    assert(!failure.detail.includes("\n"));
  }
});
