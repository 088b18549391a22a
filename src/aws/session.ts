import { getLogger } from "@logtape/logtape";
import type { KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { keepTrying } from "../base/keep_trying.ts";
import { LastingTrouble } from "../base/lasting_trouble.ts";
import { type ClientSettings, findSource } from "./credential_sources.ts";
import { CredentialKeeper, CredentialsError } from "./credentials.ts";
import { HttpHandler } from "./http_handler.ts";
import { InstanceMetadata } from "./link_local.ts";
import type { Environment } from "./proxy.ts";
import { booleanSetting, isRegion } from "./setting.ts";
import { readSharedConfig, type SharedConfig } from "./shared_config.ts";

/** How long the start waits for a source that, by its answer, will work soon. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 1_000;
const SAYING_RATE = { repeatMs: 5_000, saysNewReasons: true };

const log = getLogger(["pg2kinesis", "aws"]);

/** The AWS settings lead to no region, or to nobody who gives credentials. */
export class MissingSetting extends RunError {
  override name = "MissingSetting";

  constructor(readonly what: "region" | "credentials", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** What all clients of AWS in this process share, by the AWS settings. */
export interface AwsSession {
  readonly region: string;
  readonly keeper: CredentialKeeper;
  readonly http: HttpHandler;
  /** For a client of the SDK; its credentials are the keeper's. */
  readonly client: ClientSettings & Pick<KinesisClientConfig, "requestHandler" | "logger"> & {
    readonly region: string;
  };
}

export interface SessionOptions {
  /** Milliseconds for a request that does not say otherwise. */
  readonly timeoutMs: number;
  /** Wins over the settings: of a stream's ARN. */
  readonly region?: string | undefined;
}

/**
 * Reads the AWS settings: region, proxies, authorities, kind of endpoint; and where credentials are.
 * @throws {RunError} one line, where they cannot be used.
 */
export async function openSession(
  { timeoutMs, region: given }: SessionOptions,
): Promise<AwsSession> {
  const env = Deno.env.toObject();
  const config = await readSharedConfig();
  const { profile } = config;
  const http = new HttpHandler({ timeoutMs, env, caBundle: profile.ca_bundle });
  const useFipsEndpoint = booleanSetting(
    ...[env, "AWS_USE_FIPS_ENDPOINT", profile, "use_fips_endpoint"] as const,
  );
  const useDualstackEndpoint = booleanSetting(
    ...[env, "AWS_USE_DUALSTACK_ENDPOINT", profile, "use_dualstack_endpoint"] as const,
  );
  const region = given ?? await findRegion(env, config);
  const client = {
    region,
    requestHandler: http as unknown as ClientSettings["requestHandler"],
    useFipsEndpoint,
    useDualstackEndpoint,
    logger: SDK_LOGGER,
  };
  const keeper = new CredentialKeeper(
    () => findSource(Deno.env.toObject(), client),
    systemClock,
    Math.random,
  );
  return { region, keeper, http, client };
}

/** Its credentials, when they are needed for the first time. @throws {RunError} */
export async function firstCredentials({ keeper }: AwsSession, signal?: AbortSignal) {
  const giveUpAtMs = systemClock.now() + PATIENCE_MS;
  const trouble = new LastingTrouble(systemClock, SAYING_RATE);
  return await keepTrying(() => keeper.get(), {
    clock: systemClock,
    signal,
    pauseMs: () => PAUSE_MS,
    failed: (error) => {
      const isWorthATry = error instanceof CredentialsError && error.passes;
      if (!isWorthATry || systemClock.now() >= giveUpAtMs) throw forOperator(error);
      if (trouble.failed(error.message) === undefined) return;
      log.warn("{detail}; trying again", { detail: error.message });
    },
  });
}

function forOperator(cause: unknown): RunError {
  const detail = cause instanceof Error ? cause.message.split("\n", 1)[0]! : String(cause);
  if (cause instanceof CredentialsError && !cause.isAbsent) {
    return new RunError(
      `${detail}; fix that, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
      { cause },
    );
  }
  const profile = Deno.env.get("AWS_PROFILE");
  return new MissingSetting(
    "credentials",
    (profile
      ? `no AWS credentials found for the profile ${JSON.stringify(profile)} that AWS_PROFILE ` +
        "names: check ~/.aws/config and ~/.aws/credentials, or unset AWS_PROFILE "
      : "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or " +
        "AWS_PROFILE, or run where a role provides them ") + `(${detail})`,
    { cause },
  );
}

/**
 * The region: AWS_REGION, AWS_DEFAULT_REGION, the profile's, the instance's.
 * @throws {RunError} where there is none, or it cannot be one.
 */
async function findRegion(env: Environment, { profile }: SharedConfig): Promise<string> {
  const advice = "AWS_REGION, or the region in the profile that AWS_PROFILE names";
  const found = env.AWS_REGION || env.AWS_DEFAULT_REGION || profile.region;
  if (found) {
    if (isRegion(found)) return found;
    throw new MissingSetting(
      "region",
      `the AWS region cannot be one (found ${JSON.stringify(found)}): correct ${advice}`,
    );
  }
  let reason = "";
  if (!InstanceMetadata.isDisabled(env)) {
    const metadata = new InstanceMetadata(env, profile);
    try {
      const region = await metadata.region();
      if (isRegion(region)) return region;
      reason = `${metadata.endpoint} gives ${JSON.stringify(region.slice(0, 40))}`;
    } catch (error) {
      reason = `${metadata.endpoint}: ${(error as Error).message}`;
    }
    reason = `; the instance metadata service gives none (${reason})`;
  }
  throw new MissingSetting("region", `no AWS region found: set ${advice}${reason}`);
}

/** What the SDK would write to the console, in lines of its own making: one line of our log. */
const SDK_LOGGER: NonNullable<KinesisClientConfig["logger"]> = {
  debug: () => {},
  info: () => {},
  warn: (...content: unknown[]) =>
    log.warn("the AWS SDK says: {remark}", {
      remark: content.join(" ").replace(/\s+/g, " ").trim(),
    }),
  error: () => {},
};
