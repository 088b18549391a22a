import type { KinesisClient, KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { CborProtocol } from "./cbor_protocol.ts";

/**
 * A client for puts alone that speaks CBOR 1.1, with the connections, region and credentials of the others.
 * The rest stays JSON: in CBOR 1.1 times are milliseconds, which the SDK reads as seconds.
 */
export function newCborClient(
  newClient: (settings: Partial<KinesisClientConfig>) => KinesisClient,
): KinesisClient {
  return newClient({ protocol: CborProtocol });
}
