import { openSession } from "../../aws/session.ts";

/** Whose credentials the AWS settings lead to. */
export interface CallerIdentity {
  readonly account: string;
  /** `arn:aws:sts::123456789012:assumed-role/publisher/i-0123`. */
  readonly arn: string;
}

const TIMEOUT_MS = 5_000;

/**
 * Asks AWS's token service who we are, which everybody may; with the same settings as Kinesis' client.
 * @throws the SDK's error.
 */
export async function callerIdentity(region: string, signal: AbortSignal): Promise<CallerIdentity> {
  const sdk = await import("@aws-sdk/client-sts");
  const session = await openSession({ timeoutMs: TIMEOUT_MS, region });
  const credentials = Object.assign(() => session.keeper.get(), { memoized: true });
  const client = new sdk.STSClient({ ...session.client, maxAttempts: 1, credentials });
  try {
    const { Account = "unknown", Arn = "unknown" } = await client.send(
      new sdk.GetCallerIdentityCommand({}),
      { abortSignal: signal },
    );
    return { account: Account, arn: Arn };
  } finally {
    client.destroy();
  }
}
