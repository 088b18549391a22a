import { NotSent, RunError } from "../base/errors.ts";
import { registerSecret } from "../base/redaction.ts";
import { awsAuthorities, checkSystemAuthorities } from "./authorities.ts";
import { checkProxies, type Environment, type Proxy, proxyFor } from "./proxy.ts";

/** A request of the SDK's, as far as it is used here. */
export interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Record<string, string>;
  /** Bytes are copied before `handle` first waits: they may be written over once it has returned. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

export interface SdkRequestOptions {
  readonly abortSignal?: AbortSignal;
  /** Milliseconds until the last byte of the answer. */
  readonly requestTimeout?: number;
  /** Asked as the request is sent; false: a {@linkcode NotSent} instead. */
  readonly maySend?: (() => boolean) | undefined;
}

/** A whole answer, as the SDK takes it. */
export interface HttpAnswer {
  readonly statusCode: number;
  readonly reason: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface HttpHandlerSettings {
  /** Milliseconds for a request as a whole, from connecting to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly env?: Environment;
  /** The profile's `ca_bundle`: AWS_CA_BUNDLE wins over it. */
  readonly caBundle?: string | undefined;
  /** Never through a proxy: for what is on this machine or its link. */
  readonly isDirect?: boolean;
  /** A connection that was idle for longer is not used. Default: 50 s. */
  readonly maxIdleMs?: number;
}

/** Firewalls forget an idle connection without a word, many after a minute: what is sent then is lost. */
const MAX_IDLE_MS = 50_000;
/** Of an answer; the largest of Kinesis has 10 MiB of records, in base64. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** Where requests go, and by which way. */
interface Target {
  readonly url: URL;
  readonly proxy: Proxy | undefined;
  /** For errors. */
  readonly name: string;
}

/** Connections of one kind, kept open between requests. */
interface Pool {
  readonly client: Deno.HttpClient;
  requests: number;
  isRetired: boolean;
}

/**
 * The SDK's requests by `fetch`, the one client that keeps connections open and notices broken ones on
 * all versions of Deno (node:http of 2.4, which `deno compile` ships, does neither). HTTP/1.1, since
 * `fetch` uploads at a mebibyte a second to HTTP/2 servers with default windows.
 *
 * It follows no redirect: what it sends is signed, and meant for one host. Proxies and authorities are
 * those of the environment: see `proxy.ts` and `authorities.ts`.
 */
export class HttpHandler {
  /** What the SDK asks before it lets clients share a handler. */
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #targets = new Map<string, Target>();
  readonly #pools = new Map<string, Pool>();
  readonly #env: Environment;
  readonly #authorities: readonly string[];

