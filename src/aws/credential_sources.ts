import type { STSClientConfig } from "@aws-sdk/client-sts";
import { loadSsoSessionData } from "@smithy/core/config";
import { systemClock } from "../base/clock.ts";
import { type Credentials, CredentialsError, type CredentialSource } from "./credentials.ts";
import { containerCredentials, containerUrl, InstanceMetadata } from "./link_local.ts";
import type { Environment } from "./proxy.ts";
import { readSharedConfig, type Section, type SharedConfig } from "./shared_config.ts";

/** What clients of AWS's token services are made with. */
export interface ClientSettings
  extends Pick<STSClientConfig, "requestHandler" | "logger" | "region"> {
  readonly useFipsEndpoint: boolean;
  readonly useDualstackEndpoint: boolean;
}

/** The most that one source may lead to the next: profiles that name each other in a circle. */
const MAX_DEPTH = 10;
/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: an hour unless asked for. */
const ROLE_SECONDS = 3600;
const RENEWAL_TIMEOUT_MS = 5_000;

/**
 * Where the AWS settings lead to now, in the order of the AWS SDKs: the keys of the environment unless
 * AWS_PROFILE is set, the profile, a token for a role, the container, the instance. The first that is
 * there is the one, whatever it gives: another one would be somebody else.
 * @throws {CredentialsError} when there is none.
 */
export async function findSource(
  env: Environment,
  client: ClientSettings,
): Promise<CredentialSource> {
  const config = await readSharedConfig();
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_PROFILE } = env;
  if (!AWS_PROFILE && id && secret) {
    return { name: "the environment (AWS_ACCESS_KEY_ID)", load: () => fromEnvironment(env) };
  }
  const profile = profileSource(config.profileName, config, env, client);
  if (profile !== undefined) return profile;
  if (AWS_PROFILE && config.profiles[AWS_PROFILE] === undefined) {
    throw new CredentialsError(
      `there is no profile ${JSON.stringify(AWS_PROFILE)}`,
      false,
      undefined,
      true,
    );
  }
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role } = env;
  if (tokenFile && role) {
    return webIdentity(`AWS_WEB_IDENTITY_TOKEN_FILE (${role} from STS)`, {
      web_identity_token_file: tokenFile,
      role_arn: role,
      role_session_name: env.AWS_ROLE_SESSION_NAME,
    }, client);
  }
  const container = containerUrl(env);
  if (container !== undefined) {
    return {
      name: `the container (${container})`,
      load: () => containerCredentials(env, container),
    };
  }
  if (InstanceMetadata.isDisabled(env)) {
    throw new CredentialsError(
      "AWS_EC2_METADATA_DISABLED excludes the instance's role",
      false,
      undefined,
      true,
    );
  }
  return instance(env, config.profile);
}

function fromEnvironment(env: Environment): Promise<Credentials> {
  const expiration = new Date(env.AWS_CREDENTIAL_EXPIRATION ?? "");
  return Promise.resolve({
    accessKeyId: env.AWS_ACCESS_KEY_ID!,
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY!,
    ...env.AWS_SESSION_TOKEN ? { sessionToken: env.AWS_SESSION_TOKEN } : {},
    ...Number.isNaN(expiration.getTime()) ? {} : { expiration },
    ...env.AWS_ACCOUNT_ID ? { accountId: env.AWS_ACCOUNT_ID } : {},
  });
}

let hasAnswered = false;

function instance(env: Environment, profile: Section): CredentialSource {
  // Who has asked it before knows that it is there, and can wait.
  const metadata = new InstanceMetadata(env, profile, hasAnswered ? RENEWAL_TIMEOUT_MS : undefined);
  return {
    name: `the instance metadata service (${metadata.endpoint})`,
    isGuess: !hasAnswered,
    load: async () => {
      const found = await metadata.credentials();
      hasAnswered = true;
      return found;
    },
  };
}

/** Undefined: the profile names no credentials. */
function profileSource(
  name: string,
  config: SharedConfig,
  env: Environment,
  client: ClientSettings,
  depth = 0,
): CredentialSource | undefined {
  const section = config.profiles[name];
  if (section === undefined) return undefined;
  const of = (what: string) => `the profile ${JSON.stringify(name)} (${what})`;
  const { role_arn: role, source_profile, credential_source, web_identity_token_file } = section;
  // A profile that names itself as its source means its own keys.
  const isOwnSource = depth > 0 && source_profile === name;
  if (role && (source_profile || credential_source) && !isOwnSource) {
    return {
      name: of(`${role} from STS`),
      load: () => assumeRole(name, section, config, env, client, depth),
    };
  }
  if (section.aws_access_key_id && section.aws_secret_access_key) {
    return { name: of("its keys"), load: () => Promise.resolve(keysOf(section)) };
  }
  if (web_identity_token_file && role) return webIdentity(of(`${role} from STS`), section, client);
  if (section.credential_process) {
    return { name: of("credential_process"), load: () => fromProcess(name, client) };
  }
  if (section.sso_session || section.sso_start_url || section.sso_account_id) {
    return {
      name: of("IAM Identity Center"),
      load: () => fromIdentityCenter(name, section, client),
    };
  }
  if (section.login_session) {
    return { name: of("aws login"), load: () => fromSdk(name, client) };
  }
  return undefined;
}

function keysOf(section: Section): Credentials {
  return {
    accessKeyId: section.aws_access_key_id!,
    secretAccessKey: section.aws_secret_access_key!,
    ...section.aws_session_token ? { sessionToken: section.aws_session_token } : {},
    ...section.aws_account_id ? { accountId: section.aws_account_id } : {},
  };
}

