/** A request of the SDK's, as far as it is used here; all of Kinesis is POST with a body. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

interface SdkRequestOptions {
  readonly abortSignal?: AbortSignal;
  readonly requestTimeout?: number;
}

/**
 * The SDK's requests by Deno's `fetch`, for older versions of Deno: in 2.4 (which `deno compile` ships)
 * node:http opens a connection for each request and does not notice that one was cut. HTTP/1.1, as
 * `fetch` uploads at a mebibyte a second to HTTP/2 servers with default windows.
 */
export class FetchHandler {
  readonly #client = Deno.createHttpClient({ http1: true, http2: false });

  constructor(private readonly timeoutMs: number) {}

  async handle(request: SdkRequest, options: SdkRequestOptions = {}) {
    const { abortSignal, requestTimeout = this.timeoutMs } = options;
    const { method, protocol, hostname, port, path, headers, body } = request;
    const url = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}`;
    // Not AbortSignal.any and .timeout: what they make outlives the request.
    const stop = new AbortController();
    const onAbort = () => stop.abort(abortSignal?.reason);
    if (abortSignal?.aborted) onAbort();
    abortSignal?.addEventListener("abort", onAbort);
    const timer = setTimeout(() => {
      stop.abort(named("TimeoutError", `no answer from ${url} in ${requestTimeout} ms`));
    }, requestTimeout);
    try {
      const { signal } = stop;
      const response = await fetch(url, { method, headers, body, signal, client: this.#client });
      return {
        response: {
          statusCode: response.status,
          reason: response.statusText,
          headers: Object.fromEntries(response.headers),
          body: new Uint8Array(await response.arrayBuffer()),
        },
      };
    } catch (error) {
      throw stop.signal.aborted
        ? stop.signal.reason
        : named("ConnectionError", describe(error), error);
    } finally {
      clearTimeout(timer);
      abortSignal?.removeEventListener("abort", onAbort);
    }
  }

  destroy(): void {
    this.#client.close();
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }
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
  const parts = said.replace(/^error sending request for url \((.+?)\): /, "$1: ")
    .replace("client error (Connect): ", "").split(": ");
  return [...new Set(parts)].join(": ");
}
