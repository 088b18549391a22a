import type { KinesisClient } from "@aws-sdk/client-kinesis";

const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "RequestExpired"]);

/**
 * Looks for credentials again when the service says that they have expired. The SDK renews only those
 * that come with a time of expiry, and reads `~/.aws/credentials` once; but whoever logs in again
 * writes new ones there while this process runs. `holder` is the client whose credentials are used.
 */
export function renewCredentials(client: KinesisClient, holder = client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const { config } = holder;
        if (EXPIRED.has(String((error as Error | undefined)?.name))) {
          config.credentials = config.credentialDefaultProvider({ ignoreCache: true });
        }
        throw error;
      }
    },
    { step: "initialize", name: "renewCredentials" },
  );
}