async function assumeRole(
  name: string,
  section: Section,
  config: SharedConfig,
  env: Environment,
  client: ClientSettings,
  depth: number,
): Promise<Credentials> {
  if (depth >= MAX_DEPTH) throw new Error("its source_profile leads back to itself");
  if (section.mfa_serial) {
    throw new Error("it needs an MFA code (mfa_serial), which this program cannot ask for");
  }
  const source = section.source_profile !== undefined
    ? profileSource(section.source_profile, config, env, client, depth + 1)
    : namedSource(section.credential_source!, config, env);
  if (source === undefined) {
    throw new Error(`its source_profile ${section.source_profile} names no credentials`);
  }
  const credentials = await source.load().catch((cause) => {
    throw cause instanceof CredentialsError ? cause : Object.assign(
      new Error(`${source.name}: ${cause instanceof Error ? cause.message : cause}`, { cause }),
      { name: cause?.name ?? "Error", $metadata: cause?.$metadata },
    );
  });
  const { AssumeRoleCommand } = await import("@aws-sdk/client-sts");
  const answer = await withSts(
    { ...client, region: section.region ?? client.region, credentials },
    (sts) =>
      sts.send(
        new AssumeRoleCommand({
          RoleArn: section.role_arn,
          RoleSessionName: section.role_session_name ?? sessionName(),
          ExternalId: section.external_id,
          DurationSeconds: Number(section.duration_seconds ?? ROLE_SECONDS),
        }),
      ),
  );
  return readAnswer(answer, `AssumeRole for ${name}`);
}

function namedSource(
  text: string,
  { profile }: SharedConfig,
  env: Environment,
): CredentialSource {
  switch (text) {
    case "Ec2InstanceMetadata":
      return instance(env, profile);
    case "EcsContainer": {
      const url = containerUrl(env);
      if (url === undefined) throw new Error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set");
      return { name: `the container (${url})`, load: () => containerCredentials(env, url) };
    }
    case "Environment":
      if (!env.AWS_ACCESS_KEY_ID || !env.AWS_SECRET_ACCESS_KEY) {
        throw new Error("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
      }
      return { name: "the environment (AWS_ACCESS_KEY_ID)", load: () => fromEnvironment(env) };
    default:
      throw new Error(
        `its credential_source must be Ec2InstanceMetadata, EcsContainer or Environment, found ${text}`,
      );
  }
}

function webIdentity(name: string, section: Section, client: ClientSettings): CredentialSource {
  return {
    name,
    load: async () => {
      const { AssumeRoleWithWebIdentityCommand } = await import("@aws-sdk/client-sts");
      // Kubernetes writes a new one every hour.
      const token = await Deno.readTextFile(section.web_identity_token_file!);
      const answer = await withSts(
        { ...client, region: section.region ?? client.region },
        (sts) =>
          sts.send(
            new AssumeRoleWithWebIdentityCommand({
              WebIdentityToken: token.trim(),
              RoleArn: section.role_arn,
              RoleSessionName: section.role_session_name ?? sessionName(),
              DurationSeconds: Number(section.duration_seconds ?? ROLE_SECONDS),
            }),
          ),
      );
      return readAnswer(answer, "AssumeRoleWithWebIdentity");
    },
  };
}

async function withSts<T>(
  settings: STSClientConfig,
  use: (client: import("@aws-sdk/client-sts").STSClient) => Promise<T>,
): Promise<T> {
  const { STSClient } = await import("@aws-sdk/client-sts");
  // Not destroyed: its connections are the handler's, which others use.
  return await use(new STSClient(settings));
}

const sessionName = () => `pg2kinesis-${systemClock.wall()}`;

interface StsAnswer {
  readonly Credentials?: {
    readonly AccessKeyId?: string;
    readonly SecretAccessKey?: string;
    readonly SessionToken?: string;
    readonly Expiration?: Date;
  };
  readonly AssumedRoleUser?: { readonly Arn?: string };
}

function readAnswer(
  { Credentials: found, AssumedRoleUser: user }: StsAnswer,
  what: string,
): Credentials {
  if (!found?.AccessKeyId || !found.SecretAccessKey) {
    throw new CredentialsError(`${what} answered without keys`, true);
  }
  const accountId = user?.Arn?.split(":")[4];
  return {
    accessKeyId: found.AccessKeyId,
    secretAccessKey: found.SecretAccessKey,
    ...found.SessionToken === undefined ? {} : { sessionToken: found.SessionToken },
    ...found.Expiration === undefined ? {} : { expiration: found.Expiration },
    ...accountId ? { accountId } : {},
  };
}

async function fromProcess(name: string, client: ClientSettings): Promise<Credentials> {
  const { state } = await Deno.permissions.query({ name: "run" });
  if (state === "denied" || (state === "prompt" && Deno.build.standalone)) {
    throw new Error(
      "this executable has no right to run programs; run the program beside it and give its keys by " +
        "the environment or the credentials file, or run pg2kinesis from source",
    );
  }
  return await fromSdk(name, client);
}

async function fromIdentityCenter(
  name: string,
  { sso_session: session }: Section,
  client: ClientSettings,
): Promise<Credentials> {
  // The SDK fails by a TypeError.
  if (session !== undefined && (await loadSsoSessionData())[session] === undefined) {
    throw new Error(
      `its sso_session names no section [sso-session ${session}] in ~/.aws/config`,
    );
  }
  return await fromSdk(name, client);
}

/** What the SDK alone knows to read: programs, the cache of `aws sso login` and of `aws login`. */
async function fromSdk(name: string, client: ClientSettings): Promise<Credentials> {
  const { fromIni } = await import("@aws-sdk/credential-provider-ini");
  const { logger, ...clientConfig } = client;
  return await fromIni({ profile: name, ignoreCache: true, logger, clientConfig })();
}
