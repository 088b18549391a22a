import { getLogger } from "@logtape/logtape";
import { RunError } from "../base/errors.ts";
import type { ListenAddress, TelemetryOptions } from "../options.ts";
import { printable } from "../base/printable.ts";
import { type HttpAnswer, HttpListener } from "./http_listener.ts";
import { type HttpRequest, isOwnHost } from "./http_request.ts";
import type { RunObserver } from "./observer.ts";
import { PageData } from "./page_data.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "./prometheus.ts";
import { redact } from "../base/redaction.ts";
import { whyNotReady } from "./readiness.ts";

const logger = getLogger(["pg2kinesis", "telemetry"]);

/** The page's files; `scripts/build.ts` puts them into the executable. */
const PAGE_FILES: ReadonlyMap<string, { readonly file: string; readonly type: string }> = new Map([
  ["/", { file: "index.html", type: "text/html; charset=utf-8" }],
  ["/page.css", { file: "page.css", type: "text/css; charset=utf-8" }],
  ["/page.js", { file: "page.js", type: "text/javascript; charset=utf-8" }],
]);

/** Hosts that a warning names; whoever asks makes them up. */
const MAX_REFUSED_TOLD = 10;

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
  { readyLag, metricsHosts = [] }:
    & Pick<TelemetryOptions, "readyLag">
    & Partial<Pick<TelemetryOptions, "metricsHosts">>,
  observer: RunObserver,
): AsyncDisposable & { readonly port: number } {
  const data = new PageData(observer);
  const hosts = [address.hostname, ...metricsHosts];
  const refused = new Set<string>();

  const refuse = (host: string): HttpAnswer => {
    if (!refused.has(host) && refused.size < MAX_REFUSED_TOLD) {
      refused.add(host);
      logger.warn(
        "refused a metrics request for host {host}; if the name is yours, start with " +
          "--metrics-host {host}",
        { host },
      );
    }
    return text(421, "not for this host; --metrics-host names others\n");
  };

  const answer = async ({ method, target, host }: HttpRequest): Promise<HttpAnswer> => {
    // Every browser names one.
    if (host !== undefined && !isOwnHost(host, hosts)) return refuse(host);
    if (method !== "GET" && method !== "HEAD") return text(405, "only GET", { allow: "GET, HEAD" });
    const { pathname, searchParams } = new URL(`http://localhost${target}`);
    switch (pathname) {
      case "/metrics": {
        const body = prometheusText(observer.snapshot());
        return text(200, body, { "content-type": PROMETHEUS_CONTENT_TYPE });
      }
      case "/healthz":
        return text(200, "ok\n");
      case "/readyz": {
        const reason = whyNotReady(observer.snapshot(), readyLag);
        if (reason === undefined) return text(200, "ready\n");
        return text(503, `not ready: ${printable(redact(reason))}\n`);
      }
      case "/page.json": {
        const since = Number(searchParams.get("since") ?? 0);
        return text(200, JSON.stringify(data.since(since, readyLag), shown), {
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

  const listener = listen(address);
  const { hostname, port } = listener.addr;
  const server = new HttpListener(listener, answer);
  logger.info("metrics, health and a page to look at: http://{address}/", {
    address: addressText({ hostname, port }),
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      data[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function listen(address: ListenAddress): Deno.TcpListener {
  try {
    return Deno.listen(address);
  } catch (error) {
    throw new RunError(
      `cannot listen on ${addressText(address)} (--metrics-addr): ${whyNot(error)}`,
      { cause: error },
    );
  }
}

/** Texts of servers and names from the database as a page may show them. */
function shown(_key: string, value: unknown): unknown {
  return typeof value === "string" ? printable(redact(value)) : value;
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

function text(status: number, body: string, headers: Record<string, string> = {}): HttpAnswer {
  return {
    status,
    headers: { ...HEADERS, "content-type": "text/plain; charset=utf-8", ...headers },
    body,
  };
}
