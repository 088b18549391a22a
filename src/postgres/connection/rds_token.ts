import { getLogger } from "@logtape/logtape";
import type { Place } from "./connect_failure.ts";
import { describe, PostgresError } from "./postgres_error.ts";
import { untilAborted } from "../../base/until_aborted.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** For those who give credentials: the instance's role answers within a second, or not at all. */
const CREDENTIALS_TIMEOUT_MS = 10_000;

/**
 * A new token that lets the role in at this server for the next 15 minutes,
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: signed here, with
 * the credentials that the AWS settings lead to now. Nobody is asked but those who give credentials.
 * @throws {PostgresError} one line that says what is missing; it may be there at the next try.
 */
export async function rdsToken(
  { host, port }: Place,
  user: string,
  signal?: AbortSignal,
): Promise<string> {
  // As IAM has it: the endpoint's name in small letters.
  const hostname = host.toLowerCase();
  try {
    // They take long to load, and few need them.
    const [{ Signer }, { openSession, firstCredentials }] = await Promise.all([
      import("@aws-sdk/rds-signer"),
      import("../../aws/session.ts"),
    ]);
    // Whoever logs in again writes new ones into ~/.aws while this process runs.
    const session = await openSession({
      timeoutMs: CREDENTIALS_TIMEOUT_MS,
      region: regionOfHost(hostname),
    });
    const signer = new Signer({
      ...{ hostname, port, username: user, region: session.region },
      credentials: () => firstCredentials(session, signal),
    });
    const timeout = AbortSignal.timeout(CREDENTIALS_TIMEOUT_MS);
    const token = await untilAborted(
      signer.getAuthToken(),
      signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    );
    logger.debug("signed a token for {user} at {hostname}:{port}", { user, hostname, port });
    return token;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PostgresError(`cannot sign a token for --pg-auth rds-iam: ${describe(cause)}`, {
      transient: true,
      cause,
    });
  }
}

/** Of a name that Amazon gave; in China the region stands behind `rds`. */
export function regionOfHost(host: string): string | undefined {
  return /\.(?:([a-z]{2}(?:-[a-z]+)+-\d)\.rds|rds\.([a-z]{2}(?:-[a-z]+)+-\d))\.amazonaws\.com(?:\.cn)?$/
    .exec(host)?.slice(1).find((region) => region !== undefined);
}
