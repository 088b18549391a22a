import type { KinesisClient, KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { CborProtocol } from "./cbor_protocol.ts";

/**
 * A client for puts alone that speaks CBOR 1.1, with connections, region and credentials of `json`. The
 * rest stays JSON: in CBOR 1.1 times are milliseconds, which the SDK reads as seconds.
 */
export function newCborClient(
  newClient: (settings: Partial<KinesisClientConfig>) => KinesisClient,
  json: KinesisClient,
): KinesisClient {
  // They are renewed there. What is not `memoized` the SDK asks once and never again.
  const credentials = Object.assign(
    (options?: Record<string, unknown>) => json.config.credentials(options),
    { memoized: true },
  );
  return newClient({ protocol: CborProtocol, credentials });
}
