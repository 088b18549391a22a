import type { KinesisClient, KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { holdData, NO_DATA, releaseBody, useNativeBase64 } from "./base64_body.ts";
import { BufferPool } from "./buffer_pool.ts";

/** Of bodies that wait to be used again: those of a few lanes. */
const MAX_FREE_BODY_BYTES = 4 * 1024 * 1024;

/** How puts are written: JSON 1.1 with base64, as all else, or CBOR 1.1 with the bytes as they are. */
export interface PutWire {
  /** Sends puts. */
  readonly client: KinesisClient;
  /** What stands as `Data` in the input of a command that carries `data`. */
  dataOf(data: Uint8Array): Uint8Array;
  /** Gives the input what its commands' records carry, in order. */
  carry<T extends object>(input: T, data: readonly Uint8Array[]): T;
  /** The command of that input was answered. */
  answered(input: object): void;
}

/** Writes puts by the client that all else goes by. */
export function jsonWire(client: KinesisClient): PutWire {
  const bodies = new BufferPool(MAX_FREE_BODY_BYTES);
  useNativeBase64(client, bodies);
  return {
    client,
    dataOf: () => NO_DATA,
    carry: holdData,
    answered: (input) => releaseBody(input, bodies),
  };
}

/**
 * Writes puts by a client of their own, which shares connections, region and credentials with the
 * other. The rest stays JSON: in CBOR 1.1 times are milliseconds, which the SDK reads as seconds.
 */
export async function cborWire(
  newClient: (settings: Partial<KinesisClientConfig>) => KinesisClient,
  json: KinesisClient,
): Promise<PutWire> {
  const { CborProtocol } = await import("./cbor_protocol.ts");
  // They are renewed there. What is not `memoized` the SDK asks once and never again.
  const credentials = Object.assign(
    (options?: Record<string, unknown>) => json.config.credentials(options),
    { memoized: true },
  );
  const client = newClient({ protocol: CborProtocol, credentials });
  return {
    client,
    dataOf: (data) => data,
    carry: (input) => input,
    answered: () => {},
  };
}
