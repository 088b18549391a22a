import type { Credentials } from "./credentials.ts";
import { HttpHandler } from "./http_handler.ts";
import type { Environment } from "./proxy.ts";
import { isTrue } from "./setting.ts";
import type { Section } from "./shared_config.ts";

/*
 * What gives a machine or a container its credentials answers at an address of its own, over plain
 * HTTP. The SDK asks it by node:http, without a deadline for the whole answer, and on Deno 2.4 a request
 * that is given up there ends the process (an error that nothing can catch).
 */

const TOKEN_SECONDS = 21_600;
const ROLE_PATH = "/latest/meta-data/iam/security-credentials/";
/** A machine that has the service answers within a millisecond; one that has not, never. */
export const FIRST_TIMEOUT_MS = 1_000;
const RELATIVE_HOST = "http://169.254.170.2";
/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
const CONTAINER_HOSTS =
  /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|169\.254\.170\.(2|23)|\[fd00:ec2::23\])$/;

/** An answer with another status than 200. */
class StatusError extends Error {
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(readonly status: number) {
    super(`HTTP status ${status}`);
    this.$metadata = { httpStatusCode: status };
  }
}

/** The instance metadata service (IMDS) of EC2, version 2, and 1 where that is not switched off. */
export class InstanceMetadata {
  readonly endpoint: string;
  readonly #mayUseV1: boolean;

  constructor(env: Environment, profile: Section, private readonly timeoutMs = FIRST_TIMEOUT_MS) {
    const mode = env.AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE ||
      profile.ec2_metadata_service_endpoint_mode;
    this.endpoint = (env.AWS_EC2_METADATA_SERVICE_ENDPOINT ||
      profile.ec2_metadata_service_endpoint ||
      (mode?.toLowerCase() === "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254"))
      .replace(/\/$/, "");
    this.#mayUseV1 = !isTrue(env.AWS_EC2_METADATA_V1_DISABLED ?? profile.ec2_metadata_v1_disabled);
  }

  static isDisabled(env: Environment): boolean {
    return isTrue(env.AWS_EC2_METADATA_DISABLED);
  }

  async credentials(): Promise<Credentials> {
    const headers = await this.#token();
    const role = (await this.#get(ROLE_PATH, headers)).trim().split("\n", 1)[0]!;
    return readCredentials(await this.#get(ROLE_PATH + encodeURIComponent(role), headers));
  }

  async region(): Promise<string> {
    const headers = await this.#token();
    return (await this.#get("/latest/meta-data/placement/region", headers)).trim();
  }

  async #token(): Promise<Record<string, string>> {
    try {
      const token = await request("PUT", `${this.endpoint}/latest/api/token`, this.timeoutMs, {
        "x-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_SECONDS),
      });
      return { "x-aws-ec2-metadata-token": token };
    } catch (error) {
      // As the SDK has it: no version 2 here, or its answer is lost on the way into a container.
      const hasNoTokens = error instanceof StatusError
        ? [403, 404, 405].includes(error.status)
        : (error as Error).name === "TimeoutError";
      if (this.#mayUseV1 && hasNoTokens) return {};
      throw error;
    }
  }

  #get(path: string, headers: Record<string, string>): Promise<string> {
    return request("GET", this.endpoint + path, this.timeoutMs, headers);
  }
}

/** Where a container's credentials are; undefined: the environment names no such place. */
export function containerUrl(env: Environment): string | undefined {
  const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;
  return relative ? RELATIVE_HOST + relative : env.AWS_CONTAINER_CREDENTIALS_FULL_URI || undefined;
}

/** Of ECS, EKS Pod Identity and whatever else gives credentials in their way. */
export async function containerCredentials(env: Environment, text: string): Promise<Credentials> {
  if (!URL.canParse(text)) throw new Error("that is not a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !CONTAINER_HOSTS.test(url.hostname)) {
    throw new Error("it must be https, this machine, or the address of ECS or EKS");
  }
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = file ? await Deno.readTextFile(file) : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const headers = token ? { authorization: token.trim() } : {};
  return readCredentials(await request("GET", text, 5_000, headers as Record<string, string>));
}

async function request(
  method: string,
  text: string,
  timeoutMs: number,
  headers: Record<string, string>,
): Promise<string> {
  const { protocol, hostname, port, pathname, search } = new URL(text);
  const handler = new HttpHandler({ timeoutMs, isDirect: protocol === "http:" });
  try {
    const { response } = await handler.handle({
      ...{ method, protocol, hostname, path: pathname + search, headers },
      ...port === "" ? {} : { port: Number(port) },
    });
    if (response.statusCode !== 200) throw new StatusError(response.statusCode);
    return new TextDecoder().decode(response.body);
  } finally {
    handler.destroy();
  }
}

function readCredentials(text: string): Credentials {
  let found: Record<string, unknown>;
  try {
    found = Object(JSON.parse(text));
  } catch {
    throw new Error("the answer is not JSON");
  }
  const { AccessKeyId, SecretAccessKey, Token, Expiration, AccountId, Code } = found;
  if (typeof AccessKeyId !== "string" || typeof SecretAccessKey !== "string") {
    throw new Error(`the answer holds no keys${typeof Code === "string" ? ` (Code ${Code})` : ""}`);
  }
  const expiration = new Date(String(Expiration));
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...typeof Token === "string" ? { sessionToken: Token } : {},
    ...Number.isNaN(expiration.getTime()) ? {} : { expiration },
    ...typeof AccountId === "string" ? { accountId: AccountId } : {},
  };
}