  /** @throws {RunError} where a proxy or a file of authorities cannot be one. */
  constructor(private readonly settings: HttpHandlerSettings) {
    this.#env = settings.env ?? Deno.env.toObject();
    checkSystemAuthorities(this.#env);
    this.#authorities = awsAuthorities(this.#env, settings.caBundle);
    if (!settings.isDirect) checkProxies(this.#env);
  }

  async handle(
    request: SdkRequest,
    options: SdkRequestOptions = {},
  ): Promise<{ readonly response: HttpAnswer }> {
    const { abortSignal, requestTimeout = this.settings.timeoutMs } = options;
    if (options.maySend?.() === false) throw new NotSent();
    const { method, headers, body } = request;
    const target = this.#targetOf(request);
    const pool = this.#poolFor(target);
    // Not AbortSignal.any and .timeout: what they make outlives the request.
    const stop = new AbortController();
    const onAbort = () => stop.abort(abortSignal?.reason);
    if (abortSignal?.aborted) onAbort();
    abortSignal?.addEventListener("abort", onAbort);
    const timer = setTimeout(() => {
      // The others of this kind may be dead too: the next request opens a connection.
      this.#retire(pool);
      const text = `no answer from ${target.name} in ${requestTimeout} ms`;
      stop.abort(named("TimeoutError", text));
    }, requestTimeout);
    pool.requests++;
    try {
      const response = await fetch(target.url, {
        ...{ method, headers, body, client: pool.client },
        signal: stop.signal,
        redirect: "manual",
      });
      await refuseForeign(response, target);
      return {
        response: {
          statusCode: response.status,
          reason: response.statusText,
          // Nobody asks for those of a success.
          get headers() {
            return Object.fromEntries(response.headers);
          },
          body: await readAnswer(response),
        },
      };
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      if (error instanceof ForeignAnswer) throw error;
      throw named("ConnectionError", describe(error) + viaOf(target), error);
    } finally {
      clearTimeout(timer);
      abortSignal?.removeEventListener("abort", onAbort);
      pool.requests--;
      closeUnused(pool);
    }
  }

  destroy(): void {
    for (const pool of this.#pools.values()) this.#retire(pool);
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  /** Nearly all requests go where others went. */
  #targetOf(request: SdkRequest): Target {
    const { protocol, hostname, port, path, query } = request;
    if (query !== undefined && Object.keys(query).length > 0) return this.#newTarget(request);
    const key = `${protocol}//${hostname}:${port}${path}`;
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    const target = this.#newTarget(request);
    this.#targets.set(key, target);
    return target;
  }

  #newTarget(request: SdkRequest): Target {
    const url = urlOf(request);
    const proxy = this.settings.isDirect ? undefined : proxyFor(url, this.#env);
    return { url, proxy, name: url.origin + viaOf({ proxy }) };
  }

  #poolFor({ url, proxy }: Target): Pool {
    const key = proxy === undefined ? url.host : `${proxy.variable} ${proxy.url}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    if (proxy === undefined) exemptFromProxies(url);
    else registerSecret(proxy.basicAuth?.password);
    const pool = { client: this.#newClient(proxy), requests: 0, isRetired: false };
    this.#pools.set(key, pool);
    return pool;
  }

  #newClient(proxy: Proxy | undefined): Deno.HttpClient {
    try {
      return Deno.createHttpClient({
        http1: true,
        http2: false,
        poolIdleTimeout: this.settings.maxIdleMs ?? MAX_IDLE_MS,
        caCerts: [...this.#authorities],
        ...proxy === undefined ? {} : { proxy: { url: proxy.url, basicAuth: proxy.basicAuth } },
      });
    } catch (cause) {
      const of = this.#authorities.length > 0 ? "AWS_CA_BUNDLE" : "the system";
      throw new RunError(`cannot use the certificates of ${of}: ${describe(cause)}`, { cause });
    }
  }

  /** No further request takes a connection from it; those under way end by themselves. */
  #retire(pool: Pool): void {
    pool.isRetired = true;
    for (const [key, each] of this.#pools) if (each === pool) this.#pools.delete(key);
    closeUnused(pool);
  }
}

function closeUnused(pool: Pool): void {
  if (!pool.isRetired || pool.requests > 0) return;
  pool.requests = Infinity;
  pool.client.close();
}

/**
 * Deno's client reads the proxies of the environment too, by rules of its own; a host that stands in
 * NO_PROXY as it is goes direct by those as well.
 */
function exemptFromProxies({ hostname }: URL): void {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const exempt = Deno.env.get("NO_PROXY") || Deno.env.get("no_proxy") || "";
  const entries = exempt.split(",").map((entry) => entry.trim());
  if (entries.includes(host)) return;
  const isProxied = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].some((name) =>
    Deno.env.get(name) || Deno.env.get(name.toLowerCase())
  );
  if (isProxied) Deno.env.set("NO_PROXY", exempt === "" ? host : `${exempt},${host}`);
}

function viaOf({ proxy }: Pick<Target, "proxy">): string {
  return proxy === undefined ? "" : ` through the proxy ${proxy.url} (${proxy.variable})`;
}

function urlOf({ protocol, hostname, port, path, query = {} }: SdkRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}`);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) url.searchParams.append(name, each ?? "");
  }
  return url;
}

/** An answer that AWS does not give: of a proxy, a captive portal, or whatever else is on the way. */
export class ForeignAnswer extends Error {
  override name = "ForeignAnswer";
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(message: string, httpStatusCode: number) {
    super(message);
    this.$metadata = { httpStatusCode };
  }
}

async function refuseForeign(response: Response, { url, name }: Target): Promise<void> {
  const { status, headers } = response;
  const isRedirect = status >= 300 && status < 400;
  if (
    !isRedirect && !/^\s*(text\/html|application\/xhtml)/i.test(headers.get("content-type") ?? "")
  ) {
    return;
  }
  await response.body?.cancel();
  throw new ForeignAnswer(
    `HTTP status ${status} from ${name}, ` +
      (isRedirect
        ? `a redirect${redirectTarget(headers.get("location"), url)}, which is not followed`
        : "with a page of HTML in the place of an answer of AWS"),
    status,
  );
}

function redirectTarget(location: string | null, from: URL): string {
  return location !== null && URL.canParse(location, from.href)
    ? ` to ${new URL(location, from).origin}`
    : "";
}

async function readAnswer(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const length = Number(response.headers.get("content-length") ?? NaN);
  if (length <= MAX_ANSWER_BYTES) return new Uint8Array(await response.arrayBuffer());
  // Of unknown length, or too long.
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new ForeignAnswer(
        `HTTP status ${response.status} with more than ${MAX_ANSWER_BYTES} bytes, which no answer of AWS has`,
        response.status,
      );
    }
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

function named(name: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { name, code: name });
}

/**
 * What a person needs of Deno's words, which begin with `error sending request for url (…): client
 * error (Connect): tcp connect error: ` and may say the reason twice: in itself and as its cause.
 */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = error.cause === undefined
    ? error.message
    : `${error.message}: ${describe(error.cause)}`;
  const parts = said.replace(/^fetch failed: /, "")
    .replace(/^error sending request for url \((.+?)\): /, "$1: ")
    .replace("client error (Connect): ", "").split(": ");
  return [...new Set(parts)].join(": ");
}
