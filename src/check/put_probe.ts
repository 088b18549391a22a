import type { KinesisApi } from "../kinesis/client/kinesis_api.ts";
import type { StreamOptions } from "../options.ts";

/** By the API's pattern a hash key, 39 digits; but above 2^128 - 1, so that no shard has it. */
const IMPOSSIBLE_HASH_KEY = "9".repeat(39);

/** `not denied`: refused for its hash key. `stored`: by something that is not Kinesis. */
export type ProbeResult = "not denied" | "stored" | "unknown";

/**
 * Puts what Kinesis can never store, to see whether putting is allowed at all: who may not is answered
 * with AccessDeniedException, who may with InvalidArgumentException. That AWS looks at the policy before
 * it looks at the hash key follows from how its services are built; it was not tried on real AWS.
 * @throws the SDK's error for any other answer.
 */
export async function probePut(
  api: KinesisApi,
  { name, aggregation }: Pick<StreamOptions, "name" | "aggregation">,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const record = {
    partitionKey: "pg2kinesis check",
    data: new TextEncoder().encode("pg2kinesis check"),
    explicitHashKey: IMPOSSIBLE_HASH_KEY,
  };
  try {
    if (aggregation === "kpl") {
      await api.putRecord(
        { ...record, streamName: name, sequenceNumberForOrdering: undefined },
        signal,
      );
      return "stored";
    }
    const [result] = await api.putRecords(name, [record], signal);
    return result?.kind === "stored" ? "stored" : "not denied";
  } catch (error) {
    switch (Object(error).name) {
      case "InvalidArgumentException":
        return "not denied";
      // The form alone was looked at.
      case "ValidationException":
        return "unknown";
      default:
        throw error;
    }
  }
}
