import { getLogger } from "@logtape/logtape";
import { RunError } from "../errors.ts";
import type { ListenAddress, TelemetryOptions } from "../options.ts";
import type { RunObserver } from "./observer.ts";
import { PageData } from "./page_data.ts";
import { PrometheusText } from "./prometheus.ts";
import { whyNotReady } from "./readiness.ts";

const logger = getLogger(["pg2kinesis", "telemetry"]);

/** The page's files; `scripts/build.ts` puts them into the executable. */
const PAGE_FILES: ReadonlyMap<string, { readonly file: string; readonly type: string }> = new Map([
  ["/", { file: "index.html", type: "text/html; charset=utf-8" }],
  ["/page.css", { file: "page.css", type: "text/css; charset=utf-8" }],
  ["/page.js", { file: "page.js", type: "text/javascript; charset=utf-8" }],
]);

/** The page loads nothing from elsewhere, and no other page may frame it. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/**
 * Serves `/metrics`, `/healthz`, `/readyz` and a page that shows the same to a person.
 * @throws {RunError} when the address cannot be listened on.
 */
export function serveTelemetry(
  address: ListenAddress,
  { readyLag }: Pick<TelemetryOptions, "readyLag">,
  observer: RunObserver,
): AsyncDisposable & { readonly port: number } {
  const prometheus = new PrometheusText();
  const data = new PageData(observer);

  const answer = async (request: Request): Promise<Response> => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text(405, "only GET", { allow: "GET, HEAD" });
    }
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/metrics": {
        const body = await prometheus.render(observer.snapshot());
        return text(200, body, { "content-type": prometheus.contentType });
      }
      case "/healthz":
        return text(200, "ok\n");
      case "/readyz": {
        const reason = whyNotReady(observer.snapshot(), readyLag);
        return reason === undefined ? text(200, "ready\n") : text(503, `not ready: ${reason}\n`);
      }
      case "/page.json": {
        const since = Number(searchParams.get("since") ?? 0);
        return text(200, JSON.stringify(data.since(since, readyLag)), {
          "content-type": "application/json",
        });
      }
      default: {
        const page = PAGE_FILES.get(pathname);
        if (page === undefined) {
          return text(404, "there are /, /metrics, /healthz and /readyz here\n");
        }
        const content = await Deno.readTextFile(new URL(`./page/${page.file}`, import.meta.url));
        return text(200, content, { "content-type": page.type });
      }
    }
  };

  const closing = new AbortController();
  const server = listen(address, answer, closing.signal);
  const { port } = server.addr;
  logger.info("metrics, health and a page to look at: http://{address}/", {
    address: addressText({ hostname: server.addr.hostname, port }),
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      data[Symbol.dispose]();
      // Not `shutdown`, which waits for whoever has a connection open and asks nothing.
      closing.abort();
      await server.finished;
    },
  };
}

function listen(
  address: ListenAddress,
  handler: (request: Request) => Promise<Response>,
  signal: AbortSignal,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({
      ...address,
      signal,
      onListen: () => {},
      onError: (error) => {
        logger.debug("cannot answer: {error}", { error });
        return text(500, "cannot answer; the log of --log-level debug says why\n");
      },
    }, handler);
  } catch (error) {
    throw new RunError(
      `cannot listen on ${addressText(address)} (--metrics-addr): ${whyNot(error)}`,
      { cause: error },
    );
  }
}

/** What a person can do about an address that cannot be listened on. */
export function whyNot(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the port is in use; end what listens there, or choose another port";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "this machine has no such address; choose one of its own, such as 127.0.0.1";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "the system does not allow it; ports below 1024 are root's";
  }
  return `${error instanceof Error ? error.message : error}; choose another address`;
}

export function addressText({ hostname, port }: ListenAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: { ...HEADERS, "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
