import type { KinesisClient } from "@aws-sdk/client-kinesis";
import { getLogger } from "@logtape/logtape";
import type { CredentialKeeper } from "../../aws/credentials.ts";
import { isAboutCredentials } from "./kinesis_failure.ts";

const log = getLogger(["pg2kinesis", "kinesis"]);

/**
 * Signs a request that was refused for its signature once more if the cause can be fixed here: when
 * other credentials are available than those that were refused (whoever logs in again, or rotates keys,
 * writes new ones while this process runs), or when the answer shows that this machine's clock is wrong.
 * What is refused for its signature was not stored, so that no order is broken and nothing is doubled.
 */
export function renewCredentials(client: KinesisClient, keeper: CredentialKeeper): void {
  let hasToldOfClock = false;
  client.middlewareStack.add(
    (next) => async (args) => {
      const { generation } = keeper;
      try {
        return await next(args);
      } catch (error) {
        if (isOfClock(error)) {
          const seconds = Math.round(client.config.systemClockOffset / 1000);
          if (!hasToldOfClock) {
            log.warn(
              "this machine's clock is {seconds} s {direction} that of AWS, whose time is used for " +
                "signatures; set the clock right",
              { seconds: Math.abs(seconds), direction: seconds > 0 ? "behind" : "ahead of" },
            );
          }
          hasToldOfClock = true;
          return await next(args);
        }
        if (isAboutCredentials(error) && await keeper.lookAgain(generation)) {
          return await next(args);
        }
        throw error;
      }
    },
    { step: "initialize", name: "renewCredentials" },
  );
}

/** The SDK has measured by the answer's date that the clock is off by minutes, and signs by that from now on. */
function isOfClock(error: unknown): boolean {
  const { $metadata } = Object(error) as { $metadata?: { clockSkewCorrected?: boolean } };
  return isAboutCredentials(error) && $metadata?.clockSkewCorrected === true;
}
