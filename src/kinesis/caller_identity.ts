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
  const [sdk, { NodeHttpHandler }] = await Promise.all([
    import("@aws-sdk/client-sts"),
    import("@smithy/node-http-handler"),
  ]);
  const client = new sdk.STSClient({
    region,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      throwOnRequestTimeout: true,
    }),
  });
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
